//! What is seen of a stage, in words.

use std::fmt::Display;

use resurgam::{Context, Down, ExitKind, ExitReason, Message, Pid, Registry, RegistryKeys};

use super::stage::{Stage, Told};
use super::{KEYS, Key, Which, Who};

impl Stage {
    pub(super) fn told(&self, ctx: &mut Context<Told>) -> String {
        let mut words = Vec::new();
        while let Some(message) = ctx.try_receive() {
            words.push(match message {
                Message::User(Told::Registered(which, key, pid, value)) => {
                    format!("+{which}{}:{}{value}", elixir(key), self.names[&pid])
                }
                Message::User(Told::Unregistered(which, key, pid)) => {
                    format!("-{which}{}:{}", elixir(key), self.names[&pid])
                }
                Message::User(Told::Noted(word)) => word,
                Message::Down(Down { pid, reason, .. }) => {
                    format!("{}!{}", self.names[&pid], word(&reason))
                }
                Message::Exit(exit) => panic!("{exit:?}"),
            });
        }
        words.sort_unstable();
        words.join(",")
    }

    pub(super) fn looks(&self) -> String {
        let duplicate = KEYS.map(|key| self.pairs(self.duplicate.lookup(key)));
        let unique = KEYS.map(|key| self.pairs(self.unique.lookup(key)));
        let u = self.look('u', &self.unique, unique.join("|"));
        let d = self.look('d', &self.duplicate, duplicate.join("|"));
        format!("{u};{d}")
    }

    fn look<D: RegistryKeys>(
        &self,
        which: Which,
        registry: &Registry<Key, u32, D>,
        under: String,
    ) -> String {
        let theirs = |(who, pid): (&Who, &Pid)| {
            let mut keys: Vec<_> = registry.keys(*pid).into_iter().map(elixir).collect();
            keys.sort_unstable();
            match keys[..] {
                [] => String::new(),
                _ => format!("{who}{}", keys.join("+")),
            }
        };
        let theirs: String = self.pids.iter().map(theirs).collect();
        format!("{which}{}={under}/{theirs}", registry.count())
    }

    pub(super) fn pairs(&self, pairs: impl IntoIterator<Item = (Pid, u32)>) -> String {
        let word = |(pid, value)| format!("{}{value}", self.names[&pid]);
        sorted(pairs.into_iter().map(word))
    }
}

pub(super) fn sorted(words: impl Iterator<Item: Display>) -> String {
    let mut words: Vec<_> = words.map(|word| word.to_string()).collect();
    words.sort_unstable();
    words.join("+")
}

/// A key as Elixir writes it.
fn elixir(key: Key) -> &'static str {
    match key {
        "'_'" => ":_",
        "'$1'" => ":\"$1\"",
        other => other,
    }
}

pub(super) fn word(reason: &ExitReason) -> String {
    match reason.kind() {
        ExitKind::Panicked => "crash".to_owned(),
        _ => reason.to_string(),
    }
}
