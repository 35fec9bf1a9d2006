//! Who asks the controller for something that takes time, and who waits for
//! whoever asks.

use futures::FutureExt;
use resurgam_runtime::{Node, Pid, ProcessInfo, ProcessStage, Reply, try_self_pid};

/// A request, and the process that waits for its answer.
pub(crate) struct Caller<T: Send + 'static> {
    /// `None` if it belongs to no application, for it has no group leader.
    asker: Option<Asker>,
    pub(crate) reply: Reply<T>,
}

impl<T: Send + 'static> Caller<T> {
    pub(crate) fn new(asker: Option<Asker>, reply: Reply<T>) -> Self {
        Self { asker, reply }
    }

    /// The process, if it waits and could be waited for.
    pub(crate) fn asker(&self) -> Option<&Asker> {
        let waits = !self.reply.is_closed();
        self.asker.as_ref().filter(|_| waits)
    }
}

/// A process that may belong to an application. A task counts as those on whose
/// behalf it works: they wait for it.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) leader: Pid,
    pids: Vec<Pid>,
    is_awaited: bool,
    is_deaf: bool,
}

impl Asker {
    /// The process that runs, if it is one of this node.
    pub(crate) async fn current(node: &Node) -> Option<Self> {
        let pid = try_self_pid()?;
        // What a process asks of itself is answered at once.
        let myself = node.process_info(pid).now_or_never()?.ok()??;
        let mut asker = Self {
            leader: myself.group_leader?,
            pids: Vec::new(),
            is_awaited: false,
            is_deaf: false,
        };
        asker.count_in(&myself);
        for caller in myself.callers {
            if let Ok(Some(caller)) = node.process_info(caller).await {
                asker.count_in(&caller);
            }
        }
        Some(asker)
    }

    fn count_in(&mut self, info: &ProcessInfo) {
        self.pids.push(info.pid);
        self.is_awaited |= info.stage != ProcessStage::Running;
        self.is_deaf |= info.trap_exit;
    }

    /// Whether it is this process.
    pub(crate) fn is(&self, pid: Pid) -> bool {
        self.pids.contains(&pid)
    }

    /// Whether it is in `init` or in `terminate`, so that somebody waits.
    pub(crate) fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Whether it traps exits, so that it is not ended by being told to.
    pub(crate) fn is_deaf(&self) -> bool {
        self.is_deaf
    }
}
