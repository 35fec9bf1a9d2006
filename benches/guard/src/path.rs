//! [`Path`]: what is measured.

/// A hot path.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Path {
    /// Two processes send each other messages; per message.
    Message,
    /// One process sends to another that does not read; per message.
    Send,
    /// A process reads what waits in its mailbox; per message.
    Receive,
    /// One process calls a server.
    Call,
    /// A process is spawned, runs and ends.
    Spawn,
    /// A link is made, an exit goes along it and ends a process.
    LinkExit,
    /// A monitor is made, fires, and its message is received.
    MonitorDown,
    /// A timer is set and cancelled.
    Timer,
    /// A name is looked up.
    Whereis,
    /// A message is sent to a name; its process does not read.
    SendByName,
    /// One process calls a state machine, which changes its state.
    Statem,
    /// A task is spawned, runs and is awaited.
    Task,
    /// One process has an agent change its state and waits for the value.
    Agent,
    /// An event manager gives an event to its one handler.
    Event,
    /// A key of a registry is looked up.
    Lookup,
    /// The ten members of a process group are listed.
    Members,
    /// A bus brings an event to its one subscriber, which receives it.
    Broadcast,
    /// As `Message`, between processes whose mailboxes have bounds.
    Bounded,
    /// As `Message`, with two workers for one pair.
    Pair,
    /// Processes in a chain of links are spawned and die of the first; per
    /// process.
    Chain,
    /// The one child of a supervisor crashes and is restarted.
    Restart,
    /// Many processes are named, looked up, and lose their names; per process.
    Names,
    /// One process is linked to many and ends; per link.
    Links,
    /// Many timers are set, then cancelled; per timer.
    Timers,
    /// A dynamic supervisor starts many children and stops them; per child.
    Children,
    /// A process waits for messages, in a node of many like it.
    Idle,
    /// So does a gen_server with a word of state.
    IdleServer,
    /// So does a state machine.
    IdleStatem,
}

/// How a path is measured.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// By what an operation costs.
    Cost,
    /// By how the cost of an operation grows when there are ten times as many.
    Growth,
    /// By the bytes that stay allocated.
    Bytes,
    /// By how often a thread is woken in the whole run.
    Wakes,
}

impl Method {
    /// Whether it is measured with one worker, so that a run is the same each
    /// time.
    pub(crate) fn is_on_one_thread(self) -> bool {
        match self {
            Self::Cost | Self::Growth | Self::Bytes => true,
            Self::Wakes => false,
        }
    }
}

impl Path {
    pub(crate) const ALL: [Self; 28] = [
        Self::Message,
        Self::Send,
        Self::Receive,
        Self::Call,
        Self::Spawn,
        Self::LinkExit,
        Self::MonitorDown,
        Self::Timer,
        Self::Whereis,
        Self::SendByName,
        Self::Statem,
        Self::Task,
        Self::Agent,
        Self::Event,
        Self::Lookup,
        Self::Members,
        Self::Broadcast,
        Self::Bounded,
        Self::Pair,
        Self::Chain,
        Self::Restart,
        Self::Names,
        Self::Links,
        Self::Timers,
        Self::Children,
        Self::Idle,
        Self::IdleServer,
        Self::IdleStatem,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|path| path.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Call => "call",
            Self::Spawn => "spawn",
            Self::LinkExit => "link_exit",
            Self::MonitorDown => "monitor_down",
            Self::Timer => "timer",
            Self::Whereis => "whereis",
            Self::SendByName => "send_by_name",
            Self::Statem => "statem",
            Self::Task => "task",
            Self::Agent => "agent",
            Self::Event => "event",
            Self::Lookup => "lookup",
            Self::Members => "members",
            Self::Broadcast => "broadcast",
            Self::Bounded => "bounded",
            Self::Pair => "pair",
            Self::Chain => "chain",
            Self::Restart => "restart",
            Self::Names => "names",
            Self::Links => "links",
            Self::Timers => "timers",
            Self::Children => "children",
            Self::Idle => "idle",
            Self::IdleServer => "idle_server",
            Self::IdleStatem => "idle_statem",
        }
    }

    pub(crate) fn method(self) -> Method {
        match self {
            Self::Message
            | Self::Send
            | Self::Receive
            | Self::Call
            | Self::Spawn
            | Self::LinkExit
            | Self::MonitorDown
            | Self::Timer
            | Self::Whereis
            | Self::SendByName
            | Self::Statem
            | Self::Task
            | Self::Agent
            | Self::Event
            | Self::Lookup
            | Self::Members
            | Self::Broadcast
            | Self::Bounded => Method::Cost,
            Self::Pair => Method::Wakes,
            Self::Chain
            | Self::Restart
            | Self::Names
            | Self::Links
            | Self::Timers
            | Self::Children => Method::Growth,
            Self::Idle | Self::IdleServer | Self::IdleStatem => Method::Bytes,
        }
    }

    /// Whether plain Tokio has something like it to compare with.
    pub(crate) fn is_in_tokio(self) -> bool {
        matches!(
            self,
            Self::Message
                | Self::Send
                | Self::Receive
                | Self::Call
                | Self::Spawn
                | Self::Timer
                | Self::Pair
                | Self::Idle
        )
    }

    /// How many operations the shorter of two runs does; enough for what
    /// happens now and then to even out.
    pub(crate) fn operations(self) -> u64 {
        match self.method() {
            Method::Cost => 20_000,
            Method::Growth => 1_000,
            Method::Bytes => 100_000,
            Method::Wakes => 1_000_000,
        }
    }
}

/// Whose path it is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum System {
    Resurgam,
    /// Tasks with channels, for comparison.
    Tokio,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Resurgam => "resurgam",
            Self::Tokio => "tokio",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Resurgam, Self::Tokio]
            .into_iter()
            .find(|system| system.name() == name)
    }
}
