//! A seeded simulator: the same processes, servers and supervisors, in a world
//! where a seed decides what happens next.
//!
//! A simulated node has one thread, a clock of its own that moves only when
//! nothing else can happen, and parks every signal between two processes until
//! it is its turn. At each step one of the things that could happen does: a
//! process takes its turn, the oldest signal from one process to another
//! arrives, a timer fires, or a fault strikes. That is the freedom Erlang's
//! guarantees leave (law SIG-01: only signals between the same two processes
//! keep their order), no more and no less.
//!
//! A [`Plan`] runs a scenario under many seeds. While it runs, books are kept
//! beside the runtime: every monitor, link, call and message is accounted for,
//! and a simulation in which one is lost fails, whatever the scenario itself
//! asserts. A failure names its seed; the same seed is the same run, step by
//! step, and is shrunk to the choices that it needs.
//!
//! The code under test runs as it is, as long as it keeps to the node's clock,
//! spawn and random numbers. What waits for real I/O, real time or another
//! thread is told so: Tokio's timers and sockets panic, and a process that is
//! woken by another thread fails the simulation.
//!
//! # Examples
//!
//! ```
//! use std::cell::RefCell;
//! use std::collections::BTreeSet;
//! use resurgam_runtime::sim::Plan;
//! use resurgam_runtime::{Context, Message, spawn};
//!
//! // Two processes send to a third: nobody says which message comes first.
//! let firsts = RefCell::new(BTreeSet::new());
//! Plan::new().seeds(20).run(|sim| {
//!     let (tx, rx) = futures::channel::oneshot::channel();
//!     let third = sim.client(move |mut ctx: Context<u8>| async move {
//!         let Message::User(first) = ctx.receive().await else { panic!("no message") };
//!         let _ = tx.send(first);
//!     });
//!     let first = sim.run(async move {
//!         for n in 1..=2 {
//!             let third = third.clone();
//!             spawn(move |_: Context<()>| async move { third.cast(n) }).unwrap();
//!         }
//!         rx.await.unwrap()
//!     });
//!     firsts.borrow_mut().insert(first);
//! });
//! assert_eq!(firsts.into_inner(), BTreeSet::from([1, 2]));
//! ```

mod books;
mod checks;
mod faults;
mod hooks;
mod plan;
mod random;
mod shrink;
mod tape;
#[cfg(all(test, not(resurgam_loom)))]
mod tests;
mod trace;
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{self, Poll, Waker};
use std::time::{Duration, Instant};

use crate::caught::drop_caught;
use crate::clock::{Clock, VirtualClock};
use crate::exit_reason::ExitReason;
use crate::node::{Node, NodeInner};
use crate::panic_hook;
use crate::pid::Pid;
use crate::process::body::{self, After};
use crate::process::context::Context;
use crate::process_ref::ProcessRef;
use crate::signal::{Cause, Exit, Signal};
use crate::sync::Mutex;
use crate::timer::Timers;
use tape::Tape;
use trace::{Happened, Trace};
use world::Action;

pub use checks::{Check, check};
pub use faults::{Faults, Victim};
pub(crate) use hooks::{await_point, fails_init};
pub use plan::{Explore, Failure, Plan, Report};
pub(crate) use world::World;

/// One run of a simulation, given to the scenario of a [`Plan`].
///
/// The scenario drives it: nothing happens but inside [`run`](Self::run),
/// [`run_for`](Self::run_for), [`run_until_idle`](Self::run_until_idle),
/// [`eventually`](Self::eventually) and [`step`](Self::step). Each of them
/// panics when a promise of the runtime is found broken.
#[derive(Debug)]
pub struct Sim {
    node: Node,
    world: Arc<World>,
    begun: Instant,
    steps: u64,
    order: Option<Order>,
    killable: Option<Vec<(u64, Vec<Pid>)>>,
    outsiders: Vec<Outsider>,
    /// When everything was last looked at, and how many processes there were.
    last_check: u64,
    population: u64,
    _ambient: Ambient,
}

