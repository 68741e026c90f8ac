//! System calls of a process, counted by the kernel for `perf`: unlike a tracer, that hardly slows the process down.

use std::cmp::Reverse;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// Those on the way of an event, and all together. Each event that is counted costs a little at each context switch, so these are not all there are.
const COUNTED: [&str; 22] = [
    "futex",
    "read",
    "readv",
    "recvfrom",
    "recvmsg",
    "pread64",
    "write",
    "writev",
    "sendto",
    "sendmsg",
    "pwrite64",
    "pwritev",
    "fdatasync",
    "fsync",
    "epoll_wait",
    "epoll_ctl",
    "fcntl",
    "lseek",
    "madvise",
    "mmap",
    "munmap",
    "sched_yield",
];
const ALL: &str = "raw_syscalls:sys_enter";
/// Until `perf` counts in all threads.
const ATTACHING: Duration = Duration::from_millis(500);

pub struct Counter(Child);

impl Counter {
    /// Begins to count; an error says why that is not possible here.
    pub async fn attach(process: u32) -> Result<Counter> {
        let named: Vec<String> = COUNTED.iter().map(|call| format!("syscalls:sys_enter_{call}")).collect();
        let mut perf = Command::new("perf");
        perf.args(["stat", "--field-separator=,", "--event"]).arg(format!("{ALL},{}", named.join(",")));
        perf.arg("--pid").arg(process.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut counting = perf.spawn().context("perf could not be started")?;
        tokio::time::sleep(ATTACHING).await;
        if counting.try_wait()?.is_some() {
            counts(&counting.wait_with_output()?)?;
            bail!("perf ended at once");
        }
        Ok(Counter(counting))
    }

    /// What was counted: all calls together, then those by name that came at all, the most frequent first.
    pub fn finish(self) -> Result<Vec<(String, u64)>> {
        // perf tells its counts when it is interrupted.
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        counts(&self.0.wait_with_output()?)
    }
}

fn counts(output: &Output) -> Result<Vec<(String, u64)>> {
    let said = String::from_utf8_lossy(&output.stderr);
    let mut counts: Vec<_> = said.lines().filter_map(count).filter(|(_, count)| *count > 0).collect();
    ensure!(!counts.is_empty(), "perf counted nothing: {}", said.trim());
    counts.sort_by_key(|(_, count)| Reverse(*count));
    Ok(counts)
}

/// `COUNT,UNIT,EVENT,…`
fn count(line: &str) -> Option<(String, u64)> {
    let mut fields = line.split(',');
    let count = fields.next()?.parse().ok()?;
    let event = fields.nth(1)?;
    let name = if event == ALL { "all" } else { event.strip_prefix("syscalls:sys_enter_")? };
    Some((name.to_owned(), count))
}
