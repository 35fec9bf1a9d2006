//! A disk for simulations.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::oneshot;
use resurgam::{Context, Node, sleep, spawn, yield_now};
use todo::entry::ListName;
use todo::list::TodoList;
use todo::storage::{Storage, StorageError};

/// A disk that writes in its own time: what a worker has begun goes on, if the
/// worker is killed, as the thread of a real one does.
#[derive(Clone)]
pub(crate) struct Memory {
    lists: Arc<Mutex<HashMap<ListName, TodoList>>>,
    check: Check,
}

/// Whether the disk refuses what is stale.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    Versions,
    Nothing,
}

impl Memory {
    pub(crate) fn new(check: Check) -> Self {
        let lists = Arc::default();
        Self { lists, check }
    }

    fn read(&self, name: &ListName) -> TodoList {
        let lists = self.lists.lock().unwrap();
        lists.get(name).cloned().unwrap_or_default()
    }

    fn write(&self, name: ListName, list: TodoList) -> Result<(), StorageError> {
        let mut lists = self.lists.lock().unwrap();
        let kept = lists.entry(name).or_default();
        if self.check == Check::Versions {
            StorageError::check(kept, &list)?;
        }
        *kept = list;
        Ok(())
    }
}

impl Storage for Memory {
    async fn load(&self, name: ListName) -> io::Result<TodoList> {
        yield_now().await;
        Ok(self.read(&name))
    }

    async fn store(&self, name: ListName, list: TodoList) -> Result<(), StorageError> {
        let (tx, written) = oneshot::channel();
        let disk = self.clone();
        let write = move |_: Context<()>| async move {
            sleep(Duration::from_millis(Node::current().random() % 200)).await;
            let _ = tx.send(disk.write(name, list));
        };
        spawn(write).map_err(io::Error::other)?;
        written.await.map_err(io::Error::other)?
    }
}
