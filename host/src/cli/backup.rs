//! `fermata backup`, `restore` and `verify`: data directories, and copies of them. They need no host, and disturb none.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::failure::{Exit, Failure};
use super::{Format, text};
use crate::backup::{BackupError, back_up, rescue, restore};
use crate::store::StoreError;
use crate::store::embedded::FILE;
use crate::store::embedded::copy::{Picture, Source};
use crate::verify::{Problem, Report, verify};

const BACKUP_EXAMPLES: &str = "\
Examples:
  fermata backup /backups/monday
  fermata backup --data /var/lib/fermata /backups/$(date +%F)
  fermata backup --rescue --data /var/lib/fermata /var/lib/fermata-rescued";

/// Copies a data directory, also while its host runs: all that was acknowledged is in the copy, and the copy is verified.
///
/// Keys and the secret of callback URLs are in it, too: keep it as safe as the data.
#[derive(Args)]
#[command(after_help = BACKUP_EXAMPLES)]
pub struct Backup {
    /// The directory to make.
    to: PathBuf,
    /// Copy what can be read of data with damaged pages, once its host is ended, and say what is lost: instances that are not whole are left out.
    /// A host can go on from such a copy.
    #[arg(long)]
    rescue: bool,
    #[command(flatten)]
    place: Place,
}

const RESTORE_EXAMPLES: &str = "\
Examples:
  fermata restore /backups/monday --data /var/lib/fermata
  fermata serve --data /var/lib/fermata";

/// Makes a data directory of a backup, for a host to be started with. The backup stays as it is.
#[derive(Args)]
#[command(after_help = RESTORE_EXAMPLES)]
pub struct Restore {
    /// What `fermata backup` has made.
    from: PathBuf,
    #[command(flatten)]
    place: Place,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  fermata verify --data /var/lib/fermata
  fermata verify --backup /backups/monday -o json | jq '.problems[].what'";

/// Reads everything, and compares what is derived from histories with what they give. Exits with 1 where something differs.
///
/// It works while a host runs. A data directory that a crash left behind is recovered first, as a host would.
#[derive(Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub struct Verify {
    /// A backup, which is not written to, instead of a data directory.
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Place {
    /// The data directory of the host.
    #[arg(long, value_name = "DIR", default_value = "fermata-data", env = "FERMATA_DATA")]
    data: PathBuf,
    /// How to print the outcome.
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
}

impl Backup {
    pub fn run(self) -> Result<(), Failure> {
        let copy = if self.rescue { rescue } else { back_up };
        let report = copy(&self.place.data, &self.to)?;
        for Problem { instance, what } in &report.left_out {
            eprintln!("lost: {}", instance.as_ref().map_or(what.clone(), |id| format!("{id} ({what})")));
        }
        self.place.tell(&report, &format!("{} is backed up to {}", self.place.data.display(), self.to.display()));
        Ok(())
    }
}

impl Restore {
    pub fn run(self) -> Result<(), Failure> {
        let report = restore(&self.from, &self.place.data)?;
        self.place.tell(&report, &format!("{} has what was in {}", self.place.data.display(), self.from.display()));
        Ok(())
    }
}

impl Verify {
    pub fn run(self) -> Result<(), Failure> {
        let report = match &self.backup {
            Some(backup) => verify(&Picture::of(&backup.join(FILE))?),
            None => verify(&Source::open(&self.place.data)?.picture()?),
        };
        if report.is_clean() {
            self.place.tell(&report, &format!("{} is in order", self.looked_at().display()));
            return Ok(());
        }
        if self.place.output == Format::Json {
            text::line(&serde_json::json!(report).to_string());
        }
        for problem in &report.problems {
            eprintln!("{}{}", problem.instance.as_ref().map(|id| format!("{id}: ")).unwrap_or_default(), problem.what);
        }
        let (found, place) = (report.problems.len(), self.looked_at().display());
        Err(Failure::new(Exit::Failed, anyhow!("{found} things in {place} are not as they should be")))
    }

    fn looked_at(&self) -> &Path {
        self.backup.as_ref().unwrap_or(&self.place.data)
    }
}

impl Place {
    fn tell(&self, report: &Report, words: &str) {
        match self.output {
            Format::Json => text::line(&serde_json::json!(report).to_string()),
            Format::Text => text::line(&format!("{words}: {} instances, {} steps", report.instances, report.steps)),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        match error {
            BackupError::Exists(_) => Failure::new(Exit::Conflict, error),
            BackupError::NoBackup { .. } => Failure::new(Exit::Usage, error),
            BackupError::Store(error) => error.into(),
            BackupError::MountPoint(_) => Failure::new(Exit::Usage, error),
            BackupError::Unsound(_) | BackupError::Damaged(_) | BackupError::Io { .. } => {
                Failure::new(Exit::Failed, error)
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::new(Exit::Failed, error)
    }
}
