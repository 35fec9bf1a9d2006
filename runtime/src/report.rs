//! Crash reports, as `tracing` events with the target `resurgam::crash`.

use std::panic::{self, AssertUnwindSafe};

use crate::caught::discard_payload;
use crate::exit_reason::ExitReason;
use crate::process::cell::Process;
use crate::process::exit::Death;

/// Reports the end of a process if it is a crash: it ended by itself, for a
/// reason that is not graceful (laws PLIB-09, PLIB-11). An exit signal that
/// ends a process is no crash of that process (LOG-08).
///
/// Runs the subscriber's code; a panic of it goes no further.
pub(crate) fn ended(process: &Process, death: &Death) {
    if cfg!(resurgam_unobserved) {
        return;
    }
    let reason = match death {
        Death::Own(reason) if reason.is_abnormal() => reason,
        Death::Own(_) | Death::Ordered(_) => return,
    };
    let reported = panic::catch_unwind(AssertUnwindSafe(|| crash(process, reason)));
    if let Err(payload) = reported {
        discard_payload(payload);
    }
}

fn crash(process: &Process, reason: &ExitReason) {
    let header = process.header();
    let name = header.name();
    let label = header.label();
    let callers = header.callers();
    let place = match reason {
        ExitReason::Panicked(panic) => panic.location(),
        _ => None,
    };
    tracing::error!(
        target: "resurgam::crash",
        pid = %header.pid,
        name = name.as_ref().map(|name| name.as_str()),
        label = label.as_deref(),
        reason = %reason,
        place,
        ancestors = ?header.node.ancestors(header.parent()),
        callers = callers.map(tracing::field::debug),
        queue_len = process.queue_len(),
        "process crashed"
    );
}
