//! One process for a data directory: a locked file, which the system releases however the process ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::store::StoreError;

/// Holds the directory until it is dropped.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let io = |error: std::io::Error| StoreError::Io(error.to_string().into());
    let path = dir.join("fermata.lock");
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(error)) => return Err(io(error)),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let _ = file.read_to_string(&mut text);
            return Err(StoreError::InUse { path: dir.to_owned(), pid: text.trim().parse().ok() });
        }
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(io)?;
    Ok(file)
}