/// Whether a process lives, as the node sees it at this moment: without asking
/// it, and whatever is on its way to it. For [checks](Check).
pub fn is_alive(node: &Node, pid: Pid) -> bool {
    node.inner().table.get(pid).is_some()
}

/// A fault that a sweep wants, and before which step.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Order {
    pub(crate) step: u64,
    pub(crate) blow: Blow,
}

/// What a sweep does.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Blow {
    Kill(Pid),
    Panic(Pid),
    /// The node is stopped, and the scenario is not run any further.
    Stop,
}

/// What a run is unwound with when a sweep has stopped its node.
pub(crate) struct StoppedHere;

/// How a run is to be.
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) tape: Tape,
    pub(crate) traced: bool,
    pub(crate) order: Option<Order>,
    /// Whether to note who could be killed at each step.
    pub(crate) surveyed: bool,
}

/// How long the processes of a simulation have to shut down in good order when
/// it ends, on its own clock.
const GRACE: Duration = Duration::from_secs(3600);

impl Sim {
    /// How many steps may go by at one moment before it is said that nothing
    /// comes to rest.
    const RESTLESS: u64 = 10_000_000;

    pub(crate) fn new(setup: Setup) -> Self {
        assert!(
            tokio::runtime::Handle::try_current().is_err(),
            "a simulation was started inside a Tokio runtime; start it on a plain thread, \
             so that nothing in it waits for real I/O unseen"
        );
        panic_hook::install();
        let clock = VirtualClock::new();
        let begun = clock.now();
        let timers = Timers::new(Clock::Virtual(clock.clone()));
        let trace = Trace::new(begun, setup.traced);
        let world = Arc::new(World::new(clock, Arc::clone(&timers), setup.tape, trace));
        let node = Node::simulated(World::node_seed(setup.seed), timers, Arc::clone(&world));
        let ambient = Ambient::enter(&node);
        Self {
            node,
            world,
            begun,
            steps: 0,
            order: setup.order,
            killable: setup.surveyed.then(Vec::new),
            outsiders: Vec::new(),
            last_check: 0,
            population: 0,
            _ambient: ambient,
        }
    }

