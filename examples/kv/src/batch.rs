//! Several commands on their way at once.
//!
//! A client may send many commands before it reads a reply. Those that have
//! arrived together make a batch: what each partition has to do for them goes
//! to it as one list, all partitions work side by side, and the replies are
//! written in the order of the commands. Within a partition the order of the
//! commands is kept, so a client sees its own writes.

use bytes::{Bytes, BytesMut};
use redis_protocol::redis_keyslot;

use crate::command::DataCommand;
use crate::error::Error;
use crate::reply::{Protocol, Reply};
use crate::request::{Counted, Request, Scan};

/// What a partition answered to its list of requests: a reply to each, or one
/// error for all of them.
pub type Answer = Result<Vec<Reply>, Error>;

/// The number of a partition.
pub type Partition = usize;

/// Where `key` lives. As in a Redis cluster the part in braces, if there is
/// one, decides: `{user1}name` and `{user1}mail` live in the same partition.
pub fn partition_of(key: &[u8], partitions: usize) -> Partition {
    usize::from(redis_keyslot(key)) % partitions
}

/// Commands, what they need of each partition, and how to put it together.
#[derive(Debug)]
pub struct Batch {
    queues: Vec<Vec<Request>>,
    pending: Vec<(Protocol, Pending)>,
}

/// A reply that is due.
#[derive(Debug)]
enum Pending {
    Ready(Reply),
    One(Ticket),
    Joined(Vec<Ticket>, Join),
}

/// A place in what a partition will answer.
#[derive(Copy, Clone, Debug)]
struct Ticket {
    partition: Partition,
    index: usize,
}

/// How replies of several partitions become one.
#[derive(Debug)]
enum Join {
    /// Numbers: their sum.
    Sum,
    /// `OK` if all are.
    AllOk,
    /// Arrays: one behind the other.
    Concatenated,
    /// Arrays: the next element of the n-th, for each n that stands here.
    Dealt(Vec<usize>),
    /// A step of a scan: a cursor for the place it has come to.
    Cursor,
    /// The numbers of all and of volatile keys: a text that begins with this.
    Info(String),
}

impl Batch {
    /// An empty batch, for a server of so many partitions.
    pub fn new(partitions: usize) -> Self {
        Self {
            queues: vec![Vec::new(); partitions],
            pending: Vec::new(),
        }
    }

    /// Whether no command was added.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Adds a command that has its reply already.
    pub fn push_reply(&mut self, protocol: Protocol, reply: Reply) {
        self.pending.push((protocol, Pending::Ready(reply)));
    }

    /// Adds `INFO`, which ends with what the partitions say.
    pub fn push_info(&mut self, protocol: Protocol, head: String) {
        let tickets = [Counted::All, Counted::Volatile];
        let tickets = tickets.map(|counted| self.ask_all(&Request::Count(counted)));
        self.pending.push((
            protocol,
            Pending::Joined(tickets.concat(), Join::Info(head)),
        ));
    }

    /// Adds a command for the partitions.
    pub fn push(&mut self, protocol: Protocol, command: DataCommand) {
        let pending = match command {
            DataCommand::Key(key, action) => {
                let partition = self.home(&key);
                Pending::One(self.ask(partition, Request::Key(key, action)))
            }
            DataCommand::GetAll(keys) => self.get_all(keys),
            DataCommand::SetAll(pairs) => {
                let shares = self.shares(pairs, |(key, _)| key);
                self.joined(shares, Request::SetAll, Join::AllOk)
            }
            DataCommand::Delete(keys) => {
                let shares = self.shares(keys, |key| key);
                self.joined(shares, Request::Delete, Join::Sum)
            }
            DataCommand::Exists(keys) => {
                let shares = self.shares(keys, |key| key);
                self.joined(shares, Request::Exists, Join::Sum)
            }
            DataCommand::Count => {
                Pending::Joined(self.ask_all(&Request::Count(Counted::All)), Join::Sum)
            }
            DataCommand::Flush => Pending::Joined(self.ask_all(&Request::Flush), Join::AllOk),
            DataCommand::Keys(pattern) => {
                Pending::Joined(self.ask_all(&Request::Keys(pattern)), Join::Concatenated)
            }
            DataCommand::Scan(cursor, scan) => self.scan(cursor, scan),
            DataCommand::Crash(key) => {
                let partition = self.home(&key);
                Pending::One(self.ask(partition, Request::Crash(key)))
            }
        };
        self.pending.push((protocol, pending));
    }

    /// Takes what each partition has to do, in the order of the partitions.
    pub fn take_requests(&mut self) -> Vec<Vec<Request>> {
        std::mem::take(&mut self.queues)
    }

    /// Writes the replies, given what each partition answered.
    pub fn encode(self, answers: Vec<Answer>, out: &mut BytesMut) {
        let mut answers = Answers(answers);
        for (protocol, pending) in self.pending {
            answers.settle(pending).encode(protocol, out);
        }
    }

    fn home(&self, key: &[u8]) -> Partition {
        partition_of(key, self.queues.len())
    }

    fn ask(&mut self, partition: Partition, request: Request) -> Ticket {
        let queue = &mut self.queues[partition];
        queue.push(request);
        Ticket {
            partition,
            index: queue.len() - 1,
        }
    }

