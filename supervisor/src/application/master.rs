//! The process of an application: it starts the tree, is its parent, and takes
//! it down.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use futures::future::{Either, select};
use resurgam_runtime::{
    Context, Exit, ExitReason, Message, Node, Pid, ProcessRef, StartError, kill, link, planted,
    process_info, self_pid, set_group_leader,
};
use tracing::error;

use super::controller::{APPLICATION, Request};
use super::{Application, ApplicationContext, Callback, ConfigChange};
use crate::caught::guarded;
use crate::child_spec::Shutdown;
use crate::shutdown::{Alarm, is_dead, stop_child};
use crate::start::{StartFunction, StartPanicked, Started, caught};

/// What an application is told.
pub(crate) enum Order {
    Stop,
    /// With the number of the change.
    ConfigChange(ConfigChange, u64),
}

/// How it went: the term with which the process ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    NotStarted(StartError),
    Ended(ExitReason),
    Stopped,
}

/// The process, which is the group leader of the application. It traps exits.
pub(crate) struct Master {
    ctx: Context<Order>,
    application: Arc<Application>,
    context: ApplicationContext,
    controller: ProcessRef<Request>,
    tree: Tree,
    /// Changes that came while something else was done.
    changes: VecDeque<(ConfigChange, u64)>,
}

/// The processes below.
enum Tree {
    /// Its top is not known yet; those that ended meanwhile.
    Unknown(Vec<Exit>),
    Up(Pid),
    /// It has ended, or there is none.
    Down,
}

/// Why the application is to end.
enum End {
    Ordered,
    /// The controller is gone.
    Orphaned,
    /// The top supervisor has ended.
    Top(ExitReason),
}

impl Master {
    /// The body of the process.
    pub(crate) async fn live(
        ctx: Context<Order>,
        application: Arc<Application>,
        context: ApplicationContext,
        controller: ProcessRef<Request>,
    ) -> ExitReason {
        set_group_leader(self_pid());
        let master = Self {
            ctx,
            application,
            context,
            controller,
            tree: Tree::Unknown(Vec::new()),
            changes: VecDeque::new(),
        };
        ExitReason::shutdown_with(master.run().await)
    }

    async fn run(mut self) -> Outcome {
        if let Err(not_up) = self.start().await {
            self.controller.cast(Request::Ending(self_pid()));
            self.take_down().await;
            kill_strays();
            return not_up.outcome();
        }
        self.controller.cast(Request::Up {
            master: self_pid(),
            top: self.tree.top(),
        });
        let outcome = match self.serve().await {
            End::Top(reason) => Outcome::Ended(reason),
            End::Ordered | End::Orphaned => Outcome::Stopped,
        };
        self.controller.cast(Request::Ending(self_pid()));
        self.call("prep_stop", &self.application.prep_stop).await;
        self.take_down().await;
        kill_strays();
        outcome
    }

    /// Starts the tree, then goes through the phases.
    async fn start(&mut self) -> Result<(), NotUp> {
        let application = Arc::clone(&self.application);
        let Some(start) = &application.start else {
            self.tree = Tree::Down;
            return Ok(());
        };
        let (start, context) = (Arc::clone(start), self.context.clone());
        let start = StartFunction::waiting(move || start(context.clone()));
        let started = self.attend(start.run(None)).await??;
        self.adopt(&started)?;
        for (_, phase) in &application.phases {
            let context = self.context.clone();
            self.attend(caught(|| phase(context))).await???;
        }
        Ok(())
    }

    /// The top supervisor is known.
    fn adopt(&mut self, started: &Started) -> Result<(), NotUp> {
        let top = started.pid().ok_or(StartError::Ignore)?;
        let before = std::mem::replace(&mut self.tree, Tree::Up(top));
        let Tree::Unknown(exits) = before else {
            return Ok(());
        };
        match exits.into_iter().find(|exit| exit.from == top) {
            Some(exit) => {
                self.tree = Tree::Down;
                Err(exit.reason.into())
            }
            None => {
                link(top);
                Ok(())
            }
        }
    }

    /// Runs until the application is to end.
    async fn serve(&mut self) -> End {
        loop {
            if let Some((change, number)) = self.changes.pop_front() {
                if let Err(end) = self.change(change).await {
                    return end;
                }
                let changed = Request::HasChanged(self_pid(), number);
                self.controller.cast(changed);
                continue;
            }
            let message = self.ctx.receive().await;
            if let Some(end) = self.meaning(message).await {
                return end;
            }
        }
    }

