//! The laws of the to-do server, through its public face.

mod crash;
mod http;
mod memory;
mod program;
mod seeded;
mod web;
mod world;

use todo::entry::{Entry, EntryId, ListName};
use todo::list::Change;

fn list(name: &str) -> ListName {
    ListName::try_from(name.to_owned()).expect("a name")
}

fn id(id: &str) -> EntryId {
    EntryId::try_from(id.to_owned()).expect("a name")
}

fn entry(name: &str) -> Entry {
    let date = "2026-11-22".to_owned().try_into().expect("a day");
    let title = format!("to do: {name}");
    Entry {
        id: id(name),
        date,
        title,
    }
}

fn add(name: &str) -> Change {
    Change::Add(entry(name))
}
