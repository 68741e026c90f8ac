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
    /// How often its threads left a processor, of themselves or not; those that have ended do not count.
    pub switches: u64,
    /// Bytes that went to a disk, or will. Where the kernel keeps a file in large folios, a small write dirties all of one.
    pub written: u64,
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
        sum.resident += field_of(format!("/proc/{process}/status"), "VmRSS:")? << 10;
        sum.written += field_of(format!("/proc/{process}/io"), "write_bytes:")?;
        for thread in fs::read_dir(format!("/proc/{process}/task"))? {
            let status = thread?.path().join("status");
            for kind in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
                // It may have ended since it was listed.
                sum.switches += field_of(&status, kind).unwrap_or_default();
            }
        }
    }
    Ok(sum)
}

/// The number in a line of a file in /proc which begins so, without its unit.
fn field_of(path: impl AsRef<Path>, name: &str) -> Result<u64> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).with_context(|| format!("{} can not be read", path.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.with_context(|| format!("{} has no number after {name}", path.display()))
}

/// The memory of this process, where what is shared counts in parts.
pub fn proportional_bytes() -> Result<u64> {
    Ok(field_of("/proc/self/smaps_rollup", "Pss:")? << 10)
}

/// How long the machine's processors have worked so far, for whomever.
pub fn machine_busy() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let times: Vec<u32> = fields.map(str::parse).collect::<Result<_, _>>().context("/proc/stat")?;
    // user, nice, system, (idle, waiting for disks,) interrupts, soft interrupts, stolen by other machines
    Ok([0, 1, 2, 5, 6, 7].iter().filter_map(|field| times.get(*field)).map(|ticks| TICK * *ticks).sum())
}

/// Returns when others have left the machine alone for a moment, or after so many seconds.
pub async fn until_quiet(patience: u32) -> Result<()> {
    const MOMENT: Duration = Duration::from_secs(1);
    for moment in 0..patience {
        let before = machine_busy()?;
        tokio::time::sleep(MOMENT).await;
        if machine_busy()? - before < MOMENT / 20 {
            return Ok(());
        }
        if moment == 0 {
            eprintln!("waiting until the machine is quiet");
        }
    }
    eprintln!("the machine is not quiet: these figures are too low");
    Ok(())
}

/// How often the disk under `path` was told to make its cache durable, whoever asked; none where the system does not say.
pub fn disk_flushes(path: &Path) -> Option<u64> {
    let device = fs::metadata(path).ok()?.dev();
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    stat.split_whitespace().nth(15)?.parse().ok()
}
