use super::{ExitMode, Reaction, react_to_exit};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::signal::{Cause, Exit};

fn exit(reason: ExitReason) -> Exit {
    Exit {
        from: Pid::new(1, 7),
        reason,
    }
}

#[track_caller]
fn check(cause: Cause, mode: ExitMode, reason: ExitReason, expected: Reaction) {
    assert_eq!(react_to_exit(mode, cause, exit(reason)), expected);
}

/// TRAP-05, EXIT-07.
#[test]
fn normal_is_ignored_by_who_does_not_trap() {
    for cause in [Cause::Linked, Cause::Asked] {
        let ignored = Reaction::Ignore(exit(ExitReason::Normal));
        check(cause, ExitMode::Fatal, ExitReason::Normal, ignored);
    }
}

/// TRAP-06, EXIT-06, EXIT-21.
#[test]
fn any_other_reason_ends_who_does_not_trap() {
    for reason in [
        ExitReason::Shutdown,
        ExitReason::Killed,
        ExitReason::NoProcess,
        ExitReason::custom(1),
        ExitReason::shutdown_with(1),
    ] {
        for cause in [Cause::Linked, Cause::Asked] {
            check(
                cause,
                ExitMode::Fatal,
                reason.clone(),
                Reaction::Die(reason.clone()),
            );
        }
    }
}

/// TRAP-02, EXIT-08.
#[test]
fn who_traps_gets_every_reason_as_a_message() {
    for reason in [
        ExitReason::Normal,
        ExitReason::Shutdown,
        ExitReason::custom(1),
    ] {
        for cause in [Cause::Linked, Cause::Asked] {
            let delivered = Reaction::Deliver(exit(reason.clone()));
            check(cause, ExitMode::Trapped, reason.clone(), delivered);
        }
    }
}

/// EXIT-12.
#[test]
fn an_explicit_kill_cannot_be_trapped_and_becomes_killed() {
    for mode in [ExitMode::Fatal, ExitMode::Trapped] {
        check(
            Cause::Asked,
            mode,
            ExitReason::Kill,
            Reaction::Die(ExitReason::Killed),
        );
    }
}

/// EXIT-14.
#[test]
fn a_kill_along_a_link_is_trappable_and_keeps_its_name() {
    let kill = ExitReason::Kill;
    check(
        Cause::Linked,
        ExitMode::Fatal,
        kill.clone(),
        Reaction::Die(kill.clone()),
    );
    check(
        Cause::Linked,
        ExitMode::Trapped,
        kill.clone(),
        Reaction::Deliver(exit(kill)),
    );
}
