//! The process that is taking its turn on this thread.

use std::cell::RefCell;
use std::sync::Arc;

use crate::node::NodeInner;
use crate::process::cell::Process;

thread_local! {
    static CURRENT: RefCell<Option<Arc<dyn Process>>> = const { RefCell::new(None) };
}

/// Makes a process the current one until the guard is dropped.
pub(crate) fn enter(process: Arc<dyn Process>) -> Entered {
    Entered {
        before: CURRENT.replace(Some(process)),
    }
}

/// Leaves the current process until the guard is dropped.
pub(crate) fn leave() -> Entered {
    Entered {
        before: CURRENT.take(),
    }
}

/// See [`enter`].
pub(crate) struct Entered {
    before: Option<Arc<dyn Process>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let ended = CURRENT.replace(self.before.take());
        drop(ended);
    }
}

/// The current process, if there is one.
pub(crate) fn get() -> Option<Arc<dyn Process>> {
    // A destructor of another thread-local value may come here late.
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// Looks at the current process. `look` must not run anything of the user's.
pub(crate) fn with<R>(look: impl FnOnce(&Arc<dyn Process>) -> R) -> Option<R> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(look))
        .ok()
        .flatten()
}

/// Looks at the current process if it is one of this node; of another node it
/// is a stranger here. As [`with`].
pub(crate) fn on<R>(node: &NodeInner, look: impl FnOnce(&Arc<dyn Process>) -> R) -> Option<R> {
    with(|process| std::ptr::eq(&*process.header().node, node).then(|| look(process))).flatten()
}

/// The current process.
///
/// # Panics
///
/// If there is none; `what` names the operation that needs one.
#[track_caller]
pub(crate) fn expect(what: &str) -> Arc<dyn Process> {
    match get() {
        Some(process) => process,
        None => panic!("`{what}` was called outside a process; only a process can do that"),
    }
}

/// Whether this process is the current one.
pub(crate) fn is(process: &Arc<dyn Process>) -> bool {
    with(|current| std::ptr::addr_eq(Arc::as_ptr(current), Arc::as_ptr(process))).unwrap_or(false)
}
