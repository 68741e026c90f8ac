//! What a host takes of the machine at a moment, as Linux tells it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::Host;

#[derive(Debug, Serialize)]
pub struct Sample {
    /// Seconds since the beginning.
    pub at: f64,
    /// The number of the process, from 1 on.
    pub life: u32,
    /// Of the process: bytes in memory, open files, threads.
    pub resident: u64,
    pub descriptors: u64,
    pub threads: u64,
    /// Bytes of the database.
    pub database: u64,
    /// Bytes of the other files in the data directory, but for the compiled modules: of logs, which come and go.
    pub logs: u64,
    /// From the request that raises an event until it is told that the instance has completed, microseconds, since the sample before.
    pub p50: u64,
    pub p99: u64,
    /// How many of those.
    pub probes: usize,
}

impl Sample {
    /// `latencies` of at least one probe.
    pub fn take(host: &Host, at: Duration, life: u32, mut latencies: Vec<Duration>) -> Sample {
        let process = format!("/proc/{}", host.pid());
        let status = fs::read_to_string(format!("{process}/status")).expect("the host runs");
        let field = |name: &str| -> u64 {
            let value = status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
            value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {status}"))
        };
        let settings = host.settings();
        let database = size_of_file(&settings.data().join("fermata.db"));
        let descriptors = fs::read_dir(format!("{process}/fd")).expect("the host is ours").count() as u64;
        latencies.sort_unstable();
        let micros = |part: usize| latencies[(latencies.len() - 1) * part / 100].as_micros() as u64;
        Sample {
            at: at.as_secs_f64(),
            life,
            resident: field("VmRSS:") << 10,
            descriptors,
            threads: field("Threads:"),
            database,
            logs: size(settings.data()).saturating_sub(database),
            p50: micros(50),
            p99: micros(99),
            probes: latencies.len(),
        }
    }
}

fn size_of_file(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Bytes of the files in a folder. One may go meanwhile.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.filter(|entry| entry.file_name() != "cache").map(|entry| entry.path());
    paths.map(|path| if path.is_dir() { size(&path) } else { size_of_file(&path) }).sum()
}
