//! Reason why the store did not do as asked.

use super::FORMAT;

/// Reason why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages are the documentation")]
pub enum StoreError {
    #[error("the store failed: {0}")]
    Db(Box<redb::Error>),
    #[error("`{path}` exists already")]
    Exists { path: String },
    #[error("the store has format {found}, this version knows format {FORMAT}")]
    Format { found: u8 },
    #[error("a file could not be written: {0}")]
    Io(#[from] std::io::Error),
    #[error("the store is open in another process")]
    Locked,
    #[error("the disk takes no writes, so the store is read-only")]
    ReadOnly,
    #[error("a row of the store is damaged: {error}")]
    Row { error: String },
    #[error("an object of the store is damaged: {0}")]
    Object(#[from] bellwether_formats::signed::OpenError),
}

impl StoreError {
    /// Tells whether the store refused the write because the disk is full: it can be tried again.
    pub const fn is_read_only(&self) -> bool {
        matches!(self, Self::ReadOnly)
    }

    /// Tells whether the disk failed under the store. It then answers nothing any more until it is
    /// opened anew, so the node has to end: trying again is of no use.
    pub fn is_fatal(&self) -> bool {
        let Self::Db(error) = self else { return false };
        matches!(
            **error,
            redb::Error::Io(_)
                | redb::Error::PreviousIo
                | redb::Error::Corrupted(_)
                | redb::Error::LockPoisoned(_)
        )
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                match redb::Error::from(error) {
                    redb::Error::DatabaseAlreadyOpen => Self::Locked,
                    error => Self::Db(Box::new(error)),
                }
            }
        }
    )*};
}
from_redb!(
    CommitError,
    DatabaseError,
    StorageError,
    TableError,
    TransactionError
);
