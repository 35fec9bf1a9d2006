//! [`Workload`]: what can be measured, and how large it is.

/// A workload and its sizes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Processes are spawned, run, and end, 10 000 at a time. An operation is
    /// a process.
    Spawn {
        /// How many.
        count: u64,
    },
    /// What an idle process occupies; it has a mailbox and waits for a message.
    Idle {
        /// How many are made.
        count: u64,
    },
    /// What an idle server with a word of state occupies.
    IdleServer {
        /// How many are made.
        count: u64,
    },
    /// Processes are spawned, until all wait for a message.
    SpawnIdle {
        /// How many.
        count: u64,
    },
    /// Pairs send a number to and fro. An operation is a message.
    PingPong {
        /// How many pairs.
        pairs: u64,
        /// How often to and fro.
        rounds: u64,
    },
    /// A number goes round. An operation is a hop.
    Ring {
        /// How many processes.
        length: u64,
        /// How often the number goes round.
        laps: u64,
    },
    /// Senders send to one receiver, as fast as they can. An operation is a
    /// message received.
    FanIn {
        /// How many senders.
        senders: u64,
        /// Messages of each.
        each: u64,
    },
    /// One sends to many. An operation is a message received.
    FanOut {
        /// How many receivers.
        receivers: u64,
        /// Messages to each.
        each: u64,
    },
    /// Callers call servers and wait for each answer. An operation is a call.
    Call {
        /// How many callers.
        callers: u64,
        /// How many servers, shared evenly.
        servers: u64,
        /// Calls of each caller.
        each: u64,
    },
    /// A mailbox is filled while its owner does not read, then drained. An
    /// operation is a message.
    Backlog {
        /// How many messages.
        count: u64,
    },
    /// One process ends, and all that are linked to it end with it.
    LinksEnding {
        /// How many.
        count: u64,
    },
    /// Processes are linked in a row; the first ends, and so all.
    Chain {
        /// How many.
        count: u64,
    },
    /// One process ends that many monitor, until all are told.
    MonitorsOnOne {
        /// How many.
        count: u64,
    },
    /// Many processes are told to end, until the one that monitors them is told
    /// of each.
    MonitorsByOne {
        /// How many.
        count: u64,
    },
    /// A supervised child fails as soon as it is started. An operation is a
    /// restart.
    Restarts {
        /// How many.
        count: u64,
    },
    /// A supervised server is told to crash; how long until its replacement,
    /// which tells the driver that it begins, has answered its first call.
    FirstAnswer {
        /// How often.
        count: u64,
        /// How it crashes.
        crash: Crash,
    },
    /// One of many supervised children fails, and all are stopped and started
    /// anew. An operation is a child.
    OneForAll {
        /// How many children.
        children: u64,
        /// How often one fails.
        rounds: u64,
    },
    /// Children are started one after the other at a supervisor's.
    DynamicStart {
        /// How many.
        count: u64,
    },
    /// Messages are sent with a delay of an hour and cancelled, 1000 at a time.
    TimerCancelled {
        /// How many.
        count: u64,
    },
    /// Messages are sent with a delay of a millisecond, until all have come.
    TimerFired {
        /// How many.
        count: u64,
    },
    /// One of 1000 names is looked up. An operation is a look-up.
    LookUp {
        /// How many look up at the same time.
        threads: u64,
        /// Look-ups of each.
        each: u64,
    },
    /// Messages are sent by name, until all have come.
    SendByName {
        /// How many.
        count: u64,
    },
    /// A name is given to a process and taken back.
    Register {
        /// How often.
        count: u64,
    },
    /// Savina's *big*: actors send pings to random others and wait for the
    /// pong. An operation is a message.
    Big {
        /// How many actors.
        actors: u64,
        /// Pings of each.
        each: u64,
    },
    /// Savina's *chameneos*: creatures meet by two at a mall and change their
    /// colour. An operation is a meeting, of four messages.
    Chameneos {
        /// How many creatures.
        creatures: u64,
        /// How many meetings.
        meetings: u64,
    },
}

impl Workload {
    /// How many operations a figure is divided by.
    pub fn operations(self) -> u64 {
        match self {
            Self::Spawn { count }
            | Self::Idle { count }
            | Self::IdleServer { count }
            | Self::SpawnIdle { count }
            | Self::Backlog { count }
            | Self::LinksEnding { count }
            | Self::Chain { count }
            | Self::MonitorsOnOne { count }
            | Self::MonitorsByOne { count }
            | Self::Restarts { count }
            | Self::FirstAnswer { count, .. }
            | Self::DynamicStart { count }
            | Self::TimerCancelled { count }
            | Self::TimerFired { count }
            | Self::SendByName { count }
            | Self::Register { count } => count,
            Self::PingPong { pairs, rounds } => 2 * pairs * rounds,
            Self::Ring { length, laps } => length * laps,
            Self::FanIn { senders, each } => senders * each,
            Self::FanOut { receivers, each } => receivers * each,
            Self::Call { callers, each, .. } => callers * each,
            Self::OneForAll { children, rounds } => children * rounds,
            Self::LookUp { threads, each } => threads * each,
            Self::Big { actors, each } => 2 * actors * each,
            Self::Chameneos { meetings, .. } => meetings,
        }
    }
}

/// How a server crashes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Crash {
    /// It returns an error.
    Error,
    /// It panics, in Erlang raises an error.
    Panic,
}