    /// The simulated node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How long the simulation has run, on its own clock.
    pub fn elapsed(&self) -> Duration {
        self.world.clock.now() - self.begun
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many faults were injected.
    pub fn faults_injected(&self) -> u64 {
        self.world.faults_done.load(Ordering::Relaxed)
    }

    /// Injects these faults from now on, instead of those before.
    pub fn faults(&mut self, faults: Faults) {
        self.world.set_faults(faults);
    }

    /// No more faults, and what was held up goes on: from here, everything has
    /// to come right again.
    pub fn heal(&mut self) {
        self.world.heal();
    }

    /// Lets no fault strike this process: the root of what is tested, say,
    /// which nobody would restart.
    pub fn protect(&mut self, pid: Pid) {
        self.world.state.lock().protected.insert(pid);
    }

    /// Lets no fault strike the processes that `choose` says yes to, those that
    /// are not there yet from their first step on, and each time that they are
    /// started anew. Sweeps leave them alone too. It is asked as
    /// [`Faults::only`] is, and adds to what was protected before.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::sim::{Faults, Plan};
    /// use resurgam_runtime::{Context, Node};
    ///
    /// Plan::new().seeds(5).run(|sim| {
    ///     sim.protect_all(|who| who.name.as_ref().is_some_and(|name| name.as_str() == "disk"));
    ///     sim.faults(Faults::none().kill(0.5));
    ///     let disk = Node::current().spawn_options().name("disk");
    ///     let disk = disk.spawn(|_: Context<()>| async {}).unwrap();
    ///     assert!(sim.run(disk.process.join()).is_normal());
    /// });
    /// ```
    pub fn protect_all(&mut self, choose: impl Fn(&Victim) -> bool + Send + Sync + 'static) {
        let mut state = self.world.state.lock();
        state.protected_kinds.push(Arc::new(choose));
    }

    /// One of the numbers below `bound`, from the run's tape: part of what a
    /// seed decides and shrinking makes smaller. 0 if `bound` is 0 or 1.
    pub fn random(&mut self, bound: usize) -> usize {
        self.world.random(bound)
    }

    /// A line in the trace.
    pub fn note(&mut self, text: impl Into<String>) {
        self.happened(Happened::Note(text.into()));
    }

    /// Runs a future in a process of its own, which faults do not strike, until
    /// it is done; what it gave. Other processes go on meanwhile.
    ///
    /// # Panics
    ///
    /// If the future panics, if its process is ended by an exit signal, or if
    /// nothing can happen any more and it is not done.
    pub fn run<T, F>(&mut self, future: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let place = Arc::new(Mutex::new(None));
        let result = Arc::clone(&place);
        let process = self.client(move |_: Context<()>| async move {
            let value = future.await;
            *result.lock() = Some(value);
        });
        loop {
            if let Some(value) = place.lock().take() {
                return value;
            }
            let alive = process
                .pid()
                .is_some_and(|pid| self.node.inner().table.get(pid).is_some());
            assert!(
                alive,
                "the process of `Sim::run` was ended by an exit signal before it was done"
            );
            if !self.step_until(None) {
                self.stuck("Sim::run");
            }
        }
    }

    fn stuck(&self, what: &str) -> ! {
        panic!(
            "nothing can happen any more, and the future given to `{what}` is not done; \
             the processes that wait: {:?}",
            self.node.processes()
        );
    }

    /// Runs a future on this thread, outside any process, until it is done;
    /// what it gave. It need be neither `Send` nor `'static`. Meanwhile the
    /// simulation goes on. [`Node::current`] is the simulated node in it, as in
    /// all of the scenario.
    ///
    /// # Panics
    ///
    /// If the future panics, or if nothing can happen any more and it is not
    /// done.
    pub fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = task::Context::from_waker(&waker);
        loop {
            // When it goes on is left to chance, as with any process; time
            // does not pass before.
            let is_woken = woken.0.load(Ordering::Relaxed);
            let goes_on = is_woken && self.random(2) == 0;
            let limit = is_woken.then(|| self.world.clock.now());
            if !goes_on && self.step_until(limit) {
                continue;
            }
            if !woken.0.swap(false, Ordering::Relaxed) {
                self.stuck("Sim::block_on");
            }
            if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
                return output;
            }
        }
    }

    /// Runs a future outside any process, as a plain task of Tokio's would be
    /// run, beside all that happens from now on. When the node has stopped it
    /// must be done, or the simulation fails: whoever waits outside is told too.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::sim::Plan;
    /// use resurgam_runtime::{CallError, Context, Message, Reply};
    ///
    /// Plan::new().seeds(5).run(|sim| {
    ///     let silent = sim.client(|mut ctx: Context<Reply<u8>>| async move {
    ///         let mut kept = Vec::new();
    ///         while let Message::User(reply) = ctx.receive().await {
    ///             kept.push(reply);
    ///         }
    ///     });
    ///     sim.outside(async move {
    ///         let answer = silent.call(|reply| reply).no_timeout().await;
    ///         assert!(matches!(answer, Err(CallError::Down(_))));
    ///     });
    ///     // The end of the run stops the node.
    /// });
    /// ```
    pub fn outside(&mut self, future: impl Future<Output = ()> + 'static) {
        self.outsiders.push(Outsider::new(future));
    }

    /// Spawns a process that stands for the outside: faults do not strike it,
    /// and its panic is a failure of the simulation.
    ///
    /// # Panics
    ///
    /// If the node was stopped.
    pub fn client<M, B, F>(&mut self, body: B) -> ProcessRef<M>
    where
        M: Send + 'static,
        B: FnOnce(Context<M>) -> F + Send + 'static,
        F: Future<Output: crate::ProcessOutput> + Send + 'static,
    {
        let process = self
            .node
            .spawn(body)
            .expect("the node of a simulation takes processes");
        if let Some(pid) = process.pid() {
            self.protect(pid);
            self.world.books.lock().clients.insert(pid);
        }
        process
    }

    /// Kills a process now: a fault by hand.
    pub fn kill(&mut self, pid: Pid) {
        self.happened(Happened::Killed(pid));
        self.perform_kill(pid);
    }

    /// Lets a process panic at its next await, or a server in its next
    /// callback: a fault by hand. It is woken for that.
    pub fn let_panic(&mut self, pid: Pid) {
        let mut state = self.world.state.lock();
        self.world.doom_to_panic(&mut state, pid);
        drop(state);
        self.perform(Action::Panic(pid));
    }

    /// Takes one step; whether anything could happen. Time passes if nothing
    /// else can.
    pub fn step(&mut self) -> bool {
        self.step_until(None)
    }

    /// Runs until nothing can happen before time passes.
    ///
    /// # Panics
    ///
    /// If it does not come to rest.
    pub fn run_until_idle(&mut self) {
        let now = self.world.clock.now();
        let mut steps = 0;
        while self.step_until(Some(now)) {
            steps += 1;
            assert!(
                steps < Self::RESTLESS,
                "after {steps} steps at one moment nothing has come to rest; \
                 does a process wake itself for ever?"
            );
        }
        if self.world.is_at_rest() {
            self.check_at_rest();
        }
    }

    /// Runs for a time on the simulation's clock.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.world.clock.now() + duration;
        while self.step_until(Some(end)) {}
        let mut state = self.world.state.lock();
        self.world.move_clock(&mut state, end);
    }

    /// Runs until `condition` holds, but for no longer than `within` on the
    /// simulation's clock. It is looked at after every step.
    ///
    /// # Panics
    ///
    /// If it does not come to hold.
    #[track_caller]
    pub fn eventually(&mut self, within: Duration, mut condition: impl FnMut(&Self) -> bool) {
        let end = self.world.clock.now() + within;
        while !condition(self) {
            if !self.step_until(Some(end)) {
                self.never_held(within);
            }
        }
    }

    #[track_caller]
    fn never_held(&self, within: Duration) -> ! {
        let waits = self.node.processes();
        let timers = self.node.timer_count();
        panic!(
            "what was to hold within {within:?} did not come to hold; {timers} timers wait, \
             and the processes {waits:?}"
        );
    }

    /// Stops the node in good order, and checks that nothing is left: no
    /// process, name, timer, or signal on its way, and nobody who waits
    /// [outside](Self::outside). Every run ends with it.
    ///
    /// # Panics
    ///
    /// If something is left.
    pub fn stop(&mut self) {
        self.shut_down();
        let end = self.world.clock.now() + GRACE;
        self.end_all(&ExitReason::Kill, end, Node::processes);
        self.expect_nothing_left();
    }

    /// Stops the node in the midst of a run, as a sweep wants it. Nobody has to
    /// be killed: what does not end by itself waits for what never comes.
    fn stop_here(&mut self) -> ! {
        // The stop takes away what a client counts on.
        self.world.books.lock().clients.clear();
        self.shut_down();
        let left = self.node.processes();
        assert!(
            left.is_empty(),
            "the node is stopped, and an hour later there are processes that did not \
             shut down: {left:?}"
        );
        self.expect_nothing_left();
        resume_unwind(Box::new(StoppedHere));
    }

    /// Takes no new processes, and tells those that there are to shut down.
    fn shut_down(&mut self) {
        self.heal();
        self.node.inner().table.close();
        let end = self.world.clock.now() + GRACE;
        self.end_all(&ExitReason::Shutdown, end, Node::roots);
    }

    fn expect_nothing_left(&mut self) {
        let left = self.node.processes();
        assert!(
            left.is_empty(),
            "I9: after the stop there are processes left: {left:?}"
        );
        // Signals to those who are gone are still under way, and those outside
        // have still to hear of it.
        while (self.world.is_under_way() || !self.outsiders.is_empty()) && self.step_until(None) {}
        let inner = self.node.inner();
        let names = self.node.registered();
        assert!(
            names.is_empty(),
            "I9: after the stop there are names left: {names:?}"
        );
        let timers = self.node.timer_count();
        assert!(
            timers == 0,
            "I9: after the stop there are {timers} timers left"
        );
        self.world.books.lock().check_at_rest(inner);
        let waiting = self.outsiders.len();
        assert!(
            waiting == 0,
            "I9: after the stop there are {waiting} futures outside that wait for ever"
        );
        self.fail_if_violated();
    }

    /// Tells those that are chosen to end, then those that are chosen when they
    /// have, until nobody is left or the time is up.
    fn end_all(&mut self, reason: &ExitReason, end: Instant, choose: fn(&Node) -> Vec<Pid>) {
        let mut told = std::collections::HashSet::new();
        let mut left = usize::MAX;
        while self.node.process_count() > 0 {
            // Nobody is spawned any more, so others are chosen only when
            // somebody has ended.
            if self.node.process_count() < left {
                left = self.node.process_count();
                for pid in choose(&self.node) {
                    if told.insert(pid) {
                        self.node.order_exit(pid, reason.clone());
                    }
                }
            }
            if !self.step_until(Some(end)) {
                return;
            }
        }
    }

    /// One step, if anything can happen until the limit.
    fn step_until(&mut self, limit: Option<Instant>) -> bool {
        self.obey_order();
        self.survey();
        self.check_now_and_then();
        let limit = limit.unwrap_or_else(|| self.begun + VirtualClock::END);
        // Those outside go on when chance wants it, and before time passes.
        let is_woken = self.outsiders.iter().any(Outsider::is_woken);
        let goes_on = is_woken && self.random(2) == 0;
        let limit = if is_woken {
            self.world.clock.now()
        } else {
            limit
        };
        let action = if goes_on {
            None
        } else {
            self.world.next(limit)
        };
        match action {
            Some(action) => self.perform(action),
            None if is_woken => self.poll_outsiders(),
            None => return false,
        }
        self.steps += 1;
        self.fail_if_violated();
        true
    }

    /// Looks at everything when it has come to rest, but not so often that it
    /// costs more than the steps between.
    fn check_now_and_then(&mut self) {
        const LEAST: u64 = 16;
        let due = self.last_check + LEAST + 2 * self.population;
        if self.steps >= due && self.world.is_at_rest() {
            self.check_at_rest();
        }
    }

    /// Polls those outside that were woken.
    fn poll_outsiders(&mut self) {
        self.outsiders
            .retain_mut(|outsider| !outsider.is_woken() || outsider.poll().is_pending());
    }

    fn perform(&self, action: Action) {
        match action {
            Action::Run(process) => match body::turn(&process).after {
                After::Again => self.world.put_back(process),
                After::Rest => process.rest(),
                After::Over => drop_caught(process),
            },
            Action::Deliver(parcel) => parcel.arrive(),
            Action::Fire => self.world.timers.fire_first(self.world.clock.now()),
            Action::Kill(pid) => self.perform_kill(pid),
            Action::Panic(pid) => {
                if let Some(process) = self.node.inner().table.get(pid) {
                    process.wake();
                }
            }
            Action::Nothing => {}
        }
    }

    /// Past all queues, as if it had come before what is under way.
    fn perform_kill(&self, pid: Pid) {
        let Some(process) = self.node.inner().table.get(pid) else {
            return;
        };
        self.world.books.lock().doom(pid);
        let exit = Exit {
            from: Pid::OUTSIDE,
            reason: ExitReason::Kill,
        };
        let cause = Cause::Asked;
        drop(NodeInner::push_signal(
            &process,
            Signal::Exit { exit, cause },
        ));
    }

    /// Does what a sweep wants done now.
    fn obey_order(&mut self) {
        if let Some(order) = self.order
            && order.step == self.steps
        {
            self.order = None;
            self.world.faults_done.fetch_add(1, Ordering::Relaxed);
            match order.blow {
                Blow::Kill(victim) => self.kill(victim),
                Blow::Panic(victim) => self.let_panic(victim),
                Blow::Stop => self.stop_here(),
            }
        }
    }

    fn survey(&mut self) {
        if let Some(killable) = &mut self.killable {
            let state = self.world.state.lock();
            killable.push((self.steps, state.victims(&self.world.books.lock())));
        }
    }

    fn check_at_rest(&mut self) {
        self.last_check = self.steps;
        let mut books = self.world.books.lock();
        self.population = books.population() as u64;
        books.check_at_rest(self.node.inner());
        drop(books);
        let checked = self.world.checks.lock().at_rest(&self.node);
        if let Err(what) = checked {
            self.world.books.lock().violated(what);
        }
        self.fail_if_violated();
    }

    fn fail_if_violated(&self) {
        let violation = self.world.books.lock().take_violation();
        if let Some(violation) = violation {
            panic!("{violation}");
        }
    }

    fn happened(&self, happened: Happened) {
        let now = self.world.clock.now();
        self.world.state.lock().trace.write(now, happened);
    }

    /// The choices of the run, its fingerprint and its trace.
    pub(crate) fn take_record(&mut self) -> (Vec<tape::Choice>, u64, Vec<String>) {
        let mut state = self.world.state.lock();
        let choices = state.tape.choices().to_vec();
        (choices, state.trace.fingerprint(), state.trace.take_lines())
    }

    /// Who could be killed at each step, if that was asked for.
    pub(crate) fn take_killable(&mut self) -> Vec<(u64, Vec<Pid>)> {
        self.killable.take().unwrap_or_default()
    }

    /// Ends the run without good order: what is left is dropped.
    fn abandon(&self) {
        self.world.end();
        let inner = self.node.inner();
        inner.table.close();
        for process in inner.table.all() {
            NodeInner::end_abandoned(&process);
        }
        inner.timers.clear();
        inner.scheduler.finish();
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        // A destructor of the user's that panics here must not hide the
        // failure that the run ends with.
        let abandoned = catch_unwind(AssertUnwindSafe(|| self.abandon()));
        if let Err(payload) = abandoned
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }
}

