//! Who is in which group: what can be read without asking a scope.

use std::collections::BTreeMap;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhash::fast::RandomState;

use crate::name::Name;
use crate::pid::Pid;

/// The tables of a node's scopes.
#[derive(Debug, Default)]
pub(crate) struct Scopes(DashMap<Name, Arc<Table>, RandomState>);

impl Scopes {
    pub(crate) fn get(&self, scope: &str) -> Option<Arc<Table>> {
        self.0.get(scope).map(|table| Arc::clone(&table))
    }

    /// A table for a new scope, unless there is one of that name.
    pub(super) fn open(&self, scope: Name) -> Option<Arc<Table>> {
        match self.0.entry(scope) {
            Entry::Occupied(_) => None,
            Entry::Vacant(place) => Some(Arc::clone(&place.insert(Arc::default()))),
        }
    }

    pub(super) fn close(&self, scope: &str) {
        self.0.remove(scope);
    }
}

/// The groups of one scope. Its server writes it, and nobody else.
// Invariant: no group is empty, and no member is there zero times.
#[derive(Debug, Default)]
pub(crate) struct Table(DashMap<Name, BTreeMap<Pid, usize>, RandomState>);

impl Table {
    /// A process is in a group once more.
    pub(super) fn join(&self, group: &Name, pid: Pid) {
        let mut members = self.0.entry(group.clone()).or_default();
        *members.entry(pid).or_default() += 1;
    }

    /// A process is in a group once less; how often it still is, or `None` if
    /// it was not.
    pub(super) fn leave(&self, group: &str, pid: Pid) -> Option<usize> {
        let mut members = self.0.get_mut(group)?;
        let times = members.get_mut(&pid)?;
        *times -= 1;
        let left = *times;
        if left == 0 {
            members.remove(&pid);
        }
        drop(members);
        self.0.remove_if(group, |_, members| members.is_empty());
        Some(left)
    }

    /// A process is in a group no more; how often it was.
    pub(super) fn leave_for_good(&self, group: &str, pid: Pid) -> usize {
        let times = self
            .0
            .get_mut(group)
            .and_then(|mut members| members.remove(&pid));
        self.0.remove_if(group, |_, members| members.is_empty());
        times.unwrap_or(0)
    }

    pub(crate) fn members(&self, group: &str) -> Vec<Pid> {
        let Some(members) = self.0.get(group) else {
            return Vec::new();
        };
        let each = members.iter();
        each.flat_map(|(&pid, &times)| std::iter::repeat_n(pid, times))
            .collect()
    }

    pub(crate) fn groups(&self) -> Vec<Name> {
        let mut groups: Vec<_> = self.0.iter().map(|group| group.key().clone()).collect();
        groups.sort();
        groups
    }
}
