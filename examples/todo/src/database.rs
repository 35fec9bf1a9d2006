//! The database: a pool of workers, each of which looks after its part of the
//! lists, one after the other.

use std::io;

use resurgam::{
    CallError, ChildSpec, ExitReason, FindPartitionError, GenServer, InitError,
    PartitionSupervisor, Partitions, ProcessRef, Reply, ServerContext,
};

use crate::entry::ListName;
use crate::list::TodoList;
use crate::storage::{Storage, StorageError};

/// A process that reads and writes lists.
#[derive(Debug)]
pub struct Worker<S>(S);

/// What a worker is asked.
#[derive(Debug)]
pub enum Request {
    /// Read this list.
    Load(ListName, Reply<io::Result<TodoList>>),
    /// Write this list. The reply says that it is there for good.
    Store(ListName, TodoList, Reply<Result<(), StorageError>>),
}

impl<S: Storage> GenServer for Worker<S> {
    type Args = S;
    type Message = Request;

    async fn init(storage: S, _: &mut ServerContext<Self>) -> Result<Self, InitError> {
        Ok(Self(storage))
    }

    async fn handle(
        &mut self,
        request: Request,
        _: &mut ServerContext<Self>,
    ) -> Result<(), ExitReason> {
        match request {
            Request::Load(name, reply) => reply.send(self.0.load(name).await),
            Request::Store(name, list, reply) => reply.send(self.0.store(name, list).await),
        }
        Ok(())
    }
}

/// The way to the workers. Good before they have started, and after they were
/// restarted.
#[derive(Clone, Debug)]
pub struct Database(Partitions<ProcessRef<Request>>);

/// Why a list was not read or written, or nobody knows whether it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// There is no worker at the moment.
    #[error(transparent)]
    NoWorker(#[from] FindPartitionError),
    /// The worker is gone, or too slow.
    #[error("database worker: {0}")]
    NoAnswer(#[from] CallError),
    /// The worker could not do it.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Database {
    /// A database of so many workers, and what is to be supervised.
    pub fn new(storage: impl Storage, workers: usize) -> (Self, ChildSpec) {
        let start = move |_| Worker::start_link(storage.clone());
        let pool = PartitionSupervisor::builder(start).partitions(workers);
        let database = Self(pool.handle());
        (database, ChildSpec::partition_supervisor("database", pool))
    }

    /// Reads a list; an empty one if it was never written.
    ///
    /// # Errors
    ///
    /// See [`DatabaseError`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn load(&self, name: &ListName) -> Result<TodoList, DatabaseError> {
        let worker = self.0.get(name)?;
        let loaded = worker.call(|reply| Request::Load(name.clone(), reply));
        Ok(loaded.await?.map_err(StorageError::from)?)
    }

    /// Writes a list. It is there for good when this returns.
    ///
    /// # Errors
    ///
    /// See [`DatabaseError`]. The list may have been written even so, unless
    /// it was [stale](StorageError::Stale).
    ///
    /// # Cancel safety
    ///
    /// The list may be written or not.
    pub async fn store(&self, name: &ListName, list: TodoList) -> Result<(), DatabaseError> {
        let worker = self.0.get(name)?;
        let stored = worker.call(|reply| Request::Store(name.clone(), list, reply));
        Ok(stored.await??)
    }
}
