//! Copies of a data directory: what must outlive it, in a directory of its own that a host can be started with.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::store::StoreError;
use crate::store::embedded::copy::{Picture, Source};
use crate::store::embedded::rescue::Missing;
use crate::store::embedded::{FILE as DATABASE, directory};
use crate::verify::{Problem, Report, verify};
use crate::{callback, keys};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{} is there already: name a directory that is not, or that is empty", .0.display())]
    Exists(PathBuf),
    #[error("{} is no backup: it holds {}", .path.display(), .what)]
    NoBackup { path: PathBuf, what: String },
    /// Nothing is left of the copy.
    #[error("the copy is not in order, {} things are not as they should be; the first: {}", .0.problems.len(), first_line(.0))]
    Unsound(Report),
    #[error("{0}; `fermata backup --rescue` copies all that can be read, once the host is ended")]
    Damaged(String),
    #[error("{} is where a volume is mounted, which can not be put in the place of: name a directory in it", .0.display())]
    MountPoint(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// Copies a data directory to a new one, also while a host works on it: all that was acknowledged when this was called, and what
/// the host needs to go on from it elsewhere. The copy is verified, and durable, when it has its name.
pub fn back_up(data: &Path, to: &Path) -> Result<Report, BackupError> {
    let source = Source::open(data)?;
    let copy = Copy::begin(to)?;
    match source.copy_to(&copy.path().join(DATABASE)) {
        Err(StoreError::Damaged(what)) => return Err(BackupError::Damaged(what)),
        copied => copied?,
    }
    copy.add_secrets_of(data)?;
    copy.finish()
}

/// Copies what can be read of a data directory that has damaged pages, and on which no host works: all instances that are whole, and what else is.
/// The report tells what is left out.
pub fn rescue(data: &Path, to: &Path) -> Result<Report, BackupError> {
    let source = Source::open(data)?;
    let copy = Copy::begin(to)?;
    let database = copy.path().join(DATABASE);
    let mut rescue = source.rescue_to(&database)?;
    // Some of what is lost is missed by histories alone.
    let problems = verify(&Picture::of(&database)?).problems;
    rescue.leave_out(problems.iter().filter_map(|problem| Some((problem.instance.as_deref()?, &*problem.what))))?;
    let left_out = rescue.finish()?;
    copy.add_secrets_of(data)?;
    let report = copy.finish()?;
    let left_out = left_out.into_iter().map(|Missing { id, what }| Problem { instance: id, what }).collect();
    Ok(Report { left_out, ..report })
}

/// Makes a data directory of a backup, which stays as it is.
pub fn restore(from: &Path, data: &Path) -> Result<Report, BackupError> {
    if !from.join(DATABASE).exists() {
        return Err(BackupError::NoBackup { path: from.to_owned(), what: format!("no {DATABASE}") });
    }
    if let Some(what) = left_by_a_host(from)? {
        return Err(BackupError::NoBackup {
            path: from.to_owned(),
            what: format!("{what}, as a host leaves it: use `fermata backup`"),
        });
    }
    let copy = Copy::begin(data)?;
    copy.add(from, DATABASE)?;
    copy.add_secrets_of(from)?;
    copy.finish()
}

/// A file beside the database that may hold what is not in it: a log.
fn left_by_a_host(dir: &Path) -> Result<Option<String>, BackupError> {
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let name = entry.map_err(at(dir))?.file_name().to_string_lossy().into_owned();
        if name.ends_with("-wal") || name.ends_with("-journal") {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// A directory that gets its name when all is in it.
struct Copy {
    made: TempDir,
    to: PathBuf,
    parent: PathBuf,
}

impl Copy {
    fn begin(to: &Path) -> Result<Copy, BackupError> {
        let is_free = match fs::read_dir(to) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let parent = match to.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        directory(&parent)?;
        let volume = |dir: &Path| fs::metadata(dir).map(|found| found.dev()).ok();
        if to.exists() && volume(to) != volume(&parent) {
            return Err(BackupError::MountPoint(to.to_owned()));
        }
        let made = tempfile::Builder::new().prefix(".fermata-copy-").tempdir_in(&parent).map_err(at(&parent))?;
        Ok(Copy { made, to: to.to_owned(), parent })
    }

    fn path(&self) -> &Path {
        self.made.path()
    }

    /// Its permissions go with it.
    fn add(&self, from: &Path, name: &str) -> Result<(), BackupError> {
        let copy = self.path().join(name);
        fs::copy(from.join(name), &copy).map_err(at(&from.join(name)))?;
        File::open(&copy).and_then(|copy| copy.sync_all()).map_err(at(&copy))
    }

    fn add_secrets_of(&self, dir: &Path) -> Result<(), BackupError> {
        let is_there = |name: &&str| dir.join(name).exists();
        [keys::FILE, callback::FILE].iter().filter(|name| is_there(name)).try_for_each(|name| self.add(dir, name))
    }

    fn finish(self) -> Result<Report, BackupError> {
        let report = verify(&Picture::of(&self.path().join(DATABASE))?);
        if !report.is_clean() {
            return Err(BackupError::Unsound(report));
        }
        sync(self.path())?;
        fs::rename(self.path(), &self.to).map_err(at(&self.to))?;
        // Under its new name it is not removed.
        let _ = self.made.keep();
        sync(&self.parent)?;
        Ok(report)
    }
}

fn first_line(report: &Report) -> &str {
    report.problems.first().and_then(|problem| problem.what.lines().next()).unwrap_or_default()
}

fn sync(dir: &Path) -> Result<(), BackupError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(at(dir))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    |error| BackupError::Io { path, error }
}
