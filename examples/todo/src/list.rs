//! A to-do list as a value: what is on it, and what a change makes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::{Date, Entry, EntryId};

/// A list, and how often it has changed.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct TodoList {
    /// 0 for a list that was never written, and one more after each change.
    pub version: u64,
    entries: BTreeMap<EntryId, Entry>,
}

/// What can be done to a list. To do it twice is to do it once, so a change may
/// be asked for again when nobody knows whether it was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// Adds an entry, unless another one has its id.
    Add(Entry),
    /// Puts an entry in the place of the one that has its id, if there is one.
    Put(Entry),
    /// Takes an entry away, if it is there.
    Remove(EntryId),
}

/// The id of an entry to be added belongs to another one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("there is another entry {0:?}")]
pub struct EntryTaken(pub EntryId);

impl TodoList {
    /// The entries of this day, or of all days, by their ids.
    pub fn entries(&self, date: Option<&Date>) -> Vec<Entry> {
        let is_wanted = |entry: &&Entry| date.is_none_or(|date| entry.date == *date);
        self.entries.values().filter(is_wanted).cloned().collect()
    }

    /// The list after this change; `None` if it is no other.
    ///
    /// # Errors
    ///
    /// See [`EntryTaken`].
    pub fn changed(&self, change: Change) -> Result<Option<Self>, EntryTaken> {
        let mut entries = self.entries.clone();
        match change {
            Change::Add(entry) => match entries.get(&entry.id) {
                Some(other) if *other != entry => return Err(EntryTaken(entry.id)),
                Some(_) => {}
                None => drop(entries.insert(entry.id.clone(), entry)),
            },
            Change::Put(entry) => drop(entries.insert(entry.id.clone(), entry)),
            Change::Remove(id) => drop(entries.remove(&id)),
        }
        let version = self.version + 1;
        Ok((entries != self.entries).then_some(Self { version, entries }))
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Entry, EntryId, EntryTaken, TodoList};

    fn id(id: &str) -> EntryId {
        EntryId::try_from(id.to_owned()).unwrap()
    }

    fn entry(name: &str, title: &str) -> Entry {
        let date = "2026-11-22".to_owned().try_into().unwrap();
        let title = title.to_owned();
        Entry {
            id: id(name),
            date,
            title,
        }
    }

    fn list(entries: &[Entry]) -> TodoList {
        let add = |list: TodoList, entry: &Entry| list.changed(Change::Add(entry.clone()));
        let add = |list, entry| add(list, entry).unwrap().unwrap();
        entries.iter().fold(TodoList::default(), add)
    }

    #[test]
    fn to_change_twice_is_to_change_once() {
        let (milk, cream) = (entry("1", "milk"), entry("1", "cream"));
        for change in [
            Change::Add(entry("2", "bread")),
            Change::Put(cream),
            Change::Remove(milk.id.clone()),
        ] {
            let before = list(std::slice::from_ref(&milk));
            let after = before.changed(change.clone()).unwrap().unwrap();
            assert_eq!(after.version, before.version + 1);
            assert_eq!(after.changed(change), Ok(None));
        }
    }

    #[test]
    fn an_id_that_is_taken_is_not_given_again() {
        let list = list(&[entry("1", "milk")]);
        let refused = list.changed(Change::Add(entry("1", "cream")));
        assert_eq!(refused, Err(EntryTaken(id("1"))));
    }

    #[test]
    fn the_entries_of_a_day_are_those_of_no_other() {
        let mut bread = entry("2", "bread");
        bread.date = "2026-11-23".to_owned().try_into().unwrap();
        let list = list(&[entry("1", "milk"), bread.clone()]);
        assert_eq!(list.entries(Some(&bread.date)), [bread]);
        assert_eq!(list.entries(None).len(), 2);
    }
}