/// A future that is polled outside any process.
struct Outsider {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
}

impl Outsider {
    fn new(future: impl Future<Output = ()> + 'static) -> Self {
        Self {
            future: Box::pin(future),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        }
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::Relaxed)
    }

    fn poll(&mut self) -> Poll<()> {
        self.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future
            .as_mut()
            .poll(&mut task::Context::from_waker(&waker))
    }
}

impl std::fmt::Debug for Outsider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Outsider").field(&self.is_woken()).finish()
    }
}

/// Whether a future outside any process was woken.
struct Woken(AtomicBool);

impl task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

thread_local! {
    static AMBIENT: RefCell<Option<Node>> = const { RefCell::new(None) };
}

/// The node of the simulation that this thread drives.
pub(crate) fn ambient() -> Option<Node> {
    AMBIENT
        .try_with(|node| node.borrow().clone())
        .ok()
        .flatten()
}

/// While it lives, the simulated node is the current one outside processes.
#[derive(Debug)]
struct Ambient(Option<Node>);

impl Ambient {
    fn enter(node: &Node) -> Self {
        Self(AMBIENT.replace(Some(node.clone())))
    }
}

impl Drop for Ambient {
    fn drop(&mut self) {
        drop(AMBIENT.replace(self.0.take()));
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}
