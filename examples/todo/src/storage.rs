//! What a database needs of the place where lists are kept.

use std::io;

use crate::entry::ListName;
use crate::list::TodoList;

/// A place where lists are kept. Clones are the same place.
pub trait Storage: Clone + Send + Sync + 'static {
    /// Reads a list; an empty one if it was never written.
    fn load(&self, name: ListName) -> impl Future<Output = io::Result<TodoList>> + Send;

    /// Writes a list, all of it or nothing, so that it is there for good when
    /// this returns.
    ///
    /// It takes the place of its predecessor and of nothing else: if the
    /// version kept is not one less, it is refused. A writer that was killed
    /// may have left a write behind that is still under way; come late, it must
    /// not undo what its successor has written.
    fn store(
        &self,
        name: ListName,
        list: TodoList,
    ) -> impl Future<Output = Result<(), StorageError>> + Send;
}

/// Why a list was not written, or not surely.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The list kept is not the one that was changed.
    #[error("version {found} is kept; the list was made of another")]
    Stale {
        /// The version kept.
        found: u64,
    },
    /// The place is in trouble.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StorageError {
    /// Whether `list` may take the place of `kept`.
    ///
    /// # Errors
    ///
    /// It may not: [`StorageError::Stale`].
    pub fn check(kept: &TodoList, list: &TodoList) -> Result<(), Self> {
        if kept.version + 1 == list.version {
            Ok(())
        } else {
            Err(Self::Stale {
                found: kept.version,
            })
        }
    }
}
