//! Processes under keys of any type, Elixir's `Registry`: [`Registry`].

mod book;
mod listener;
mod lock;
mod places;
mod server;

use std::any::Any;
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::{Arc, PoisonError, RwLock};

use crate::caught::Quiet;
use crate::gen_server::{GenServer, ServerBuilder, ServerContext};
use crate::node::Node;
use crate::pid::Pid;
use crate::process::cell::Process;
use crate::process_ref::{ProcessRef, SendError, send_to};
use book::{Book, Entry};
use listener::{Hearing, Listener};
use lock::Locks;
use server::Serve;

pub use listener::RegistryChange;
pub use lock::RegistryLock;
pub use server::{RegistryArgs, RegistryServer};

/// Processes under keys of any type, each with a value; Elixir's `Registry`.
///
/// A registry has [`UniqueKeys`], one process under each, or
/// [`DuplicateKeys`], as many as there come. A process registers itself and
/// nobody else, without asking anyone (law PREG-02), as often as it likes; when
/// it ends its keys go with it. That is soon, not at once, but what is read
/// here leaves out whoever has ended (PREG-05), and a unique key of one is free
/// (PREG-04).
///
/// This is a handle, cheap to clone. The registry itself is a server, started
/// by [`builder`](Self::builder) and best kept by a supervisor; handles stay
/// good when it is restarted. Whoever registers is linked to it, until they
/// have taken their last key away (PREG-08): if it ends by a fault, so do they,
/// unless they trap exits, since nobody finds them any more (PREG-09). While it
/// does not run, nobody is registered, and nobody can be.
///
/// Lists are in the order in which the processes were registered.
///
/// # Differences from Elixir
///
/// A registry is a value, not a name. There are no partitions: the table is
/// one that many can write to at once, and one server cleans up. Patterns are
/// closures.
///
/// # Examples
///
/// ```
/// use resurgam_runtime::{Context, Message, Node, Registry};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let node = Node::new()?;
/// node.block_on(async {
///     let rooms = Registry::<(u32, char)>::unique();
///     rooms.builder().on(&node).start().await?;
///     let guest = node.spawn({
///         let rooms = rooms.clone();
///         move |mut ctx: Context<&str>| async move {
///             rooms.register((4, 'b'), ())?;
///             ctx.receive().await;
///             Ok::<_, resurgam_runtime::ExitReason>(())
///         }
///     })?;
///     while rooms.whereis(&(4, 'b')).is_none() {
///         tokio::task::yield_now().await;
///     }
///     rooms.send(&(4, 'b'), "good morning")?;
///     assert!(guest.join().await.is_normal());
///     assert_eq!(rooms.whereis(&(4, 'b')), None);
///     Ok(())
/// })
/// # }
/// ```
pub struct Registry<K, V = (), D = UniqueKeys> {
    shared: Arc<Shared<K, V>>,
    keys: PhantomData<fn() -> D>,
}

/// How many processes can be under one key: [`UniqueKeys`] or
/// [`DuplicateKeys`]. There are no others.
pub trait RegistryKeys: 'static {
    #[doc(hidden)]
    const KEYS: Keys;
}

/// Of a [`Registry`] with one process under each key.
#[derive(Debug)]
pub enum UniqueKeys {}

/// Of a [`Registry`] with any number of processes under a key, each as often
/// as it was registered. What needs one process under a key, it has not:
///
/// ```compile_fail,E0599
/// let moods = resurgam_runtime::Registry::<&str, u8, _>::duplicate();
/// moods.via::<()>("cheerful");
/// ```
#[derive(Debug)]
pub enum DuplicateKeys {}

#[doc(hidden)]
#[derive(Copy, Clone, Debug)]
pub enum Keys {
    Unique,
    Duplicate,
}

impl RegistryKeys for UniqueKeys {
    const KEYS: Keys = Keys::Unique;
}

impl RegistryKeys for DuplicateKeys {
    const KEYS: Keys = Keys::Duplicate;
}

