//! Bugs on purpose, for the proof of the proof: with `--cfg resurgam_planted`,
//! one wrong rule at a time can be chosen while the program runs, and the
//! suite has to notice. Without that cfg nothing of this is compiled.

use std::sync::atomic::{AtomicU8, Ordering};

macro_rules! bugs {
    ($($(#[doc = $what:literal])+ $bug:ident,)+) => {
        /// A wrong rule.
        #[derive(Copy, Clone, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Bug {
            /// None: all rules are right.
            None,
            $($(#[doc = $what])+ $bug,)+
        }

        impl Bug {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$bug),+];

            /// What is wrong.
            pub fn what(self) -> &'static str {
                match self {
                    Self::None => "nothing",
                    $(Self::$bug => concat!($($what),+),)+
                }
            }
        }
    };
}

bugs! {
    /// the last linked process is not told of an end
    ExitDropped,
    /// the first watcher is not told of an end
    DownDropped,
    /// a monitor of a dead process brings nothing
    NoprocDownDropped,
    /// a link to a dead process brings nothing
    NoprocExitDropped,
    /// an unlink is not acknowledged
    UnlinkNotAcknowledged,
    /// an unlink of the other end makes this end forget its own
    UnlinkForgotten,
    /// an exit counts although this end has unlinked
    ExitAfterUnlink,
    /// a link request that crosses an unlink counts
    CrossedLinkCounts,
    /// only the child knows that it was born linked
    SpawnLinkHalf,
    /// the name is freed after others were told of the end
    NameReleasedLate,
    /// the name is never freed
    NameKept,
    /// the newest message is received first
    MailboxLifo,
    /// notices of exits and downs overtake messages
    NoticesOvertake,
    /// messages are lost when more come before the inbox is empty
    InboxOverwritten,
    /// a process that ends its turn overlooks what came during it
    WakeLostAtTurnEnd,
    /// a signal does not wake a sleeping process
    SignalDoesNotWake,
    /// a message does not wake a process that waits for it
    MessageDoesNotWake,
    /// monitors are told before links
    MonitorsFirst,
    /// a kill can be trapped
    KillTrapped,
    /// who is killed tells the others the reason kill
    KillNotRenamed,
    /// a normal exit ends a process that does not trap
    NormalIsFatal,
    /// a process that traps exits is ended by an error
    TrapIgnored,
    /// timers outlive the process they are aimed at
    TimersKept,
    /// a cancelled timer fires
    CancelledTimerFires,
    /// a timer fires before its time
    TimerEarly,
    /// the callers of a server that ends hear nothing
    CallersForgotten,
    /// a reply that is dropped is not told to its caller
    DroppedReplyUntold,
    /// a monitor that was taken back still fires
    DemonitoredFires,
    /// a flush takes the exit of any process
    FlushTakesAny,
    /// a join is told before the links are
    JoinTooEarly,
    /// a process that ended stays in the table
    TableKept,
    /// a server is said to be up before its init is done
    AcknowledgedEarly,
    /// a time-out of a call leaves its reply in force for the next one
    TimeoutUnheeded,
    /// one restart more than allowed
    IntensityOneMore,
    /// restarts are forgotten too early
    WindowTooShort,
    /// rest_for_one takes along the children before the one that fell
    RestForOneTakesOlder,
    /// one_for_all starts again only the one that fell
    OneForAllRestartsOne,
    /// the other children are not stopped before they are started again
    SiblingsNotStopped,
    /// children are stopped in the order of their start
    StoppedInStartOrder,
    /// a transient child is restarted after a normal end
    TransientAlwaysRestarted,
    /// a temporary child is restarted
    TemporaryRestarted,
    /// a child that does not shut down in time is left alone
    TimeoutDoesNotKill,
    /// a supervisor that ends forgets its first child
    OrphanLeft,
    /// a restart that failed is not tried again
    RetryForgotten,
    /// there may be one child more than max_children
    OneChildTooMany,
    /// a task's result is lost if it was there before it was awaited
    LateResultLost,
    /// a task that is started linked is not
    TaskNotLinked,
    /// an ordered stream of tasks gives out what ends first
    StreamUnordered,
    /// an alias stays open when its monitor is taken back
    AliasKept,
    /// an answer by a reply alias leaves the alias open
    ReplyAliasKept,
    /// members that end stay in their groups
    MembershipKept,
    /// an interval goes on after its cancel
    IntervalGoesOn,
    /// an interval outlives the process it is aimed at
    IntervalOutlivesTarget,
    /// the oldest postponed event is dropped when the state changes
    PostponedDropped,
    /// a state timeout runs on when the state has changed
    StateTimeoutKept,
    /// a collection of requests loses those whose server is down
    ResponseLost,
    /// a selective receive looks at everything again when something comes
    PlaceForgotten,
    /// a selective receive looks at what came before its mark
    MarkForgotten,
    /// a priority message overtakes the signals its sender sent before
    PriorityOvertakes,
    /// an application starts before what it needs
    DependencyUnheeded,
    /// processes of an application outlive it
    StraysLeft,
    /// the owner of a handler that failed is not told
    RemovalUntold,
    /// a handler outlives the owner that has ended
    HandlerOutlivesOwner,
    /// keys of a process that has ended stay
    KeysKept,
    /// a bridge outlives what it stands for
    BridgeOutlivesMain,
    /// the place of one who waits no longer at a full mailbox is lost
    PlaceLost,
    /// who waits at a full mailbox is not told of its end
    LineForgotten,
    /// applications that wait for each other are not told so
    CircleUntold,
    /// who needs an application that has ended is not told that it has
    EndForgotten,
    /// applications are stopped in the order in which they were up
    FirstUpStopsFirst,
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// Plants a bug, in place of the one before.
pub fn plant(bug: Bug) {
    CHOSEN.store(bug as u8, Ordering::SeqCst);
}

/// Whether this bug is planted.
pub fn is(bug: Bug) -> bool {
    CHOSEN.load(Ordering::Relaxed) == bug as u8
}
