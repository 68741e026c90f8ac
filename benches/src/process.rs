//! What Linux tells of a process and a disk.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// The unit of times in /proc, on every Linux of today.
const TICK: Duration = Duration::from_millis(10);

/// What processes have used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Resident set, bytes.
    pub resident: u64,
}

/// The sum over these processes.
pub fn usage(processes: &[u32]) -> Result<Usage> {
    let mut sum = Usage::default();
    for process in processes {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).context("the process has ended")?;
        // The name before the last parenthesis may hold anything.
        let (_, fields) = stat.rsplit_once(") ").context("/proc/…/stat")?;
        let field = |number: usize| fields.split(' ').nth(number - 3).and_then(|field| field.parse::<u32>().ok());
        let (user, system) = field(14).zip(field(15)).context("/proc/…/stat")?;
        sum.cpu += TICK * (user + system);
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.trim().strip_suffix(" kB")).context("/proc/…/status")?;
        sum.resident += kilobytes.parse::<u64>()? << 10;
    }
    Ok(sum)
}

/// How often the disk under `path` was told to make its cache durable, whoever asked; none where the system does not say.
pub fn disk_flushes(path: &Path) -> Option<u64> {
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    stat.split_whitespace().nth(15)?.parse().ok()
}
