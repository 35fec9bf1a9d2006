//! Publish and subscribe: [`PubSub`].

use std::fmt;
use std::panic::{self, AssertUnwindSafe};

use crate::caught::{discard_payload, guarded};
use crate::gen_server::ServerBuilder;
use crate::keys::{DuplicateKeys, RegisterKeyError, Registry, RegistryServer};
use crate::name::Name;
use crate::pid::Pid;
use crate::process::try_self_pid;
use crate::process_ref::ProcessRef;

/// An event bus: processes subscribe to topics, and whatever is broadcast on a
/// topic is sent to all its subscribers.
///
/// It is a [`Registry`] of subscribers by topic, so a broadcast asks nobody and
/// waits for nobody, and whoever ends is a subscriber no more. This is a
/// handle, cheap to clone; the server behind it is started by
/// [`builder`](Self::builder) and best kept by a supervisor. Subscribers are
/// linked to it: if it falls they do so too, unless they trap exits, since
/// their subscriptions are lost.
///
/// Each subscriber gets the events as messages of its own type, which a
/// function of its own makes of them. Of one broadcaster it gets them in the
/// order in which they were broadcast.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Message, Node, PubSub};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// let process = node.spawn(|mut ctx: Context<String>| async move {
///     let bus = PubSub::new();
///     bus.builder().start_link().await?;
///     bus.subscribe("weather", ctx.self_ref(), |degrees: i32| format!("{degrees} °C"))?;
///     assert_eq!(bus.broadcast("weather", 21), 1);
///     assert_eq!(bus.broadcast("news", 0), 0);
///     assert_eq!(ctx.receive().await, Message::User("21 °C".to_owned()));
///     Ok::<_, resurgam_runtime::ExitReason>(())
/// })?;
/// assert!(node.block_on(process.join()).is_normal());
/// # Ok(())
/// # }
/// ```
pub struct PubSub<E>(Registry<Name, Tell<E>, DuplicateKeys>);

/// Sends an event to a subscriber.
type Tell<E> = Box<dyn Fn(E) + Send + Sync>;

/// Why a process does not subscribe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The bus does not run.
    #[error("bus does not run")]
    NotRunning,
    /// The subscriber is not the process that runs.
    #[error("subscriber is not the process that runs; a process subscribes itself")]
    NotItself,
}

impl From<RegisterKeyError> for SubscribeError {
    fn from(error: RegisterKeyError) -> Self {
        match error {
            RegisterKeyError::NotRunning => Self::NotRunning,
            RegisterKeyError::NotInProcess | RegisterKeyError::AlreadyRegistered(_) => {
                Self::NotItself
            }
        }
    }
}

impl<E: Clone + 'static> PubSub<E> {
    /// A bus. It runs when its [server](Self::builder) does; until then it has
    /// no subscribers.
    pub fn new() -> Self {
        Self(Registry::duplicate())
    }

    /// The bus's server, to be started. While one runs, another does not start.
    ///
    /// For a supervisor: `ChildSpec::server_with("bus", move || bus.builder())`.
    pub fn builder(&self) -> ServerBuilder<RegistryServer> {
        self.0.builder()
    }

    /// Subscribes the process that runs, which is `subscriber`, to a topic; once
    /// more, if it is subscribed. What it is sent of each event is what `wrap`
    /// makes of it, in the process that broadcasts. An event over which `wrap`
    /// panics this subscriber does not get.
    ///
    /// # Errors
    ///
    /// See [`SubscribeError`].
    pub fn subscribe<M: Send + 'static>(
        &self,
        topic: impl Into<Name>,
        subscriber: ProcessRef<M>,
        wrap: impl Fn(E) -> M + Send + Sync + 'static,
    ) -> Result<(), SubscribeError> {
        let me = try_self_pid();
        if me.is_none() || subscriber.pid() != me {
            return Err(SubscribeError::NotItself);
        }
        let tell = Box::new(move |event| subscriber.cast(wrap(event)));
        Ok(self.0.register(topic.into(), tell)?)
    }

    /// Ends all subscriptions of the process that runs to a topic; how many
    /// there were. What was broadcast before may still come.
    pub fn unsubscribe(&self, topic: impl AsRef<str>) -> usize {
        self.0.unregister(topic.as_ref())
    }

    /// Sends an event to all subscribers of a topic; how many subscriptions
    /// those are.
    pub fn broadcast(&self, topic: impl AsRef<str>, event: E) -> usize {
        self.send(topic.as_ref(), &event, |_| true)
    }

    /// As [`broadcast`](Self::broadcast), to all but this process, which is
    /// mostly the one that broadcasts.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, ExitReason, Node, PubSub};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = Node::new()?;
    /// let process = node.spawn(|ctx: Context<()>| async move {
    ///     let bus = PubSub::new();
    ///     bus.builder().start_link().await?;
    ///     bus.subscribe("weather", ctx.self_ref(), |_: u8| ())?;
    ///     assert_eq!(bus.broadcast_from(ctx.pid(), "weather", 7), 0);
    ///     assert_eq!(bus.unsubscribe("weather"), 1);
    ///     Ok::<_, ExitReason>(())
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn broadcast_from(&self, from: Pid, topic: impl AsRef<str>, event: E) -> usize {
        self.send(topic.as_ref(), &event, |subscriber| subscriber != from)
    }

    /// As [`broadcast`](Self::broadcast), on this node alone. Nodes are not
    /// connected yet, so it is the same.
    pub fn local_broadcast(&self, topic: impl AsRef<str>, event: E) -> usize {
        self.broadcast(topic, event)
    }

    /// The subscribers of a topic, each as often as it has subscribed.
    pub fn subscribers(&self, topic: impl AsRef<str>) -> Vec<Pid> {
        let mut subscribers = Vec::new();
        self.0.dispatch(topic.as_ref(), |all| {
            subscribers.extend(all.iter().map(|(pid, _)| *pid));
        });
        subscribers
    }

    fn send(&self, topic: &str, event: &E, is_meant: impl Fn(Pid) -> bool) -> usize {
        let mut sent = 0;
        self.0.dispatch(topic, |all| {
            for (_, tell) in all.iter().filter(|(pid, _)| is_meant(*pid)) {
                send_caught(topic, tell, event.clone());
                sent += 1;
            }
        });
        sent
    }
}

/// Sends an event; a panic of the subscriber's function is none of the
/// broadcaster's.
fn send_caught<E>(topic: &str, tell: &Tell<E>, event: E) {
    if let Err(payload) = panic::catch_unwind(AssertUnwindSafe(|| tell(event))) {
        discard_payload(payload);
        guarded(
            || tracing::warn!(target: "resurgam::pubsub", topic, "subscriber panicked over an event"),
        );
    }
}

impl<E: Clone + 'static> Default for PubSub<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Clone for PubSub<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E> fmt::Debug for PubSub<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PubSub").field(&self.0).finish()
    }
}
