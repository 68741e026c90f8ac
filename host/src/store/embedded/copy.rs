//! A data directory that is read beside its host, or without one.
//!
//! SQLite lets several processes read one file, and shows each a consistent picture. What a host has acknowledged is in its database from the
//! moment that it runs; after a crash some of it may be elsewhere until the next start. So a directory that nobody works on is opened
//! as a host would, and one on which a host is starting is refused.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::format::{self, FORMAT};
use super::health::read_error;
use super::open::{connect_reader, connect_reader_of_any};
use super::rescue::Rescue;
use super::{Embedded, FILE, check, reader};
use crate::store::{Activity, InstanceKey, Loaded, Sent, StoreError};

/// A data directory whose database has all that was acknowledged until it was opened.
pub struct Source {
    file: PathBuf,
    /// Where no host runs: nobody can start one meanwhile.
    store: Option<Embedded>,
}

impl Source {
    pub fn open(dir: &Path) -> Result<Source, StoreError> {
        let file = dir.join(FILE);
        if !file.exists() {
            return Err(StoreError::Io(format!("{} holds no {FILE}", dir.display()).into()));
        }
        let found = connect_reader_of_any(&file).and_then(|db| format::read(&db));
        // To open an older one would make it one of today, which the host that it belongs to could not read any more.
        if let Ok(Some(found)) = found
            && found != FORMAT
        {
            let what = format!("{} is of format {found}, and this is for format {FORMAT}", file.display());
            return Err(StoreError::Io(format!("{what}: use the fermata of the host that works on it").into()));
        }
        match Embedded::open(dir) {
            Ok(store) => Ok(Source { file, store: Some(store) }),
            Err(StoreError::InUse { pid: Some(_), .. }) => Ok(Source { file, store: None }),
            Err(StoreError::InUse { pid: None, .. }) => {
                Err(StoreError::Io(format!("a host is starting on {}: try again when it runs", dir.display()).into()))
            }
            Err(error) => Err(error),
        }
    }

    pub fn picture(&self) -> Result<Picture, StoreError> {
        Picture::of(&self.file)
    }

    /// Begins a new database out of what can be read of this one. Not beside a host: what it changes meanwhile would be there in part.
    pub fn rescue_to(&self, file: &Path) -> Result<Rescue, StoreError> {
        match &self.store {
            Some(store) => Rescue::begin(&store.readers, file),
            None => Err(StoreError::Io(
                "a host works on it: end it first, for what it writes meanwhile would be there in part".into(),
            )),
        }
    }

    /// Writes the database as it is now to a new file. Durable on return, but for its name.
    pub fn copy_to(&self, copy: &Path) -> Result<(), StoreError> {
        let name = copy.to_str().ok_or_else(|| StoreError::Io("the name of the copy is no UTF-8".into()))?;
        let db = connect_reader(&self.file)?;
        db.execute("VACUUM INTO ?", [name]).map_err(read_error)?;
        File::open(copy).and_then(|copy| copy.sync_all()).map_err(|error| StoreError::Io(error.to_string().into()))
    }
}

/// What is in a database, at one moment.
pub struct Picture {
    db: Connection,
}

impl Picture {
    /// Of this file, which is not changed.
    pub fn of(file: &Path) -> Result<Picture, StoreError> {
        let db = connect_reader(file)?;
        db.execute_batch("BEGIN").map_err(read_error)?;
        Ok(Picture { db })
    }

    /// What does not fit together, in words.
    pub fn damage(&self) -> Vec<String> {
        check::damage(&self.db)
    }

    /// The keys of all instances.
    pub fn keys(&self) -> Result<Vec<InstanceKey>, StoreError> {
        self.db
            .prepare("SELECT key FROM instance ORDER BY key")
            .and_then(|mut query| query.query_map([], |row| reader::key(row, 0))?.collect())
            .map_err(read_error)
    }

    pub fn load(&self, key: InstanceKey) -> Result<Option<Loaded>, StoreError> {
        reader::load(&self.db, key)
    }

    pub fn open_activities(&self) -> Result<Vec<Activity>, StoreError> {
        reader::open_activities(&self.db)
    }

    pub fn outbox(&self) -> Result<Vec<Sent>, StoreError> {
        reader::outbox(&self.db)
    }
}
