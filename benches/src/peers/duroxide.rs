//! duroxide with its SQLite provider: a program of ours gives the library the HTTP that it lacks (`benches/peers/duroxide`). The event is raised
//! for an orchestration that waits for it, since duroxide drops one that nobody waits for; the result is waited for with one request, behind
//! which duroxide's client looks at the status again and again.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::build;
use crate::Places;
use crate::http::{Answer, Connection, request};
use crate::server::Running;
use crate::workload::{Follow, Started, System};

/// `PRAGMA synchronous`, and what it is called in the report.
pub const DURABILITIES: [(&str, &str); 2] = [("FULL", "duroxide"), ("NORMAL", "duroxide-lax")];

pub const NOTE: &str = "duroxide: synchronous=FULL, each commit flushed, as the others do before they answer. duroxide-lax: synchronous=NORMAL, \
                        which is what duroxide comes with: what was answered can be lost with the power. Settings otherwise as it \
                        comes: two orchestrations at a time, and a client that looks for the result each 5 to 100 ms.";

const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_PAUSE: Duration = Duration::from_millis(20);

pub struct Program {
    binary: PathBuf,
    data: PathBuf,
}

impl Program {
    pub fn build(places: &Places) -> Result<Program> {
        Ok(Program { binary: build(places, "duroxide")?, data: places.scratch.join("duroxide-data") })
    }

    /// Starts it on fresh data.
    pub fn start(&self, synchronous: &str) -> Result<Duroxide> {
        let _ = std::fs::remove_dir_all(&self.data);
        std::fs::create_dir_all(&self.data)?;
        let log = std::fs::File::create(self.data.join("log"))?;
        let mut program = Command::new(&self.binary);
        program.arg(self.data.join("duroxide.db")).arg(synchronous).env("RUST_LOG", "off");
        let program = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut program = Running(program);
        let said = program.0.stdout.take().context("standard output is piped")?;
        let mut address = String::new();
        BufReader::new(said).read_line(&mut address)?;
        let address = address.trim().parse().with_context(|| {
            let log = std::fs::read_to_string(self.data.join("log")).unwrap_or_default();
            format!("duroxide did not start: {log}")
        })?;
        Ok(Duroxide { address, program, data: self.data.clone() })
    }
}

pub struct Duroxide {
    address: SocketAddr,
    program: Running,
    data: PathBuf,
}

impl Duroxide {
    pub fn data(&self) -> &Path {
        &self.data
    }

    fn post(&self, what: &str, id: &str) -> Vec<u8> {
        request("POST", self.address, &format!("/{what}/{id}"), None)
    }
}

impl Drop for Duroxide {
    fn drop(&mut self) {
        let _ = self.program.0.kill();
        let _ = self.program.0.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

impl System for Duroxide {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.program.0.id()]
    }

    fn start(&self, id: &str) -> Vec<u8> {
        self.post("start", id)
    }

    /// An orchestration waits when the message that starts it has left the queue, which is committed together with its first turn.
    async fn until_waiting(&self, _prefix: &str, _count: usize) -> Result<()> {
        let queued = request("GET", self.address, "/queued", None);
        let mut connection = Connection::open(self.address).await?;
        let begun = Instant::now();
        loop {
            let answer = connection.send(&queued).await?;
            answer.succeeded()?;
            if answer.body == b"false" {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "there are starts that no orchestration has taken");
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn follow(&self, _prefix: &str, started: &[Started]) -> Result<Vec<Follow>> {
        let follow = |started: &Started| Follow {
            raise: self.post("raise", &started.id),
            look: request("GET", self.address, &format!("/wait/{}", started.id), None),
        };
        Ok(started.iter().map(follow).collect())
    }

    fn has_ended(answer: &Answer) -> Result<bool> {
        match answer.status {
            200 if answer.body == b"ok" => Ok(true),
            status => bail!("a wait was answered with {status}: {}", answer.text()),
        }
    }
}