/// Why a process was not put under a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterKeyError {
    /// This process has the key (law PREG-03); it may be the one that asks.
    #[error("key is taken by {0}")]
    AlreadyRegistered(Pid),
    /// The registry does not run.
    #[error("registry does not run")]
    NotRunning,
    /// The caller is no process of the registry's node.
    #[error("caller is no process of the registry's node; a process registers itself")]
    NotInProcess,
}

/// What the handles of a registry and its server share.
struct Shared<K, V> {
    /// None while it does not run.
    book: RwLock<Option<Arc<Book<K, V>>>>,
    listeners: RwLock<Vec<Quiet<Listener<K, V>>>>,
    meta: RwLock<BTreeMap<String, Quiet<dyn Any + Send + Sync>>>,
    locks: Locks<K>,
}

impl<K, V> Shared<K, V> {
    fn book(&self) -> Option<Arc<Book<K, V>>> {
        let book = self.book.read().unwrap_or_else(PoisonError::into_inner);
        book.clone()
    }

    /// Tells the listeners, and forgets those that have ended.
    fn tell<'a>(&self, change: impl Fn() -> RegistryChange<'a, K, V>)
    where
        K: 'a,
        V: 'a,
    {
        let listeners = self.listeners.read();
        let listeners = listeners.unwrap_or_else(PoisonError::into_inner).clone();
        let has_ended =
            |listener: &Quiet<Listener<K, V>>| listener.tell(change()) == Hearing::Ended;
        let ended: Vec<_> = listeners.into_iter().filter(has_ended).collect();
        if !ended.is_empty() {
            self.let_go(&ended);
        }
    }

    fn tell_gone(&self, gone: &[Entry<K, V>], pid: Pid) {
        for entry in gone {
            let key = entry.key();
            self.tell(|| RegistryChange::Unregistered { key, pid });
        }
    }

    fn let_go(&self, ended: &[Quiet<Listener<K, V>>]) {
        let mut listeners = self
            .listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| !ended.iter().any(|other| other.ptr_eq(listener)));
    }
}

impl<K: Send + Sync, V: Send + Sync> Serve for Shared<K, V> {
    fn open(&self, ctx: &ServerContext<RegistryServer>) -> bool {
        let node = Arc::clone(ctx.node().inner());
        let new = Arc::new(Book::new(node, ctx.pid(), ctx.parent()));
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        let is_free = book.is_none();
        if is_free {
            *book = Some(new);
        }
        is_free
    }

    fn forget(&self, pid: Pid) {
        let Some(book) = self.book() else { return };
        self.tell_gone(&book.forget(pid), pid);
    }

    fn count(&self) -> usize {
        self.book().map_or(0, |book| book.all().len())
    }

    fn close(&self) {
        let mut book = self.book.write().unwrap_or_else(PoisonError::into_inner);
        let closed = book.take();
        drop(book);
        drop(closed);
    }
}

