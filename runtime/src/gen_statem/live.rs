//! The life of a state machine: init, one event after the other, terminate.

use std::any::type_name;
use std::future::poll_fn;
use std::mem;
use std::task::Poll;
use std::time::Instant;

use futures::FutureExt;
use futures::future::ready;

use super::agenda::{Agenda, Change, Due, Next, Timers};
use super::{Event, GenStatem, StatemContext, TimeoutType, To, Transition};
use crate::behaviour::{
    Birth, Incoming, acknowledge, before_init, before_terminate, caught, leave_report, meaning,
    panicked,
};
use crate::exit_reason::ExitReason;
use crate::pid::Pid;
use crate::process::context::Context;
use crate::sys::EventKind;
use crate::sys::desk::Desk;
use crate::sys::request::{Parts, Request, Subject};
use crate::timer::TimerRef;

/// A state machine: its data, the state it is in, and what it does next.
struct Machine<S: GenStatem> {
    data: S,
    state: S::State,
    agenda: Agenda<Event<S>, S::Timeout, S::Internal, TimerRef>,
}

/// Whether the state is entered, and from which one.
enum Entry<T> {
    None,
    Again,
    From(T),
}

/// What a machine has to do.
enum Task<S: GenStatem> {
    Handle(Event<S>),
    Stop(ExitReason),
    Serve(Request),
}

/// The body of a state machine's process.
pub(super) fn live<S: GenStatem>(
    args: S::Args,
    birth: Birth<S::Message>,
) -> impl Future<Output = ExitReason> + Send {
    // Two futures in one place: what is needed to begin is not held after that.
    begin::<S>(args, birth).then(|begun| match begun {
        Ok((machine, ctx)) => run(machine, ctx).left_future(),
        Err(reason) => ready(reason).right_future(),
    })
}

/// Makes the machine and tells whoever waits for it; why there is none.
fn begin<S: GenStatem>(
    args: S::Args,
    birth: Birth<S::Message>,
) -> impl Future<Output = Result<(Machine<S>, StatemContext<S>), ExitReason>> + Send {
    let Birth {
        context,
        parent,
        ack,
        desk,
    } = birth;
    let mut ctx = StatemContext::new(context, parent, desk);
    // An `async fn` would hold what it is given twice.
    async move {
        let made = match before_init(&ack) {
            Ok(()) => S::init(args, &mut ctx).await,
            Err(error) => Err(error),
        };
        let (state, data) = acknowledge(&ack, made)?;
        let machine = Machine {
            data,
            state,
            agenda: Agenda::new(),
        };
        Ok((machine, ctx))
    }
}

/// Enters the first state and handles one event after the other until one says
/// to stop, then cleans up; why.
#[expect(
    clippy::manual_async_fn,
    reason = "an `async fn` would hold what it is given twice"
)]
fn run<S: GenStatem>(
    mut machine: Machine<S>,
    mut ctx: StatemContext<S>,
) -> impl Future<Output = ExitReason> + Send {
    async move {
        let mut done = caught(|| machine.begin(&mut ctx)).await;
        let reason = loop {
            match done {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => break reason,
                Err(payload) => break panicked(payload),
            }
            done = match next(&mut machine, &mut ctx).await {
                Task::Handle(event) => caught(|| machine.handle(event, &mut ctx)).await,
                Task::Stop(reason) => break reason,
                Task::Serve(request) => {
                    request.serve(&mut Open(&mut machine, &mut ctx));
                    ctx.tidy_desk();
                    Ok(Ok(()))
                }
            };
        };
        leave_report(&Open(&mut machine, &mut ctx), &reason);
        before_terminate();
        // A panic of it replaces the reason (law GS-76).
        let Machine { data, state, .. } = &mut machine;
        let terminated = caught(|| data.terminate(&reason, state, &mut ctx)).await;
        terminated.map_or_else(
            |payload| {
                let reason = panicked(payload);
                leave_report(&Open(&mut machine, &mut ctx), &reason);
                reason
            },
            |()| reason,
        )
    }
}

impl<S: GenStatem> Machine<S> {
    /// The first enter call.
    async fn begin(&mut self, ctx: &mut StatemContext<S>) -> Result<(), ExitReason> {
        self.data.enter(&self.state, &self.state, ctx).await?;
        self.set_timeouts(ctx);
        Ok(())
    }

    /// One transition (law STM-04).
    async fn handle(
        &mut self,
        event: Event<S>,
        ctx: &mut StatemContext<S>,
    ) -> Result<(), ExitReason> {
        if ctx.desk.is_some() {
            ctx.note_event(&event);
        }
        self.agenda.begin(&mut ctx.context);
        let handled = self.data.handle_event(event, &self.state, ctx);
        let Transition {
            to,
            postponed,
            inserted,
        } = handled.await?;
        let entry = self.go(to);
        if ctx.desk.is_some() && entry.change() == Change::Changed {
            ctx.note_state(self);
        }
        self.agenda
            .transition(entry.change(), postponed, inserted, &mut ctx.context);
        match entry {
            Entry::None => {}
            Entry::Again => self.data.enter(&self.state, &self.state, ctx).await?,
            Entry::From(old) => self.data.enter(&old, &self.state, ctx).await?,
        }
        self.set_timeouts(ctx);
        Ok(())
    }