    async fn change(&mut self, change: ConfigChange) -> Result<(), End> {
        let Some(config_change) = self.application.config_change.clone() else {
            return Ok(());
        };
        let context = self.context.clone();
        let changing = caught(move || config_change(context, change));
        if let Err(panicked) = self.attend(changing).await? {
            self.report("config_change", &panicked);
        }
        Ok(())
    }

    /// Waits for something of the user's, unless the application is to end
    /// first.
    async fn attend<T>(&mut self, work: impl Future<Output = T> + Send) -> Result<T, End> {
        let mut work = pin!(work);
        loop {
            let message = match select(work.as_mut(), pin!(self.ctx.receive())).await {
                Either::Left((done, _)) => return Ok(done),
                Either::Right((message, _)) => message,
            };
            if let Some(end) = self.meaning(message).await {
                return Err(end);
            }
        }
    }

    async fn meaning(&mut self, message: Message<Order>) -> Option<End> {
        match message {
            Message::User(Order::Stop) => Some(End::Ordered),
            Message::User(Order::ConfigChange(change, number)) => {
                self.changes.push_back((change, number));
                None
            }
            Message::Exit(exit) if Some(exit.from) == self.controller.pid() => Some(End::Orphaned),
            Message::Exit(exit) => self.exited(exit).await,
            _ => None,
        }
    }

    async fn exited(&mut self, exit: Exit) -> Option<End> {
        match &mut self.tree {
            Tree::Unknown(exits) => exits.push(exit),
            Tree::Up(top) if *top == exit.from && is_dead(exit.from).await => {
                self.tree = Tree::Down;
                return Some(End::Top(exit.reason));
            }
            Tree::Up(_) | Tree::Down => {}
        }
        None
    }

    /// Stops the tree, for as long as that takes, then does what is done after
    /// it (law APP-08).
    async fn take_down(&mut self) {
        match std::mem::replace(&mut self.tree, Tree::Down) {
            Tree::Unknown(_) => return self.take_down_unknown().await,
            Tree::Up(top) => stop_infinitely(top).await,
            Tree::Down => {}
        }
        self.call("stop", &self.application.stop).await;
    }

    /// What a start that failed has left linked.
    async fn take_down_unknown(&self) {
        let myself = process_info(self_pid()).await.ok().flatten();
        let links = myself.map(|info| info.links).unwrap_or_default();
        for pid in links {
            if Some(pid) != self.controller.pid() {
                stop_infinitely(pid).await;
            }
        }
    }

    async fn call(&self, what: &str, callback: &Option<Callback>) {
        let Some(callback) = callback else { return };
        if let Err(panicked) = caught(|| callback(self.context.clone())).await {
            self.report(what, &panicked);
        }
    }

    /// A callback panicked whose failure changes nothing.
    fn report(&self, callback: &str, panicked: &StartPanicked) {
        guarded(|| {
            error!(
                target: APPLICATION,
                application = %self.context.name(),
                callback,
                reason = panicked.message(),
                "callback of an application panicked"
            );
        });
    }
}

async fn stop_infinitely(pid: Pid) {
    stop_child(pid, Shutdown::Infinity, &mut Alarm::default()).await;
}

/// The controller does it too, and waits for them; but it may be gone.
fn kill_strays() {
    let myself = self_pid();
    let members = Node::current().group_members(myself);
    members
        .into_iter()
        .filter(|pid| *pid != myself && !planted!(StraysLeft))
        .for_each(kill);
}

/// Why an application is not up.
enum NotUp {
    Failed(StartError),
    Ends(End),
}

impl NotUp {
    fn outcome(self) -> Outcome {
        match self {
            Self::Failed(error) => Outcome::NotStarted(error),
            Self::Ends(End::Top(reason)) => Outcome::NotStarted(StartError::Failed(reason)),
            Self::Ends(End::Ordered | End::Orphaned) => Outcome::Stopped,
        }
    }
}

impl From<End> for NotUp {
    fn from(end: End) -> Self {
        Self::Ends(end)
    }
}

impl From<StartError> for NotUp {
    fn from(error: StartError) -> Self {
        Self::Failed(error)
    }
}

impl From<StartPanicked> for NotUp {
    fn from(panicked: StartPanicked) -> Self {
        ExitReason::custom(panicked).into()
    }
}

impl From<ExitReason> for NotUp {
    fn from(reason: ExitReason) -> Self {
        Self::Failed(StartError::Failed(reason))
    }
}

impl Tree {
    fn top(&self) -> Option<Pid> {
        match self {
            Self::Up(top) => Some(*top),
            Self::Unknown(_) | Self::Down => None,
        }
    }
}