impl<K, V> Registry<K, V, UniqueKeys>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A registry with one process under each key. It runs when its
    /// [server](Self::builder) does.
    pub fn unique() -> Self {
        Self::new()
    }

    /// Who is under a key, and with which value.
    pub fn lookup<Q>(&self, key: &Q) -> Option<(Pid, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let book = self.shared.book()?;
        let (_, holder) = book.holder(key)?;
        Some((holder.pid, V::clone(&holder.value)))
    }

    /// Who is under a key.
    pub fn whereis<Q>(&self, key: &Q) -> Option<Pid>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let book = self.shared.book()?;
        book.holder(key).map(|(_, holder)| holder.pid)
    }

    /// Gives the process that runs another value under its key, and returns
    /// the new one and the old one. `None`, and nothing is done, if it is not
    /// under the key (law PREG-12).
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, ExitReason, Node, Registry};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = Node::new()?;
    /// let process = node.spawn(|_: Context<()>| async {
    ///     let moods = Registry::<&str, u8>::unique();
    ///     moods.builder().start_link().await?;
    ///     moods.register("Ada", 1)?;
    ///     assert_eq!(moods.update_value("Ada", |mood| mood + 1), Some((2, 1)));
    ///     Ok::<_, ExitReason>(())
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_value<Q>(&self, key: &Q, update: impl FnOnce(&V) -> V) -> Option<(V, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let book = self.shared.book()?;
        let (_, holder) = book.holder(key)?;
        if book.myself() != Some(holder.pid) {
            return None;
        }
        let new = Quiet::new(Arc::new(update(&holder.value)));
        let old = book.set_value(key, &holder, new.clone())?;
        Some((V::clone(&new), V::clone(&old)))
    }

    /// A reference to whoever is under a key, looked up anew at each send and
    /// call, so that it stays valid when the process is restarted and
    /// registers again: Elixir's via tuple (law PREG-10). To start a server
    /// under a key, see [`BehaviourBuilder::via`](crate::BehaviourBuilder::via).
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Agent, AgentServer, Node, Registry, ServerRef};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// node.block_on(async {
    ///     let stock = Registry::<&str>::unique();
    ///     stock.builder().on(&node).start().await?;
    ///     let pears = Agent::builder(|| 3).via(&stock, "pears", ());
    ///     pears.on(&node).start().await?;
    ///     let pears: ServerRef<AgentServer<i32>> = stock.via("pears");
    ///     assert_eq!(Agent::from(pears).get(|n| *n).await?, 3);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    pub fn via<M: Send + 'static>(&self, key: K) -> ProcessRef<M>
    where
        K: fmt::Debug,
    {
        let node = match self.shared.book() {
            Some(book) => Arc::clone(&book.node),
            None => Arc::clone(Node::current().inner()),
        };
        let (name, registry) = (format!("{key:?}").into(), self.clone());
        ProcessRef::via(node, name, move || registry.process(&key))
    }

    /// Sends a message to whoever is under a key.
    ///
    /// # Errors
    ///
    /// If nobody is, or the process takes messages of another type; the message
    /// is in the error.
    pub fn send<Q, M>(&self, key: &Q, message: M) -> Result<(), SendError<M>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + fmt::Debug + ?Sized,
        M: Send + 'static,
    {
        match self.process(key) {
            Some(process) => send_to(process, message),
            None => Err(SendError::Unregistered {
                name: format!("{key:?}").into(),
                message,
            }),
        }
    }

    fn process<Q>(&self, key: &Q) -> Option<Process>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let book = self.shared.book()?;
        book.holder(key).map(|(process, _)| process)
    }
}

impl<K, V> Registry<K, V, DuplicateKeys>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// A registry with any number of processes under a key. It runs when its
    /// [server](Self::builder) does.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{DuplicateKeys, Registry};
    ///
    /// let moods = Registry::<&str, u8, DuplicateKeys>::duplicate();
    /// assert_eq!(moods.lookup("cheerful"), []);
    /// ```
    pub fn duplicate() -> Self {
        Self::new()
    }

    /// Who is under a key, each with its value, as often as it was registered.
    pub fn lookup<Q>(&self, key: &Q) -> Vec<(Pid, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        self.entries(key)
    }
}

