//! Who is under which key, for as long as the server of a registry lives.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as DashEntry;
use foldhash::fast::RandomState;

use super::Keys;
use super::places::{Held, Places};
use crate::caught::Quiet;
use crate::node::NodeInner;
use crate::pid::Pid;
use crate::process::cell::Process;
use crate::process::{current, link, unlink};
use crate::sync::Mutex;

/// What a server and its registry share. A process writes its own entries, the
/// server takes away those of processes that have ended.
pub(super) struct Book<K, V> {
    pub(super) node: Arc<NodeInner>,
    server: Pid,
    /// Whose link to the server is not only ours.
    parent: Option<Pid>,
    places: Places<K, Holders<V>>,
    /// The same by process, each oldest first. Invariant: none is empty.
    entries: DashMap<Pid, Vec<Entry<K, V>>, RandomState>,
    next_serial: AtomicU64,
}

/// Who is under a key, oldest first.
type Holders<V> = Mutex<Vec<Holder<V>>>;

/// A process under a key.
pub(super) struct Holder<V> {
    pub(super) serial: u64,
    pub(super) pid: Pid,
    pub(super) value: Quiet<V>,
}

impl<V> Clone for Holder<V> {
    fn clone(&self) -> Self {
        Self {
            value: self.value.clone(),
            ..*self
        }
    }
}

/// A key of a process.
pub(super) struct Entry<K, V> {
    serial: u64,
    place: Held<K, Holders<V>>,
}

impl<K, V> Entry<K, V> {
    pub(super) fn key(&self) -> &K {
        self.place.key()
    }

    /// Takes the process from under the key. Of a unique key another may have
    /// done so.
    fn clear(&self) -> Option<Holder<V>> {
        let mut holders = self.place.content().lock();
        let at = holders.iter().position(|h| h.serial == self.serial)?;
        Some(holders.remove(at))
    }
}

impl<K, V> Book<K, V> {
    pub(super) fn new(node: Arc<NodeInner>, server: Pid, parent: Option<Pid>) -> Self {
        Self {
            node,
            server,
            parent,
            places: Places::new(),
            entries: DashMap::default(),
            next_serial: AtomicU64::new(0),
        }
    }

    /// The process that runs, if it is one of the registry's node.
    pub(super) fn myself(&self) -> Option<Pid> {
        current::on(&self.node, |process| process.header().pid)
    }

    pub(super) fn process(&self, pid: Pid) -> Option<Process> {
        let process = self.node.table.get(pid)?;
        (!process.header().is_ending()).then_some(process)
    }

    fn lives(&self, pid: Pid) -> bool {
        self.process(pid).is_some()
    }

    /// Puts the process that runs under a key; who is there, if that is to be
    /// one alone.
    pub(super) fn register(
        &self,
        me: Pid,
        key: K,
        value: &Quiet<V>,
        keys: Keys,
    ) -> Result<Entry<K, V>, Pid>
    where
        K: Hash + Eq,
    {
        let place = self.places.hold(key);
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let holder = Holder {
            serial,
            pid: me,
            value: value.clone(),
        };
        let evicted = self.claim(place.content(), holder, keys)?;
        let entry = Entry { serial, place };
        if self.note(me, entry.clone()) == 1 {
            link(self.server);
        }
        drop(evicted);
        Ok(entry)
    }

    /// Who was there and has ended, for the caller to drop.
    fn claim(
        &self,
        holders: &Holders<V>,
        holder: Holder<V>,
        keys: Keys,
    ) -> Result<Vec<Holder<V>>, Pid> {
        let mut holders = holders.lock();
        let mut evicted = Vec::new();
        if let Keys::Unique = keys {
            match holders.first() {
                Some(present) if self.lives(present.pid) => return Err(present.pid),
                Some(_) | None => evicted.append(&mut holders),
            }
        }
        holders.push(holder);
        Ok(evicted)
    }

