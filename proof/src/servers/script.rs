//! Scripts: what clients do with two servers, and what the servers do about it.

/// What is done, one step after the other.
#[derive(Clone, Debug)]
pub struct Case {
    /// Whether each client traps exits.
    pub(super) traps: [bool; CLIENTS.len()],
    pub(super) steps: Vec<Step>,
}

/// The clients.
pub(super) const CLIENTS: [Who; 3] = ['a', 'b', 'c'];

/// A client: what it is called.
pub(super) type Who = char;

/// The place of a server, which may be started there again and again.
pub(super) type Slot = u8;

/// How many places there are.
pub(super) const SLOTS: u8 = 2;

#[derive(Clone, Debug)]
pub(super) enum Step {
    /// A client does something, unless it is still busy or has ended.
    Do(Who, Command),
    /// A server that holds still goes on.
    Release(Slot),
    /// Time passes, until all that was to be short is over.
    Wait,
}

/// What a client does.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// Starts a server, if none is there.
    Start(Start),
    Call(Target, Limit, Event),
    Cast(Target, Event),
    /// Sends a request, whose response is waited for later.
    Send(Target, Event),
    /// Looks for the response to the oldest of these requests.
    Response(Manner, Limit),
    /// Sends a request that belongs to a collection.
    Add(Target, Event),
    /// Looks for one response of the collection.
    Gather(Manner, Limit),
    Stop(Target, Limit, Reason),
    Sys(Target, Limit, Ask),
    /// `sys:terminate`, without waiting for the order to be taken: Erlang waits
    /// for that, though it is documented otherwise (law SYS-11).
    Terminate(Target, Reason),
    Exit(Slot, Reason),
    Link(Slot),
    Unlink(Slot),
    Monitor(Slot),
    Demonitor(Slot),
    Whereis(Slot),
    /// Replies to the oldest call that was handed out.
    Answer(u32),
    End(Reason),
}

#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) slot: Slot,
    pub(super) bond: Bond,
    /// The place whose name it is to have.
    pub(super) name: Option<Slot>,
    /// For `init`.
    pub(super) limit: Limit,
    pub(super) life: Life,
    pub(super) init: Init,
    /// Whether `init` holds still first.
    pub(super) held: bool,
}

#[derive(Copy, Clone, Debug)]
pub(super) enum Bond {
    Free,
    Linked,
    Monitored,
}

/// Who is addressed: whoever was started at a place, or has its name.
#[derive(Copy, Clone, Debug)]
pub(super) enum Target {
    Pid(Slot),
    Name(Slot),
}

/// How long a client waits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// It does not.
    Zero,
    /// Until time passes.
    Short,
    Never,
}

/// How a client looks for a response.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Manner {
    /// It takes the response if it is there.
    Check,
    /// It keeps a request that it waited for in vain.
    Wait,
    /// It does not.
    Receive,
}

/// What is asked of `sys`.
#[derive(Copy, Clone, Debug)]
pub(super) enum Ask {
    Suspend,
    Resume,
    State,
    Replace(u32),
    /// The function that is to replace the state crashes.
    Crash,
    Status,
}

/// What a server does in any case.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) traps: bool,
    /// About an exit or the end of a monitored process.
    pub(super) on_info: Plan,
    pub(super) on_end: OnEnd,
}

/// What `terminate` does.
#[derive(Copy, Clone, Debug)]
pub(super) enum OnEnd {
    Nothing,
    Hold,
    Crash,
}

/// How `init` ends.
#[derive(Clone, Debug)]
pub(super) enum Init {
    Ok(Then),
    Ignore,
    Stop(Reason),
    /// It exits with this reason.
    Raise(Reason),
    Crash,
}

/// What a server is given: a number of its own, and what to do about it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) number: u32,
    pub(super) plan: Plan,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) acts: Vec<Act>,
    pub(super) end: End,
}

#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Replies to the newest call without a reply, which is the present one if
    /// it is a call.
    Reply,
    /// Replies to the oldest.
    ReplyOldest,
    /// Hands the newest out, for others to reply.
    HandOut,
    CastSelf(Event),
    CallSelf,
    /// Holds still until it is released.
    Hold,
    Trap(bool),
    /// Links to a client, if that lives: a server would end by an error there,
    /// by a signal here (law LINK-05).
    Link(Who),
    Monitor(Who),
    /// Sends an exit signal to itself; the last that is done.
    ExitSelf(Reason),
}

/// How a callback ends.
#[derive(Clone, Debug)]
pub(super) enum End {
    Ok(Then),
    Stop(Reason),
    /// A plain stop, if the event is no call or has its reply.
    StopReply(Reason),
    /// It exits with this reason.
    Raise(Reason),
    Crash,
}

/// What is to happen next.
#[derive(Clone, Debug)]
pub(super) enum Then {
    Nothing,
    Hibernate,
    Continue(Box<Event>),
    Timeout(Due, Box<Event>),
}

#[derive(Copy, Clone, Debug)]
pub(super) enum Due {
    Zero,
    /// When time passes, after the clients' waits.
    Short,
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Reason {
    Normal,
    Shutdown,
    ShutdownWith,
    Kill,
    Oops,
}
