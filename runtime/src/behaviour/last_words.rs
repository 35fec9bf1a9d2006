//! What a behaviour leaves for the crash report: it is gone when that is
//! written.

use crate::exit_reason::ExitReason;
use crate::process::current;
use crate::report::{Client, ServerReport};
use crate::sys::EventKind;
use crate::sys::desk::shown;
use crate::sys::request::Subject;

/// Leaves word of a behaviour that ends with this reason, if that is a crash
/// (law LOG-07). To be said before `terminate`, as the state is then.
pub(crate) fn leave_report(subject: &dyn Subject, reason: &ExitReason) {
    if !reason.is_abnormal() || cfg!(resurgam_unobserved) {
        return;
    }
    let state = shown(|| subject.format());
    let log = subject.desk().and_then(|desk| desk.logged());
    let log = log.unwrap_or_default();
    let last = log
        .iter()
        .rev()
        .find(|event| event.kind != EventKind::State);
    let report = Box::new(ServerReport {
        behaviour: subject.type_name(),
        state,
        last_event: last.cloned(),
        client: client(),
        log,
    });
    let before = current::with(|process| process.owner().rare.server_report.replace(report));
    drop(before);
}

/// Whose call the last callback has left unanswered.
fn client() -> Option<Client> {
    current::with(|process| {
        let caller = process.owner().rare.unanswered.last()?.caller();
        let node = &process.header().node;
        let label = node
            .table
            .get(caller)
            .and_then(|caller| caller.header().label());
        Some(Client {
            pid: caller,
            label: label.as_deref().map(str::to_owned),
        })
    })
    .flatten()
}
