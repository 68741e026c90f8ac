//! The secret that callback URLs are signed with: a file in the data directory, looked at anew each time, so that to delete it revokes
//! every URL there is, also while the host runs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rand::TryRng as _;

use crate::private_file;

/// The file's name in the data directory.
pub const FILE: &str = "callback-secret";

const BYTES: usize = 32;

/// 256 random bits.
pub struct Secret([u8; BYTES]);

pub struct SecretFile {
    directory: PathBuf,
    /// Whether the file that is there is known to be on disk. Held by whoever signs, so that of two at once one makes the secret.
    is_durable: Mutex<bool>,
}

impl SecretFile {
    pub fn new(directory: &Path) -> SecretFile {
        SecretFile { directory: directory.to_owned(), is_durable: Mutex::default() }
    }

    /// None where no URL was ever signed, or all were revoked.
    pub fn read(&self) -> io::Result<Option<Secret>> {
        let path = self.directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
        };
        let damaged = || io::Error::other(format!("{} does not hold {} hexadecimal digits", path.display(), 2 * BYTES));
        Secret::parse(text.trim_end()).map(Some).ok_or_else(damaged)
    }

    /// The secret, made where there is none. It is on disk before anything is signed with it: a URL that was given out holds.
    pub fn to_sign_with(&self) -> io::Result<Secret> {
        let mut is_durable = self.is_durable.lock().unwrap_or_else(PoisonError::into_inner);
        let secret = match self.read()? {
            Some(secret) => secret,
            None => {
                *is_durable = false;
                self.make()?
            }
        };
        if !*is_durable {
            // A process that died may have made it, and not have come so far.
            File::open(self.directory.join(FILE))?.sync_all()?;
            File::open(&self.directory)?.sync_all()?;
            *is_durable = true;
        }
        Ok(secret)
    }

    fn make(&self) -> io::Result<Secret> {
        let secret = Secret::new()?;
        private_file::replace(&self.directory, FILE, format!("{}\n", hex::encode(secret.bytes())).as_bytes())?;
        Ok(secret)
    }
}

impl Secret {
    fn new() -> io::Result<Secret> {
        let mut bytes = [0; BYTES];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(io::Error::other)?;
        Ok(Secret(bytes))
    }

    fn parse(text: &str) -> Option<Secret> {
        let mut bytes = [0; BYTES];
        hex::decode_to_slice(text, &mut bytes).ok().map(|()| Secret(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_made_when_something_is_to_be_signed_and_stays() {
        let data = tempfile::tempdir().unwrap();
        let (file, path) = (SecretFile::new(data.path()), data.path().join(FILE));
        assert!(file.read().unwrap().is_none() && !path.exists());
        let made = file.to_sign_with().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "nothing else is left");
        for again in [file.to_sign_with().unwrap(), SecretFile::new(data.path()).to_sign_with().unwrap()] {
            assert_eq!(again.bytes(), made.bytes());
        }
        fs::remove_file(&path).unwrap();
        assert!(file.read().unwrap().is_none());
        assert_ne!(file.to_sign_with().unwrap().bytes(), made.bytes());
    }

    #[test]
    fn of_many_who_need_it_at_once_one_makes_it() {
        let data = tempfile::tempdir().unwrap();
        let file = SecretFile::new(data.path());
        let secrets: Vec<Secret> = std::thread::scope(|scope| {
            let signers: Vec<_> = (0..8).map(|_| scope.spawn(|| file.to_sign_with().unwrap())).collect();
            signers.into_iter().map(|signer| signer.join().unwrap()).collect()
        });
        assert!(secrets.iter().all(|secret| secret.bytes() == secrets[0].bytes()));
    }

    #[test]
    fn what_is_no_secret_is_not_taken_for_one_and_not_overwritten() {
        let data = tempfile::tempdir().unwrap();
        let (file, path) = (SecretFile::new(data.path()), data.path().join(FILE));
        for damaged in [String::new(), "00".repeat(31), "00".repeat(33), "0g".repeat(32), "é".repeat(32)] {
            fs::write(&path, &damaged).unwrap();
            assert!(file.read().is_err() && file.to_sign_with().is_err(), "{damaged}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn where_it_can_not_be_kept_nothing_is_signed() {
        let file = SecretFile::new(Path::new("/nowhere/at/all"));
        assert!(file.to_sign_with().is_err());
    }
}
