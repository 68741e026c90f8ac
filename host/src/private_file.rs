//! Files of the data directory that hold what nobody else may know.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a file that only its owner may read, in the place of the one that is there: who reads it finds all of the old or all of the new
/// one. Durable on return.
pub fn replace(directory: &Path, name: &str, contents: &[u8]) -> io::Result<()> {
    // Such a file is made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(directory.join(name))?;
    File::open(directory)?.sync_all()
}
