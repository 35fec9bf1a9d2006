//! What a task does, and on whose behalf.

use std::any::type_name;
use std::iter;
use std::sync::Arc;

use futures::FutureExt;

use crate::pid::Pid;
use crate::process::current;
use crate::slot::Slot;

/// The work of a task, on its way to the process that does it.
pub(super) struct Work<F: Future> {
    future: F,
    place: Arc<Slot<F::Output>>,
    callers: Option<Arc<[Pid]>>,
}

impl<F> Work<F>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    /// Work for the process that runs, and where its result will be.
    pub(super) fn new(future: F) -> (Self, Arc<Slot<F::Output>>) {
        let place = Arc::new(Slot::new());
        let work = Self {
            future,
            place: Arc::clone(&place),
            callers: line(),
        };
        (work, place)
    }

    /// Does the work, in the process of the task. The result is left only when
    /// the future is gone, so that nothing of the user's comes after it.
    pub(super) fn begin(self) -> impl Future<Output = ()> + Send + use<F> {
        let Self {
            future,
            place,
            callers,
        } = self;
        // Made before the lock is taken, which is for a few instructions.
        let label = type_name::<F>().into();
        current::with(|process| {
            let mut identity = process.header().identity.lock();
            identity.label = Some(label);
            if callers.is_some() {
                identity.callers = callers;
            }
        });
        future.map(move |result| place.settle(result))
    }
}

/// How many callers are kept: a chain of tasks, each of which starts the next,
/// has no end.
const MOST: usize = 64;

/// On whose behalf the process that runs works: the process that started this
/// task, then the one on whose behalf that one works, and so on (law TASK-28).
/// Empty for a process that is no task, and outside of processes.
///
/// A task that a supervisor started has the supervisor for its parent; this
/// tells who asked for it.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Node, Task, callers, self_pid};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|_: Context<()>| async {
///     let task = Task::spawn(async { callers() })?;
///     assert_eq!(task.await?, [self_pid()]);
///     Ok(())
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
pub fn callers() -> Vec<Pid> {
    let callers = current::with(|process| process.header().callers());
    callers.flatten().as_deref().unwrap_or_default().to_vec()
}

/// Says on whose behalf the process that runs works. Tasks do so by themselves;
/// this is for other processes that do a piece of work for somebody. The
/// nearest 64 are kept.
///
/// # Panics
///
/// Outside a process.
#[track_caller]
pub fn set_callers(callers: impl IntoIterator<Item = Pid>) {
    let process = current::expect("set_callers");
    let callers = callers.into_iter().take(MOST).collect();
    process.header().identity.lock().callers = Some(callers);
}

/// The callers of what the process that runs starts: itself, and its own.
fn line() -> Option<Arc<[Pid]>> {
    current::with(|process| {
        let header = process.header();
        let older = header.callers();
        let older = older.as_deref().unwrap_or_default().iter().copied();
        iter::once(header.pid).chain(older).take(MOST).collect()
    })
}