    /// Notes an entry with its process; how many that has.
    fn note(&self, pid: Pid, entry: Entry<K, V>) -> usize {
        let mut entries = self.entries.entry(pid).or_default();
        entries.push(entry);
        entries.len()
    }

    /// Takes away the entries of the process that runs under a key whose value
    /// is such a one; the entries.
    pub(super) fn unregister<Q>(
        &self,
        me: Pid,
        key: &Q,
        mut is_meant: impl FnMut(&V) -> bool,
    ) -> Vec<Entry<K, V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(place) = self.places.find(key) else {
            return Vec::new();
        };
        let mut mine: Vec<_> = place.content().lock().clone();
        mine.retain(|holder| holder.pid == me && is_meant(&holder.value));
        let is_going = |entry: &mut Entry<K, V>| {
            entry.place.is(&place) && mine.iter().any(|h| h.serial == entry.serial)
        };
        let going = self.take_entries(me, is_going);
        going.iter().for_each(|entry| drop(entry.clear()));
        going
    }

    /// Takes such entries out of those of the process that runs. With the last
    /// one its link to the server goes.
    fn take_entries(
        &self,
        me: Pid,
        is_going: impl FnMut(&mut Entry<K, V>) -> bool,
    ) -> Vec<Entry<K, V>> {
        let DashEntry::Occupied(mut entries) = self.entries.entry(me) else {
            return Vec::new();
        };
        let going: Vec<_> = entries.get_mut().extract_if(.., is_going).collect();
        if !entries.get().is_empty() {
            return going;
        }
        entries.remove();
        if self.parent != Some(me) {
            unlink(self.server);
        }
        going
    }

    /// Takes away what a process that has ended left behind; the entries. An
    /// exit signal that it sent by itself does not mean its end.
    pub(super) fn forget(&self, pid: Pid) -> Vec<Entry<K, V>> {
        if self.lives(pid) {
            return Vec::new();
        }
        let left = self.entries.remove(&pid).map(|(_, entries)| entries);
        let left = left.unwrap_or_default();
        left.iter().for_each(|entry| drop(entry.clear()));
        left
    }

    /// Who lives and is under a key, oldest first.
    pub(super) fn holders<Q>(&self, key: &Q) -> Vec<Holder<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(place) = self.places.find(key) else {
            return Vec::new();
        };
        let mut holders: Vec<_> = place.content().lock().clone();
        holders.retain(|holder| self.lives(holder.pid));
        holders
    }

    /// Gives an entry another value; the one it had.
    pub(super) fn set_value<Q>(&self, key: &Q, serial: u64, mut value: Quiet<V>) -> Option<Quiet<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = self.places.find(key)?;
        let mut holders = place.content().lock();
        let holder = holders.iter_mut().find(|h| h.serial == serial)?;
        std::mem::swap(&mut holder.value, &mut value);
        drop(holders);
        Some(value)
    }

    /// The keys of a process, oldest first.
    pub(super) fn entries_of(&self, pid: Pid) -> Vec<Entry<K, V>> {
        let entries = self.entries.get(&pid);
        entries.map_or_else(Vec::new, |entries| entries.clone())
    }

    /// All that live, with their keys, oldest first.
    pub(super) fn all(&self) -> Vec<(Entry<K, V>, Holder<V>)> {
        let mut all = Vec::new();
        for place in self.places.all() {
            let holders = place.content().lock().clone();
            let living = holders.into_iter().filter(|h| self.lives(h.pid));
            all.extend(living.map(|holder| (Entry::of(&place, holder.serial), holder)));
        }
        all.sort_by_key(|(_, holder)| holder.serial);
        all
    }
}

impl<K, V> Entry<K, V> {
    fn of(place: &Held<K, Holders<V>>, serial: u64) -> Self {
        Self {
            serial,
            place: place.clone(),
        }
    }
}

impl<K, V> Clone for Entry<K, V> {
    fn clone(&self) -> Self {
        Self::of(&self.place, self.serial)
    }
}
