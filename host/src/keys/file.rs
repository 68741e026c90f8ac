//! The keys of a host, in one file of its data directory. It is replaced as a whole, so that a reader finds all of the old or all of the
//! new one; a running host looks at each request whether it is another one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Key;
use crate::private_file;

/// The file's name in the data directory.
pub const FILE: &str = "keys.json";
const LOCK: &str = "keys.lock";
const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("there is a key named {0:?} already")]
    Exists(String),
    #[error("there is no key named {0:?}")]
    Unknown(String),
    #[error("{path} holds no keys that this version can read: {why}")]
    Unreadable { path: PathBuf, why: String },
    #[error("{path}: {error}")]
    Io { path: PathBuf, error: io::Error },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    version: u32,
    keys: Vec<Key>,
}

/// The file, for who changes it.
pub struct KeyFile {
    directory: PathBuf,
}

impl KeyFile {
    pub fn new(data: &Path) -> KeyFile {
        KeyFile { directory: data.to_owned() }
    }

    /// The keys there are; none where no key was ever made.
    pub fn read(&self) -> Result<Option<Vec<Key>>, KeysError> {
        let path = self.directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(KeysError::Io { path, error }),
        };
        match serde_json::from_slice(&text) {
            Ok(Contents { version: VERSION, keys }) => Ok(Some(keys)),
            Ok(Contents { version, .. }) => {
                Err(KeysError::Unreadable { path, why: format!("its version is {version}, not {VERSION}") })
            }
            Err(error) => Err(KeysError::Unreadable { path, why: error.to_string() }),
        }
    }

    /// Adds a key. Durable on return.
    pub fn add(&self, key: Key) -> Result<(), KeysError> {
        self.change(|keys| {
            if keys.iter().any(|known| known.name == key.name) {
                return Err(KeysError::Exists(key.name.clone()));
            }
            keys.push(key);
            Ok(())
        })
    }

    /// Takes a key away: no request passes with it from now on. Durable on return. The file stays where its last key goes, so that a host
    /// which once needed keys never opens itself.
    pub fn revoke(&self, name: &str) -> Result<(), KeysError> {
        self.change(|keys| {
            let before = keys.len();
            keys.retain(|key| key.name != name);
            if keys.len() == before { Err(KeysError::Unknown(name.to_owned())) } else { Ok(()) }
        })
    }

    /// Of two who change the file at once, one waits.
    fn change(&self, change: impl FnOnce(&mut Vec<Key>) -> Result<(), KeysError>) -> Result<(), KeysError> {
        let io = |error| KeysError::Io { path: self.directory.clone(), error };
        fs::create_dir_all(&self.directory).map_err(io)?;
        let lock = secret(&self.directory.join(LOCK)).map_err(io)?;
        lock.lock().map_err(io)?;
        let mut keys = self.read()?.unwrap_or_default();
        change(&mut keys)?;
        let contents = serde_json::to_vec_pretty(&Contents { version: VERSION, keys }).expect("keys are JSON");
        private_file::replace(&self.directory, FILE, &contents).map_err(io)
    }
}

/// Opens a file that only its owner may read.
fn secret(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The keys as a host sees them: always those that are in the file.
pub struct Keys {
    file: KeyFile,
    path: PathBuf,
    seen: Mutex<Seen>,
}

struct Seen {
    /// Which file that was; none where there was none.
    file: Option<Identity>,
    keys: Option<Arc<[Arc<Key>]>>,
}

#[derive(PartialEq)]
struct Identity {
    inode: u64,
    modified: (i64, i64),
    size: u64,
}

impl Keys {
    pub fn open(data: &Path) -> Result<Keys, KeysError> {
        let file = KeyFile::new(data);
        let path = data.join(FILE);
        let seen = Seen { file: identity(&path), keys: file.read()?.map(shared) };
        Ok(Keys { file, path, seen: Mutex::new(seen) })
    }

    /// The keys at this moment; none where no key was ever made. A file that can not be read holds no key that is good for anything.
    pub fn current(&self) -> Option<Arc<[Arc<Key>]>> {
        let file = identity(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.file != file {
            seen.keys = match self.file.read() {
                Ok(keys) => keys.map(shared),
                Err(error) => {
                    tracing::error!("no key is accepted any more: {error}");
                    Some(Arc::from([]))
                }
            };
            seen.file = file;
        }
        seen.keys.clone()
    }
}

fn shared(keys: Vec<Key>) -> Arc<[Arc<Key>]> {
    keys.into_iter().map(Arc::new).collect()
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some(Identity { inode: metadata.ino(), modified: (metadata.mtime(), metadata.mtime_nsec()), size: metadata.len() })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::keys::Scope;

    fn key(name: &str) -> Key {
        Key::new(name.into(), vec![Scope::Read], vec![], None).0
    }

    #[test]
    fn a_running_host_sees_keys_come_and_go() {
        let data = tempfile::tempdir().unwrap();
        let (file, keys) = (KeyFile::new(data.path()), Keys::open(data.path()).unwrap());
        assert!(keys.current().is_none());
        let names = || keys.current().map(|keys| keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>());
        file.add(key("a")).unwrap();
        assert_eq!(names(), Some(vec!["a".into()]));
        file.add(key("b")).unwrap();
        assert_eq!(names(), Some(vec!["a".into(), "b".into()]));
        assert!(matches!(file.add(key("a")), Err(KeysError::Exists(_))));
        file.revoke("a").unwrap();
        assert!(matches!(file.revoke("a"), Err(KeysError::Unknown(_))));
        file.revoke("b").unwrap();
        assert_eq!(names(), Some(vec![]), "without its last key a host is closed, not open");
        let mode = fs::metadata(data.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_can_not_be_read_holds_no_key() {
        let data = tempfile::tempdir().unwrap();
        KeyFile::new(data.path()).add(key("a")).unwrap();
        let keys = Keys::open(data.path()).unwrap();
        fs::write(data.path().join(FILE), "{").unwrap();
        assert_eq!(keys.current().unwrap().len(), 0);
        assert!(matches!(Keys::open(data.path()), Err(KeysError::Unreadable { .. })));
        fs::write(data.path().join(FILE), r#"{"version":2,"keys":[]}"#).unwrap();
        assert!(Keys::open(data.path()).is_err(), "a newer version");
    }
}
