//! Who is under which key, for as long as the server of a registry lives.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::Hash;
use std::ops::RangeBounds;
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
    /// The same by process. Invariant: none is empty.
    entries: DashMap<Pid, BTreeMap<Serial, Place<K, V>>, RandomState>,
    next_serial: AtomicU64,
}

/// The number of an entry: the older, the lower.
type Serial = u64;

/// The place of a key.
type Place<K, V> = Held<K, Holders<V>>;

/// Who is under a key, and with which values.
type Holders<V> = Mutex<BTreeMap<(Pid, Serial), Quiet<V>>>;

/// A process under a key.
pub(super) struct Holder<V> {
    pub(super) serial: Serial,
    pub(super) pid: Pid,
    pub(super) value: Quiet<V>,
}

impl<V> Holder<V> {
    fn new(((pid, serial), value): (&(Pid, Serial), &Quiet<V>)) -> Self {
        Self {
            serial: *serial,
            pid: *pid,
            value: value.clone(),
        }
    }
}

/// A key of a process.
pub(super) struct Entry<K, V> {
    pid: Pid,
    serial: Serial,
    place: Place<K, V>,
}

impl<K, V> Entry<K, V> {
    pub(super) fn key(&self) -> &K {
        self.place.key()
    }

    /// Takes the process from under the key. Of a unique key another may have
    /// done so.
    fn clear(&self) -> Option<Quiet<V>> {
        let mut holders = self.place.content().lock();
        holders.remove(&(self.pid, self.serial))
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
        let evicted = self.claim(place.content(), (me, serial), value, keys)?;
        let entry = Entry {
            pid: me,
            serial,
            place,
        };
        if self.note(&entry) == 1 {
            link(self.server);
        }
        drop(evicted);
        Ok(entry)
    }

    /// The value of whoever was there and has ended, for the caller to drop.
    fn claim(
        &self,
        holders: &Holders<V>,
        entry: (Pid, Serial),
        value: &Quiet<V>,
        keys: Keys,
    ) -> Result<Option<Quiet<V>>, Pid> {
        let mut holders = holders.lock();
        let mut evicted = None;
        if let Keys::Unique = keys
            && let Some(present) = holders.first_entry()
        {
            let (pid, _) = *present.key();
            if self.lives(pid) {
                return Err(pid);
            }
            evicted = Some(present.remove());
        }
        holders.insert(entry, value.clone());
        Ok(evicted)
    }

    /// Notes an entry with its process; how many that has.
    fn note(&self, entry: &Entry<K, V>) -> usize {
        let mut entries = self.entries.entry(entry.pid).or_default();
        entries.insert(entry.serial, entry.place.clone());
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
        let mut mine = holders_of(&place, (me, Serial::MIN)..=(me, Serial::MAX));
        mine.retain(|holder| is_meant(&holder.value));
        let serials = mine.iter().map(|holder| holder.serial);
        let going = self.take_entries(me, serials);
        going.iter().for_each(|entry| drop(entry.clear()));
        going
    }

    /// Takes entries out of those of the process that runs. With the last one
    /// its link to the server goes.
    fn take_entries(&self, me: Pid, serials: impl Iterator<Item = Serial>) -> Vec<Entry<K, V>> {
        let DashEntry::Occupied(mut entries) = self.entries.entry(me) else {
            return Vec::new();
        };
        let mine = entries.get_mut();
        let take = |serial| {
            let place = mine.remove(&serial)?;
            Some(Entry::of(me, (serial, place)))
        };
        let going = serials.filter_map(take).collect();
        if !mine.is_empty() {
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
        if self.lives(pid) || planted!(KeysKept) {
            return Vec::new();
        }
        let Some((_, entries)) = self.entries.remove(&pid) else {
            return Vec::new();
        };
        let entries = entries.into_iter();
        let left: Vec<_> = entries.map(|entry| Entry::of(pid, entry)).collect();
        left.iter().for_each(|entry| drop(entry.clear()));
        left
    }

    /// Who is under a key of which there is one, if that one lives.
    pub(super) fn holder<Q>(&self, key: &Q) -> Option<(Process, Holder<V>)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = self.places.find(key)?;
        let holders = place.content().lock();
        let holder = holders.first_key_value().map(Holder::new)?;
        // A look at a process that has ended may drop what its user left there.
        drop(holders);
        Some((self.process(holder.pid)?, holder))
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
        let mut holders = holders_of(&place, ..);
        holders.retain(|holder| self.lives(holder.pid));
        holders
    }

    /// Gives an entry another value; the one it had.
    pub(super) fn set_value<Q>(
        &self,
        key: &Q,
        of: &Holder<V>,
        mut value: Quiet<V>,
    ) -> Option<Quiet<V>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let place = self.places.find(key)?;
        let mut holders = place.content().lock();
        let before = holders.get_mut(&(of.pid, of.serial))?;
        std::mem::swap(before, &mut value);
        drop(holders);
        Some(value)
    }

    /// The keys of a process, oldest first.
    pub(super) fn entries_of(&self, pid: Pid) -> Vec<Entry<K, V>> {
        let Some(entries) = self.entries.get(&pid) else {
            return Vec::new();
        };
        let each = entries.iter();
        each.map(|(&serial, place)| Entry::of(pid, (serial, place.clone())))
            .collect()
    }

    /// All that live, with their keys, oldest first.
    pub(super) fn all(&self) -> Vec<(Entry<K, V>, Holder<V>)> {
        let mut all = Vec::new();
        for place in self.places.all() {
            let holders = holders_of(&place, ..).into_iter();
            let living = holders.filter(|holder| self.lives(holder.pid));
            all.extend(living.map(|holder| {
                let entry = Entry::of(holder.pid, (holder.serial, place.clone()));
                (entry, holder)
            }));
        }
        all.sort_by_key(|(_, holder)| holder.serial);
        all
    }
}

/// Who is under a key, dead or alive, oldest first.
fn holders_of<K, V>(place: &Place<K, V>, which: impl RangeBounds<(Pid, Serial)>) -> Vec<Holder<V>> {
    let holders = place.content();
    let mut holders: Vec<_> = holders.lock().range(which).map(Holder::new).collect();
    holders.sort_unstable_by_key(|holder| holder.serial);
    holders
}

impl<K, V> Entry<K, V> {
    fn of(pid: Pid, (serial, place): (Serial, Place<K, V>)) -> Self {
        Self { pid, serial, place }
    }
}