impl<K, V, D> Registry<K, V, D>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
    D: RegistryKeys,
{
    fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                book: RwLock::default(),
                listeners: RwLock::default(),
                meta: RwLock::default(),
                locks: Locks::new(),
            }),
            keys: PhantomData,
        }
    }

    /// The registry's server, to be started. While one runs, another does not
    /// start.
    ///
    /// For a supervisor:
    /// `ChildSpec::server_with("rooms", move || rooms.builder())`.
    pub fn builder(&self) -> ServerBuilder<RegistryServer> {
        RegistryServer::builder(RegistryArgs(self.shared.clone()))
    }

    /// Puts the process that runs under a key, with a value. Asks nobody (law
    /// PREG-02).
    ///
    /// # Errors
    ///
    /// See [`RegisterKeyError`]; nothing has changed then (PREG-08, PREG-15).
    pub fn register(&self, key: K, value: V) -> Result<(), RegisterKeyError> {
        let book = self.shared.book().ok_or(RegisterKeyError::NotRunning)?;
        let me = book.myself().ok_or(RegisterKeyError::NotInProcess)?;
        let value = Quiet::new(Arc::new(value));
        let entry = book
            .register(me, key, &value, D::KEYS)
            .map_err(RegisterKeyError::AlreadyRegistered)?;
        self.shared.tell(|| RegistryChange::Registered {
            key: entry.key(),
            pid: me,
            value: &value,
        });
        Ok(())
    }

    /// Takes the process that runs from under a key; how often it was there.
    pub fn unregister<Q>(&self, key: &Q) -> usize
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.unregister_match(key, |_| true)
    }

    /// As [`unregister`](Self::unregister), where the value is such a one (law
    /// PREG-07).
    pub fn unregister_match<Q>(&self, key: &Q, is_meant: impl FnMut(&V) -> bool) -> usize
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(book) = self.shared.book() else {
            return 0;
        };
        let Some(pid) = book.myself() else { return 0 };
        let gone = book.unregister(pid, key, is_meant);
        self.shared.tell_gone(&gone, pid);
        gone.len()
    }

    /// The keys of a process, each as often as it is there; of one that has
    /// just ended, until the registry has heard of it.
    pub fn keys(&self, pid: Pid) -> Vec<K>
    where
        K: Clone,
    {
        let Some(book) = self.shared.book() else {
            return Vec::new();
        };
        let entries = book.entries_of(pid);
        entries.iter().map(|entry| entry.key().clone()).collect()
    }

    /// The values of a process under a key.
    pub fn values<Q>(&self, key: &Q, pid: Pid) -> Vec<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let mut entries = self.entries(key);
        entries.retain(|(holder, _)| *holder == pid);
        entries.into_iter().map(|(_, value)| value).collect()
    }

    /// How many entries there are: a process counts as often as it is
    /// registered.
    pub fn count(&self) -> usize {
        self.shared.count()
    }

    /// What `pick` makes of each entry that it picks (law PREG-16). `count` of
    /// some is the length of that.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::Registry;
    ///
    /// let ages = Registry::<String, u8>::unique();
    /// let adults = ages.select(|name, _, age| (*age >= 18).then(|| name.clone()));
    /// assert!(adults.is_empty());
    /// ```
    pub fn select<T>(&self, mut pick: impl FnMut(&K, Pid, &V) -> Option<T>) -> Vec<T> {
        let Some(book) = self.shared.book() else {
            return Vec::new();
        };
        let all = book.all();
        all.iter()
            .filter_map(|(entry, holder)| pick(entry.key(), holder.pid, &holder.value))
            .collect()
    }

    /// Calls a function, here and now, with all that is under a key; not at
    /// all, if that is nothing (law PREG-11).
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, DuplicateKeys, ExitReason, Node, Registry};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let node = Node::new()?;
    /// let process = node.spawn(|_: Context<()>| async {
    ///     let chores = Registry::<&str, u8, DuplicateKeys>::duplicate();
    ///     chores.builder().start_link().await?;
    ///     for floor in [1, 2] {
    ///         chores.register("sweep", floor)?;
    ///     }
    ///     chores.dispatch("sweep", |all| assert_eq!(all.len(), 2));
    ///     assert_eq!(chores.unregister_match("sweep", |floor| *floor == 2), 1);
    ///     Ok::<_, ExitReason>(())
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn dispatch<Q>(&self, key: &Q, to_all: impl FnOnce(&[(Pid, &V)]))
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let Some(book) = self.shared.book() else {
            return;
        };
        let holders = book.holders(key);
        let entries: Vec<_> = holders.iter().map(|h| (h.pid, &*h.value)).collect();
        if !entries.is_empty() {
            to_all(&entries);
        }
    }

    fn entries<Q>(&self, key: &Q) -> Vec<(Pid, V)>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
        V: Clone,
    {
        let Some(book) = self.shared.book() else {
            return Vec::new();
        };
        let holders = book.holders(key);
        let pairs = holders.iter().map(|h| (h.pid, V::clone(&h.value)));
        pairs.collect()
    }

    /// Waits until no one else holds the lock of a key, and holds it until what
    /// is returned is dropped, however that comes: by the end of the block, a
    /// panic, the end of the process (law PREG-14). Nobody need be registered
    /// under the key, nor the registry run.
    ///
    /// Who comes first is first. Whoever holds the lock and asks for it again
    /// waits for ever.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, it waits no more, and the next one is not held
    /// up.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Node, Registry};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let accounts = Registry::<u32>::unique();
    /// node.block_on(async {
    ///     let held = accounts.lock(7).await;
    ///     // Nobody else is here with account 7.
    ///     drop(held);
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub async fn lock(&self, key: K) -> RegistryLock<K> {
        self.shared.locks.lock(key).await
    }

    /// Has a process told what happens from now on (law PREG-13): what `wrap`
    /// makes of each change. `wrap` runs in the process that registers or takes
    /// itself away, or in the registry, if a process ends; if it panics, this
    /// listener is told no more. So is one that has ended; one by name is told
    /// again when somebody else has the name. When the registry itself ends,
    /// that is no change.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::{Context, Message, Node, Registry, RegistryChange};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Node::new()?;
    /// let process = node.spawn(|mut ctx: Context<String>| async move {
    ///     let guests = Registry::<String>::unique();
    ///     guests.builder().start_link().await?;
    ///     guests.listen(ctx.self_ref(), |change| match change {
    ///         RegistryChange::Registered { key, .. } => format!("{key} comes"),
    ///         _ => "somebody leaves".to_owned(),
    ///     });
    ///     guests.register("Ada".to_owned(), ())?;
    ///     assert_eq!(ctx.receive().await, Message::User("Ada comes".to_owned()));
    ///     Ok::<_, resurgam_runtime::ExitReason>(())
    /// })?;
    /// assert!(node.block_on(process.join()).is_normal());
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen<M: Send + 'static>(
        &self,
        listener: ProcessRef<M>,
        wrap: impl Fn(RegistryChange<'_, K, V>) -> M + Send + Sync + 'static,
    ) {
        let listener = Quiet::new(Arc::new(Listener::new(listener, wrap)));
        let listeners = self.shared.listeners.write();
        let mut listeners = listeners.unwrap_or_else(PoisonError::into_inner);
        listeners.push(listener);
    }

    /// Keeps something beside the registry, for whoever has a handle; it stays
    /// when the registry is restarted.
    ///
    /// # Examples
    ///
    /// ```
    /// use resurgam_runtime::Registry;
    ///
    /// let rooms = Registry::<u32>::unique();
    /// rooms.put_meta("floors", 4_u8);
    /// assert_eq!(rooms.meta("floors"), Some(4_u8));
    /// assert_eq!(rooms.meta::<String>("floors"), None);
    /// assert!(rooms.delete_meta("floors"));
    /// ```
    pub fn put_meta<T: Send + Sync + 'static>(&self, key: impl Into<String>, value: T) {
        let value: Arc<dyn Any + Send + Sync> = Arc::new(value);
        let meta = self.shared.meta.write();
        let mut meta = meta.unwrap_or_else(PoisonError::into_inner);
        let before = meta.insert(key.into(), Quiet::new(value));
        drop(meta);
        drop(before);
    }

    /// What is kept under this key, if it is of this type.
    pub fn meta<T: Clone + Send + Sync + 'static>(&self, key: impl AsRef<str>) -> Option<T> {
        let meta = self.shared.meta.read();
        let meta = meta.unwrap_or_else(PoisonError::into_inner);
        let value = meta.get(key.as_ref()).cloned();
        drop(meta);
        value?.downcast_ref::<T>().cloned()
    }

    /// Lets go of what is kept under this key; whether something was.
    pub fn delete_meta(&self, key: impl AsRef<str>) -> bool {
        let meta = self.shared.meta.write();
        let mut meta = meta.unwrap_or_else(PoisonError::into_inner);
        let before = meta.remove(key.as_ref());
        drop(meta);
        before.is_some()
    }
}

impl<K, V, D> Clone for Registry<K, V, D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            keys: PhantomData,
        }
    }
}

impl<K, V, D> fmt::Debug for Registry<K, V, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_running = self.shared.book().is_some();
        f.debug_struct("Registry")
            .field("is_running", &is_running)
            .finish_non_exhaustive()
    }
}
