//! Lists as files of a folder.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::task::spawn_blocking;

use crate::entry::ListName;
use crate::list::TodoList;
use crate::storage::{Storage, StorageError};

/// So many lists can be written at once.
const LOCKS: usize = 16;

/// A folder with a file for each list.
#[derive(Clone, Debug)]
pub struct Folder(Arc<Files>);

#[derive(Debug)]
struct Files {
    path: PathBuf,
    // Held by whoever reads or writes one of its lists. What a killed worker
    // has begun goes on in its thread, and its successor must not meet it.
    locks: [Mutex<()>; LOCKS],
    // Locked as long as the program lives, so that there is no other one.
    _lock: File,
}

impl Folder {
    /// Opens a folder, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// It cannot be made, or another program has opened it.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path)?;
        let lock = File::create(path.join(".lock"))?;
        lock.try_lock().map_err(|error| refused(&path, error))?;
        let locks = Default::default();
        Ok(Self(Arc::new(Files {
            path,
            locks,
            _lock: lock,
        })))
    }
}

fn refused(path: &Path, error: TryLockError) -> io::Error {
    match error {
        TryLockError::WouldBlock => io::Error::other(format!(
            "folder {} is in use by another program",
            path.display()
        )),
        TryLockError::Error(error) => error,
    }
}

impl Storage for Folder {
    async fn load(&self, name: ListName) -> io::Result<TodoList> {
        let files = Arc::clone(&self.0);
        let load = move || {
            let _guard = files.lock(&name);
            read(&files.path_of(&name))
        };
        spawn_blocking(load).await?
    }

    async fn store(&self, name: ListName, list: TodoList) -> Result<(), StorageError> {
        let files = Arc::clone(&self.0);
        let store = move || {
            let _guard = files.lock(&name);
            let path = files.path_of(&name);
            StorageError::check(&read(&path)?, &list)?;
            Ok(replace(
                &path,
                &serde_json::to_vec(&list).map_err(io::Error::from)?,
            )?)
        };
        spawn_blocking(store).await.map_err(io::Error::from)?
    }
}

impl Files {
    fn lock(&self, name: &ListName) -> MutexGuard<'_, ()> {
        let hash = BuildHasherDefault::<DefaultHasher>::new().hash_one(name);
        let lock = &self.locks[hash as usize % LOCKS];
        lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whatever the list is called, its file is in the folder.
    fn path_of(&self, name: &ListName) -> PathBuf {
        let file = utf8_percent_encode(name.as_str(), NON_ALPHANUMERIC);
        self.path.join(format!("{file}.json"))
    }
}

fn read(path: &Path) -> io::Result<TodoList> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(TodoList::default()),
        Err(error) => Err(error),
    }
}

/// Writes a file so that at any moment, should the power fail, either the old
/// one or the new one is there, whole; the new one once this has returned.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    // The name is kept by the folder, which has to be on the disk too.
    path.parent()
        .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}
