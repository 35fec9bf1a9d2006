//! [`Index`]: who has which name, read without a lock.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use foldhash::fast::FixedState;

use crate::name::Name;
use crate::pid::Pid;
use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};

/// Names and who has them.
///
/// Those who give and take names have a lock. Those who look one up write
/// nothing at all: they probe a table of atomics, in which a name stays where
/// it is until the table is made anew. That shows in a version that they look
/// at before and after; who meets it waits for the lock.
///
/// Names too long for the table lie in a map of their own.
#[derive(Debug)]
pub(super) struct Index {
    hasher: FixedState,
    /// Odd while the table is made anew.
    version: AtomicU64,
    /// Which of the tables is in use. Each is twice as large as the one before,
    /// which stays: somebody may be reading it.
    current: AtomicUsize,
    tables: [OnceLock<Table>; TABLES],
    ledger: Mutex<Ledger>,
    long: DashMap<Name, Pid>,
}

/// What only those who give and take names look at.
#[derive(Debug, Default)]
struct Ledger {
    /// What the index's version is. (Loom misses what races with a store if
    /// the thread that stores looked at the value before.)
    version: u64,
    /// How many slots of the table are filled.
    filled: usize,
}

// Invariant: a power of two slots, some of them empty.
type Table = Box<[Slot]>;

/// A name and who has it. Filled once; it keeps its name when nobody has it any
/// more, until the table is made anew.
#[derive(Debug)]
struct Slot {
    /// 0 if the slot is empty. Written last when it is filled.
    len: AtomicU64,
    text: [AtomicU64; WORDS],
    /// [`Pid::OUTSIDE`] if nobody has the name.
    holder: AtomicU64,
}

/// A name as a slot has it.
#[derive(Copy, Clone)]
struct Key {
    len: u64,
    text: [u64; WORDS],
}

/// The table was made anew meanwhile.
struct Disturbed;

const WORDS: usize = 4;
/// How many bytes a word has.
const WORD: usize = 8;
/// How many slots the first table has.
const FIRST: usize = if cfg!(resurgam_loom) { 2 } else { 16 };
const TABLES: usize = 28;

impl Index {
    pub(super) fn new() -> Self {
        // Nobody outside can choose names that all lie in one place.
        Self::with_seed(RandomState::new().hash_one(0))
    }

    fn with_seed(seed: u64) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            version: AtomicU64::new(0),
            current: AtomicUsize::new(0),
            tables: [const { OnceLock::new() }; TABLES],
            ledger: Mutex::new(Ledger::default()),
            long: DashMap::new(),
        }
    }

    /// Who has a name.
    pub(super) fn get(&self, name: &str) -> Option<Pid> {
        let Some(key) = Key::of(name) else {
            return self.long.get(name).map(|holder| *holder);
        };
        self.read(&key).unwrap_or_else(|Disturbed| {
            let _ledger = self.ledger.lock();
            self.find(&key)?.holder()
        })
    }

    fn read(&self, key: &Key) -> Result<Option<Pid>, Disturbed> {
        // Pair with the stores in `make_anew`.
        let before = self.version.load(Ordering::Acquire);
        let holder = self.find(key).and_then(Slot::holder);
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        if before == after && before.is_multiple_of(2) {
            Ok(holder)
        } else {
            Err(Disturbed)
        }
    }

    /// Gives a name to a process; if one has it, that one.
    pub(super) fn give(&self, name: &Name, to: Pid) -> Result<(), Pid> {
        let Some(key) = Key::of(name.as_str()) else {
            return self.give_long(name, to);
        };
        let mut ledger = self.ledger.lock();
        match self.find(&key) {
            Some(slot) => {
                if let Some(holder) = slot.holder() {
                    return Err(holder);
                }
                slot.pass_to(to);
            }
            None => {
                self.make_room(&mut ledger);
                ledger.filled += 1;
                self.fill(self.table(), &key, to);
            }
        }
        Ok(())
    }

    fn give_long(&self, name: &Name, to: Pid) -> Result<(), Pid> {
        match self.long.entry(name.clone()) {
            Entry::Occupied(entry) => Err(*entry.get()),
            Entry::Vacant(entry) => {
                entry.insert(to);
                Ok(())
            }
        }
    }

    /// Frees a name that this process has.
    pub(super) fn free(&self, name: &Name, from: Pid) {
        match Key::of(name.as_str()) {
            Some(key) => {
                let _ledger = self.ledger.lock();
                let slot = self.find(&key);
                if let Some(slot) = slot.filter(|slot| slot.holder() == Some(from)) {
                    slot.pass_to(Pid::OUTSIDE);
                }
            }
            None => drop(self.long.remove_if(name, |_, holder| *holder == from)),
        }
    }

    /// All names and who has them.
    pub(super) fn entries(&self) -> Vec<(Name, Pid)> {
        let _ledger = self.ledger.lock();
        let held = self.held().map(|(key, holder)| (key.name(), holder));
        let long = self.long.iter();
        held.chain(long.map(|entry| (entry.key().clone(), *entry.value())))
            .collect()
    }

    fn table(&self) -> &[Slot] {
        self.tables[self.current.load(Ordering::Acquire)]
            .get()
            .map_or(&[], |table| table)
    }

    /// The slot of a name, if it has one.
    fn find(&self, key: &Key) -> Option<&Slot> {
        let (table, hash) = (self.table(), self.hash(key));
        // No more than all: there is an empty one, unless the table is just
        // being made anew.
        for step in 0..table.len() {
            let slot = &table[(hash + step) & (table.len() - 1)];
            match slot.len.load(Ordering::Acquire) {
                0 => return None,
                len if len == key.len && slot.has(&key.text) => return Some(slot),
                _ => {}
            }
        }
        None
    }

    /// Fills an empty slot; there must be one.
    fn fill(&self, table: &[Slot], key: &Key, holder: Pid) {
        let hash = self.hash(key);
        let slots = (0..table.len()).map(|step| &table[(hash + step) & (table.len() - 1)]);
        let mut empty = slots.filter(|slot| slot.len.load(Ordering::Relaxed) == 0);
        let slot = empty.next().expect("a table is never full");
        for (word, text) in slot.text.iter().zip(key.text) {
            word.store(text, Ordering::Relaxed);
        }
        slot.pass_to(holder);
        // Pairs with the load in `find`.
        slot.len.store(key.len, Ordering::Release);
    }

    fn hash(&self, key: &Key) -> usize {
        let mut hasher = self.hasher.build_hasher();
        for word in key.text {
            hasher.write_u64(word);
        }
        hasher.finish() as usize
    }

    fn held(&self) -> impl Iterator<Item = (Key, Pid)> {
        // What is left of an earlier use of an empty slot does not count.
        let filled = self.table().iter().map(|slot| (slot.key(), slot));
        let filled = filled.filter(|(key, _)| key.len > 0);
        filled.filter_map(|(key, slot)| Some((key, slot.holder()?)))
    }

    /// Makes the table anew if it is full but for a quarter.
    fn make_room(&self, ledger: &mut Ledger) {
        let size = self.table().len();
        if size == 0 {
            self.tables[0].get_or_init(|| empty_table(FIRST));
        } else if (ledger.filled + 1) * 4 > size * 3 {
            self.make_anew(ledger);
        }
    }

    /// Makes the table anew, without the names that nobody has: a larger one if
    /// it would be more than half as full as it may be, so that this is rare.
    fn make_anew(&self, ledger: &mut Ledger) {
        let held: Vec<_> = self.held().collect();
        self.version.store(ledger.version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        let mut current = self.current.load(Ordering::Relaxed);
        let size = FIRST << current;
        if held.len() * 8 > size * 3 {
            current += 1;
            self.tables[current].get_or_init(|| empty_table(2 * size));
            self.current.store(current, Ordering::Release);
        } else {
            self.table().iter().for_each(Slot::clear);
        }
        for (key, holder) in &held {
            self.fill(self.table(), key, *holder);
        }
        ledger.filled = held.len();
        ledger.version += 2;
        self.version.store(ledger.version, Ordering::Release);
    }
}

