//! A compilation in a child process of this very program. The child is told what to do by its only argument, reads the module from its standard
//! input and writes a [`Report`] to its standard output, then what it has made. It has no environment, and whatever it does, it is gone
//! when its time is over.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::job::Job;
use super::sandbox;
use crate::engine::BadModule;
use crate::limits::ModuleLimits;

/// The command that a child is started with.
pub const COMMAND: &str = "compile-module";

/// What a child says on standard error is kept to be told to people, this many bytes of it.
const WORDS_BYTES: u64 = 4 << 10;

/// How many times its processor time a child may take by the clock: on a busy machine it is given little.
const PATIENCE: u32 = 5;

/// What a report may take besides what was made, bytes.
const REPORT_BYTES: u64 = 1 << 20;

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assignment {
    job: Job,
    limits: ModuleLimits,
}

/// The first line of a child's output.
#[derive(Serialize, Deserialize)]
struct Report {
    /// What kept it from doing anything but its job.
    confined: String,
    /// How many bytes follow, or why there are none.
    made: Result<u64, BadModule>,
}

/// Starts children, and waits for them.
pub struct Child {
    pub(super) program: PathBuf,
    pub(super) limits: ModuleLimits,
}

/// The program that runs now, and not what lies in its place since.
pub fn this_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or(running) }
}

impl Child {
    pub fn run(&self, job: Job, module: &[u8]) -> Result<Vec<u8>, BadModule> {
        let begun = Instant::now();
        let ended = self.talk(job, module).map_err(|error| BadModule::NoCompiler(error.to_string()))?;
        let (report, made) = ended.report().ok_or_else(|| self.why(&ended))?;
        let ms = begun.elapsed().as_millis() as u64;
        tracing::debug!(ms, confined = report.confined, "a child has done its job: {job:?}");
        report.made.map(|_| made.to_vec())
    }

    /// Lets a child do its job until it ends, or its time does.
    fn talk(&self, job: Job, module: &[u8]) -> std::io::Result<Ended> {
        let assignment = Assignment { job, limits: self.limits.clone() };
        let mut child = Command::new(&self.program)
            .arg0("fermata")
            .args([COMMAND, &serde_json::to_string(&assignment)?])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let piped = || std::io::Error::other("a pipe is missing");
        let mut input = child.stdin.take().ok_or_else(piped)?;
        let output = child.stdout.take().ok_or_else(piped)?;
        let errors = child.stderr.take().ok_or_else(piped)?;
        let at_most = self.limits.code_bytes as u64 + REPORT_BYTES;
        std::thread::scope(|scope| {
            // It may end before it has read everything: what it says tells why.
            scope.spawn(move || drop(input.write_all(module)));
            let (tell, ended) = mpsc::channel();
            let output = scope.spawn(move || {
                let read = read(output, at_most);
                let _ = tell.send(());
                read
            });
            let words = scope.spawn(move || read(errors, WORDS_BYTES));
            let is_late = ended.recv_timeout(self.limits.compile_time * PATIENCE).is_err();
            // It has said everything, or its time is over.
            child.kill()?;
            let status = child.wait()?;
            let joined = |read: std::thread::ScopedJoinHandle<'_, Vec<u8>>| read.join().unwrap_or_default();
            let words = String::from_utf8_lossy(&joined(words)).trim().to_owned();
            Ok(Ended { output: joined(output), words, status, is_late })
        })
    }

    /// Why a child has not reported.
    fn why(&self, ended: &Ended) -> BadModule {
        // The last words of the standard library, and of who finds no room for the stack of a thread.
        let is_out_of_memory =
            ["memory allocation of", "ThreadPoolBuildError"].iter().any(|words| ended.words.contains(words));
        match ended.status.signal() {
            _ if is_out_of_memory => BadModule::CompileMemory,
            _ if ended.is_late => BadModule::CompileTime(self.limits.compile_time),
            Some(SIGXCPU) => BadModule::CompileTime(self.limits.compile_time),
            _ => BadModule::CompilerDied(format!("{}: {}", ended.status, ended.words)),
        }
    }
}

/// How the system ends a process that has used up its processor time.
const SIGXCPU: i32 = 24;

/// How a child has ended.
struct Ended {
    output: Vec<u8>,
    words: String,
    status: ExitStatus,
    is_late: bool,
}

impl Ended {
    /// The report and what was made, where both are there as a whole.
    fn report(&self) -> Option<(Report, &[u8])> {
        let end = self.output.iter().position(|byte| *byte == b'\n')?;
        let report: Report = serde_json::from_slice(&self.output[..end]).ok()?;
        let made = &self.output[end + 1..];
        (report.made.as_ref().ok().is_none_or(|bytes| *bytes == made.len() as u64)).then_some((report, made))
    }
}

fn read(from: impl Read, at_most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before it failed is what there is.
    let _ = from.take(at_most).read_to_end(&mut bytes);
    bytes
}

/// What the program does when it is such a child. Nothing else may run in it.
pub fn run_as_child(assignment: &Assignment) -> std::io::Result<()> {
    let confined = sandbox::enter(&assignment.limits);
    let mut module = Vec::new();
    std::io::stdin().lock().read_to_end(&mut module)?;
    let made = assignment.job.run(&module, &assignment.limits);
    let (made, bytes) = match made {
        Ok(bytes) => (Ok(bytes.len() as u64), bytes),
        Err(why) => (Err(why), Vec::new()),
    };
    let mut output = std::io::stdout().lock();
    serde_json::to_writer(&mut output, &Report { confined, made })?;
    output.write_all(b"\n")?;
    output.write_all(&bytes)?;
    output.flush()
}
