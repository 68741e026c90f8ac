//! Does many things at once, tries again what fails, and lives with what fails for good.

use std::time::Duration;

use fermata_guest::*;
use serde::{Deserialize, Serialize};

/// A file to be copied; copying it is simulated.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct File {
    path: String,
    bytes: u64,
    /// How many attempts fail before one succeeds.
    #[serde(default)]
    failures: u32,
    /// There is no such file, so that no attempt can succeed.
    #[serde(default)]
    missing: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    files: usize,
    bytes: u64,
    failed: Vec<Failed>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Failed {
    path: String,
    reason: String,
}

#[orchestrator("BackupFiles")]
pub async fn backup_files(ctx: Context, files: Vec<File>) -> Result<Backup> {
    let policy = RetryPolicy::new(3, Duration::from_secs(1)).backoff(2.0).non_retryable(["NotFound"]);
    let copies = files.iter().map(|file| ctx.call_activity_with_retry::<u64>("CopyFile", &policy, file));

    // All of them run at once. A file that cannot be copied does not stop the others.
    let mut backup = Backup { files: 0, bytes: 0, failed: Vec::new() };
    for (file, copied) in files.iter().zip(ctx.join_all(copies).await) {
        match copied {
            Ok(bytes) => {
                backup.files += 1;
                backup.bytes += bytes;
            }
            Err(error) => backup.failed.push(Failed { path: file.path.clone(), reason: error.to_string() }),
        }
    }
    Ok(backup)
}

/// Copies nothing, and returns how many bytes it would have copied.
#[activity("CopyFile")]
pub fn copy_file(ctx: ActivityContext, file: File) -> Result<u64> {
    if file.missing {
        return Err(Failure::new("NotFound", "there is no such file").into());
    }
    if ctx.attempt() <= file.failures {
        return Err(Failure::new("Busy", format!("the disk is busy, {} times now", ctx.attempt())).into());
    }
    ctx.info(format_args!("{} copied: {} bytes", file.path, file.bytes));
    Ok(file.bytes)
}

#[cfg(test)]
mod tests {
    use fermata_guest::testing;

    use super::*;

    fn file(path: &str, failures: u32) -> File {
        File { path: path.to_owned(), bytes: 100, failures, missing: false }
    }

    fn failed(path: &str, reason: &str) -> Failed {
        Failed { path: path.to_owned(), reason: reason.to_owned() }
    }

    #[test]
    fn everything_is_copied_at_once() {
        let mut run = testing::start("BackupFiles", [file("a", 0), file("b", 0), file("c", 0)]);
        assert_eq!(run.open_activities().len(), 3);
        run.run_activities();
        assert_eq!(run.output::<Backup>().unwrap(), Backup { files: 3, bytes: 300, failed: vec![] });
        run.check_replay();
    }

    #[test]
    fn what_fails_is_tried_again_and_what_fails_for_good_is_told() {
        let missing = File { missing: true, ..file("c", 0) };
        let mut run = testing::start("BackupFiles", [file("a", 2), file("b", 3), missing, file("d", 0)]);
        run.run_activities();
        assert_eq!(run.waiting_for(), ["activity CopyFile, attempt 2 in 1s", "activity CopyFile, attempt 2 in 1s"]);
        while run.is_running() {
            run.skip_to_next_timer();
            run.run_activities();
        }
        let failed =
            vec![failed("b", "Busy: the disk is busy, 3 times now"), failed("c", "NotFound: there is no such file")];
        assert_eq!(run.output::<Backup>().unwrap(), Backup { files: 2, bytes: 200, failed });
        run.check_replay();
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        let run = testing::start("BackupFiles", Vec::<File>::new());
        assert_eq!(run.output::<Backup>().unwrap(), Backup { files: 0, bytes: 0, failed: vec![] });
    }
}
