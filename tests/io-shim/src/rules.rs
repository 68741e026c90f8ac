//! Rules for a process as a whole, by files in the directory that `FERMATA_IO_SHIM` names:
//!
//! - while `hold` exists, an `fsync` or `fdatasync` appends a line to `entered` and returns once `hold` is gone
//! - while `fail` exists, these two return `EIO` and sync nothing
//! - while `full` exists, nothing can be written to a file in the directory that `FERMATA_IO_SHIM_DATA` names: `ENOSPC`

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use libc::c_int;

/// Before a sync. An error is the call's.
pub fn before_sync(name: &str) -> Result<(), c_int> {
    let Some(dir) = directory(&RULES, "FERMATA_IO_SHIM") else { return Ok(()) };
    hold(dir, name);
    if dir.join("fail").exists() { Err(libc::EIO) } else { Ok(()) }
}

/// Before anything that takes room, in this file.
pub fn before_growth(path: &Path) -> Result<(), c_int> {
    let (Some(dir), Some(data)) = (directory(&RULES, "FERMATA_IO_SHIM"), directory(&DATA, "FERMATA_IO_SHIM_DATA"))
    else {
        return Ok(());
    };
    if path.starts_with(data) && dir.join("full").exists() { Err(libc::ENOSPC) } else { Ok(()) }
}

/// Whether [`before_growth`] may ever refuse.
pub fn look_at_growth() -> bool {
    directory(&DATA, "FERMATA_IO_SHIM_DATA").is_some()
}

static RULES: OnceLock<Option<PathBuf>> = OnceLock::new();
static DATA: OnceLock<Option<PathBuf>> = OnceLock::new();

fn directory<'a>(known: &'a OnceLock<Option<PathBuf>>, variable: &str) -> Option<&'a Path> {
    known.get_or_init(|| std::env::var_os(variable).map(PathBuf::from)).as_deref()
}

fn hold(dir: &Path, name: &str) {
    let hold = dir.join("hold");
    if !hold.exists() {
        return;
    }
    if let Ok(mut entered) = File::options().create(true).append(true).open(dir.join("entered")) {
        let _ = entered.write_all(format!("{name}\n").as_bytes());
    }
    while hold.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}