fn empty_table(size: usize) -> Table {
    (0..size).map(|_| Slot::new()).collect()
}

impl Slot {
    fn new() -> Self {
        Self {
            len: AtomicU64::new(0),
            text: std::array::from_fn(|_| AtomicU64::new(0)),
            holder: AtomicU64::new(Pid::OUTSIDE.bits()),
        }
    }

    fn clear(&self) {
        self.len.store(0, Ordering::Relaxed);
    }

    fn has(&self, text: &[u64; WORDS]) -> bool {
        let mut words = self.text.iter().zip(text);
        words.all(|(own, word)| own.load(Ordering::Relaxed) == *word)
    }

    fn key(&self) -> Key {
        Key {
            len: self.len.load(Ordering::Relaxed),
            text: std::array::from_fn(|at| self.text[at].load(Ordering::Relaxed)),
        }
    }

    fn holder(&self) -> Option<Pid> {
        // Acquire: who sees that a name was freed sees all that came before.
        let holder = Pid::from_bits(self.holder.load(Ordering::Acquire));
        (holder != Pid::OUTSIDE).then_some(holder)
    }

    fn pass_to(&self, holder: Pid) {
        self.holder.store(holder.bits(), Ordering::Release);
    }
}

impl Key {
    /// The key of a name that is not too long.
    #[inline]
    fn of(name: &str) -> Option<Self> {
        let bytes = name.as_bytes();
        let key = || Self {
            len: bytes.len() as u64,
            text: [0, 1, 2, 3].map(|at| word(bytes, at)),
        };
        (bytes.len() <= WORDS * WORD).then(key)
    }

    fn name(&self) -> Name {
        let bytes: Vec<u8> = self
            .text
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let text = std::str::from_utf8(&bytes[..self.len as usize]);
        Name::from(text.expect("it was a name's"))
    }
}

/// A word of a text, with zeros for what lies beyond its end.
#[inline]
fn word(text: &[u8], at: usize) -> u64 {
    let rest = text.get(at * WORD..).unwrap_or_default();
    if let Some(whole) = rest.first_chunk() {
        return u64::from_le_bytes(*whole);
    }
    match text.last_chunk::<WORD>() {
        _ if rest.is_empty() => 0,
        // The end of the text, less what the word before has of it: cheaper
        // than a copy of some bytes.
        Some(end) => u64::from_le_bytes(*end) >> (8 * (WORD - rest.len())),
        None => rest
            .iter()
            .rfold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

#[cfg(all(test, resurgam_loom))]
mod loom_tests;
#[cfg(all(test, not(resurgam_loom)))]
mod tests;
