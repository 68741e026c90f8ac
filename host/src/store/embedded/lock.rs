//! One process for a data directory: a locked file, which the system releases however the process ends.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use crate::store::StoreError;

/// Holds the directory until it is dropped.
pub(super) struct Lock {
    file: File,
}

/// Locks the directory. The file is empty until the data is in order, see [`Lock::announce`].
pub(super) fn lock(dir: &Path) -> Result<Lock, StoreError> {
    let path = dir.join("fermata.lock");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(failed(error)),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            return Err(StoreError::InUse { path: dir.to_owned(), pid: text.trim().parse().ok() });
        }
    }
    file.set_len(0).map_err(failed)?;
    Ok(Lock { file })
}

impl Lock {
    /// Tells who holds it: from now on the database has all that was acknowledged, and others may read it beside us.
    pub(super) fn announce(&mut self) -> Result<(), StoreError> {
        writeln!(self.file, "{}", std::process::id()).map_err(failed)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that nobody takes us for a host that runs.
        let _ = self.file.set_len(0);
    }
}

fn failed(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string().into())
}