    fn ask_all(&mut self, request: &Request) -> Vec<Ticket> {
        (0..self.queues.len())
            .map(|partition| self.ask(partition, request.clone()))
            .collect()
    }

    /// Sorts items by the partitions of their keys, each in the order it had.
    fn shares<T>(&self, items: Vec<T>, key: fn(&T) -> &Bytes) -> Vec<(Partition, Vec<T>)> {
        let mut shares: Vec<(Partition, Vec<T>)> = Vec::new();
        for item in items {
            let home = self.home(key(&item));
            match shares.iter_mut().find(|(partition, _)| *partition == home) {
                Some((_, share)) => share.push(item),
                None => shares.push((home, vec![item])),
            }
        }
        shares
    }

    fn joined<T>(
        &mut self,
        shares: Vec<(Partition, Vec<T>)>,
        request: fn(Vec<T>) -> Request,
        join: Join,
    ) -> Pending {
        let tickets = shares
            .into_iter()
            .map(|(home, share)| self.ask(home, request(share)));
        Pending::Joined(tickets.collect(), join)
    }

    fn get_all(&mut self, keys: Vec<Bytes>) -> Pending {
        let homes: Vec<Partition> = keys.iter().map(|key| self.home(key)).collect();
        let shares = self.shares(keys, |key| key);
        let share_of = |home| shares.iter().position(|(partition, _)| *partition == home);
        let deal = homes.into_iter().filter_map(share_of).collect();
        self.joined(shares, Request::GetAll, Join::Dealt(deal))
    }

    /// A cursor is the number of a partition, and above it how many places that
    /// partition still has to show; 0 of them is where it begins.
    fn scan(&mut self, cursor: u64, scan: Scan) -> Pending {
        let partitions = self.queues.len() as u64;
        let partition = usize::try_from(cursor % partitions).unwrap_or(0);
        let remaining = usize::try_from(cursor / partitions).unwrap_or(usize::MAX);
        let ticket = self.ask(partition, Request::Scan(Scan { remaining, ..scan }));
        Pending::Joined(vec![ticket], Join::Cursor)
    }
}

/// What the partitions answered; each reply is taken once.
struct Answers(Vec<Answer>);

impl Answers {
    fn settle(&mut self, pending: Pending) -> Reply {
        match pending {
            Pending::Ready(reply) => reply,
            Pending::One(ticket) => self.take(ticket).unwrap_or_else(Reply::Error),
            Pending::Joined(tickets, join) => {
                let replies: Result<_, _> =
                    tickets.iter().map(|ticket| self.take(*ticket)).collect();
                replies.map_or_else(Reply::Error, |replies| self.join(replies, &tickets, join))
            }
        }
    }

    fn take(&mut self, ticket: Ticket) -> Result<Reply, Error> {
        match &mut self.0[ticket.partition] {
            Ok(replies) => Ok(std::mem::take(&mut replies[ticket.index])),
            Err(error) => Err(error.clone()),
        }
    }

    fn join(&self, replies: Vec<Reply>, tickets: &[Ticket], join: Join) -> Reply {
        match join {
            Join::Sum => Reply::Integer(replies.iter().map(number).sum()),
            Join::AllOk => Reply::ok(),
            Join::Concatenated => Reply::Array(replies.into_iter().flat_map(elements).collect()),
            Join::Dealt(deal) => {
                let mut shares: Vec<_> = replies
                    .into_iter()
                    .map(|reply| elements(reply).into_iter())
                    .collect();
                let dealt = deal
                    .into_iter()
                    .map(|share| shares[share].next().unwrap_or_default());
                Reply::Array(dealt.collect())
            }
            Join::Cursor => {
                let parts = replies.into_iter().flat_map(elements);
                with_cursor(parts.collect(), tickets[0].partition, self.0.len())
            }
            Join::Info(head) => {
                let (all, volatile) = replies.split_at(replies.len() / 2);
                let [all, volatile] = [all, volatile].map(|part| part.iter().map(number).sum());
                Reply::Text(with_keyspace(head, all, volatile).into())
            }
        }
    }
}

fn number(reply: &Reply) -> i64 {
    if let Reply::Integer(number) = reply {
        *number
    } else {
        0
    }
}

fn elements(reply: Reply) -> Vec<Reply> {
    if let Reply::Array(elements) = reply {
        elements
    } else {
        Vec::new()
    }
}

fn with_cursor(mut parts: Vec<Reply>, partition: Partition, partitions: usize) -> Reply {
    let remaining = parts.first().map_or(0, number).unsigned_abs() as usize;
    let cursor = match (remaining, partition + 1) {
        (0, next) if next == partitions => 0,
        (0, next) => next,
        (remaining, _) => remaining * partitions + partition,
    };
    if let Some(place) = parts.first_mut() {
        *place = Reply::Bulk(cursor.to_string().into());
    }
    Reply::Array(parts)
}

fn with_keyspace(head: String, all: i64, volatile: i64) -> String {
    match all {
        0 => head,
        all => format!("{head}db0:keys={all},expires={volatile},avg_ttl=0\r\n"),
    }
}

#[cfg(test)]
mod tests;