    fn go(&mut self, to: To<S::State>) -> Entry<S::State> {
        match to {
            To::Keep => Entry::None,
            To::Repeat => Entry::Again,
            To::Next(state) => {
                let is_change = state != self.state;
                let old = mem::replace(&mut self.state, state);
                if is_change {
                    Entry::From(old)
                } else {
                    Entry::None
                }
            }
        }
    }

    fn format(&self) -> String {
        format!("{:?}", self.data.format_status(&self.state))
    }

    fn set_timeouts(&mut self, ctx: &mut StatemContext<S>) {
        if !ctx.ordered.is_empty() {
            let ordered = mem::take(&mut ctx.ordered);
            self.agenda.set(ordered, &mut ctx.context);
        }
    }
}

impl<T> Entry<T> {
    fn change(&self) -> Change {
        match self {
            Self::None | Self::Again => Change::Same,
            Self::From(_) => Change::Changed,
        }
    }
}

/// What is to be done next.
async fn next<S: GenStatem>(machine: &mut Machine<S>, ctx: &mut StatemContext<S>) -> Task<S> {
    if let Some(next) = machine.agenda.next() {
        // A machine that always has something of its own to do lets others run,
        // and can be killed.
        ctx.context.give_way().await;
        return Task::Handle(match next {
            Next::Event(event) => event,
            Next::Timeout(timeout, content) => timed_out(timeout, content),
        });
    }
    loop {
        return match receive(ctx).await {
            Ok(message) => Task::Handle(Event::Message(message)),
            Err(Incoming::Info(info)) => Task::Handle(Event::Info(info)),
            Err(Incoming::Stop(reason)) => Task::Stop(reason),
            Err(Incoming::Request(request)) => Task::Serve(request),
            Err(Incoming::Timeout(number)) => match machine.agenda.due(number) {
                Some((timeout, content)) => Task::Handle(timed_out(timeout, content)),
                None => continue,
            },
        };
    }
}

/// What comes next by the mailbox.
async fn receive<S: GenStatem>(ctx: &mut StatemContext<S>) -> Result<S::Message, Incoming> {
    let parent = ctx.parent;
    if ctx.desk.as_ref().is_some_and(|desk| desk.is_suspended()) {
        let event = poll_fn(|cx| ctx.context.poll_order(parent, cx)).await;
        return meaning(event, parent);
    }
    poll_fn(|cx| match ctx.context.next_message() {
        Some(message) => Poll::Ready(Ok(message)),
        None => ctx
            .context
            .poll_event(cx)
            .map(|event| meaning(event, parent)),
    })
    .await
}

fn timed_out<S: GenStatem>(timeout: TimeoutType<S::Timeout>, content: S::Internal) -> Event<S> {
    match timeout {
        TimeoutType::Event => Event::Timeout(content),
        TimeoutType::State => Event::StateTimeout(content),
        TimeoutType::Generic(name) => Event::GenericTimeout(name, content),
    }
}

impl<S: GenStatem> StatemContext<S> {
    #[cold]
    fn note_event(&mut self, event: &Event<S>) {
        let kind = match event {
            Event::Message(_) => EventKind::Message,
            Event::Info(_) => EventKind::Info,
            Event::Internal(_) => EventKind::Internal,
            Event::Timeout(_) | Event::StateTimeout(_) | Event::GenericTimeout(..) => {
                EventKind::Timeout
            }
        };
        self.note(kind, || format!("{:?}", S::format_event(event)));
    }

    #[cold]
    fn note_state(&mut self, machine: &Machine<S>) {
        self.note(EventKind::State, || machine.format());
    }

    fn note(&mut self, kind: EventKind, text: impl FnOnce() -> String) {
        if let Some(desk) = &mut self.desk {
            desk.note(self.context.pid(), self.context.now(), kind, text);
        }
        self.tidy_desk();
    }

    /// Takes a desk away that nobody needs any more.
    fn tidy_desk(&mut self) {
        self.desk.take_if(|desk| desk.is_clear());
    }
}

/// A machine between two events.
struct Open<'a, S: GenStatem>(&'a mut Machine<S>, &'a mut StatemContext<S>);

impl<S: GenStatem> Subject for Open<'_, S> {
    fn type_name(&self) -> &'static str {
        type_name::<S>()
    }

    fn parent(&self) -> Option<Pid> {
        self.1.parent()
    }

    fn desk(&self) -> Option<&Desk> {
        self.1.desk.as_deref()
    }

    fn desk_mut(&mut self) -> &mut Desk {
        self.1.desk.get_or_insert_default()
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts {
            data: &mut self.0.data,
            state: Some(&mut self.0.state),
        }
    }

    fn format(&self) -> String {
        self.0.format()
    }

    fn resumed(&mut self, _since: Instant, _now: Instant) {
        // Its timers run, and what they tell it lies in the mailbox.
    }
}

impl<M: Send + 'static> Timers for Context<M> {
    type Timer = TimerRef;

    fn arm(&mut self, number: u64, due: Due) -> TimerRef {
        let node = self.node();
        let at = match due {
            Due::After(time) => node.deadline(time),
            Due::At(time) => time,
        };
        node.timeout_at(at, self.pid(), number)
    }

    fn cancel(&mut self, timer: TimerRef) {
        self.node().cancel_timer(timer);
    }
}
