//! `fermata serve`, as the workload sees it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::http::{Answer, Connection, request};
use crate::workload::{Follow, Started, System};

pub const BASE: &str = "/runtime/webhooks/durabletask";
/// Between one look at who waits and the next.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// A process that ends with this value.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How a client learns of the result of its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// By the answer to the event, which waits for it.
    Once,
    /// By asking for the status.
    Again,
}

/// A host on fresh data, which goes with it.
pub struct Server {
    asks: Asks,
    address: SocketAddr,
    process: Running,
    data: PathBuf,
    start: Start,
}

/// How a host is started.
#[derive(Clone)]
struct Start {
    binary: PathBuf,
    module: PathBuf,
    residency: String,
}

impl Server {
    /// Starts a host with one module on a free port.
    pub fn start(binary: &Path, module: &Path, data: PathBuf, residency: &str, asks: Asks) -> Result<Server> {
        let _ = std::fs::remove_dir_all(&data);
        std::fs::create_dir_all(&data)?;
        let start = Start { binary: binary.to_owned(), module: module.to_owned(), residency: residency.to_owned() };
        let (process, address) = start.run(&data)?;
        Ok(Server { asks, address, process, data, start })
    }

    /// `kill -9`, and the same host again on the same data.
    pub fn kill_and_restart(mut self) -> Result<Server> {
        self.process.0.kill()?;
        self.process.0.wait()?;
        (self.process, self.address) = self.start.run(&self.data)?;
        Ok(self)
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Deploys a module.
    pub async fn deploy(&self, module: &[u8]) -> Result<()> {
        let head =
            format!("PUT /modules HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", self.address, module.len());
        let mut connection = Connection::open(self.address).await?;
        connection.send(&[head.as_bytes(), module].concat()).await?.succeeded()
    }

    /// A request that rests on nothing.
    pub fn health(&self) -> Vec<u8> {
        request("GET", self.address, "/healthz", None)
    }
}

impl Start {
    /// Returns when the host is ready.
    fn run(&self, data: &Path) -> Result<(Running, SocketAddr)> {
        let process = Command::new(&self.binary)
            // The clock is the machine's until it is skipped.
            .args(["serve", "--listen", "127.0.0.1:0", "--skippable-clock", "--residency", &self.residency, "--data"])
            .arg(data)
            .arg("--modules")
            .arg(&self.module)
            .env("FERMATA_LOG", "warn")
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", self.binary.display()))?;
        let mut process = Running(process);
        let mut lines = BufReader::new(process.0.stderr.take().context("standard error is piped")?).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = lines.next() else { bail!("the host ended before it was ready:\n{said}") };
            let line = line?;
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse()?;
            }
            said += &(line + "\n");
        };
        // Read on, or the host would block on a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("fermata: {line}")));
        Ok((process, address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.0.kill();
        let _ = self.process.0.wait();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

impl System for Server {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.process.0.id()]
    }

    fn start(&self, id: &str) -> Vec<u8> {
        request("POST", self.address, &format!("{BASE}/orchestrators/W/{id}"), Some("\"x\""))
    }

    /// An instance is `Running` from its first turn on, and this orchestrator's first turn ends where it waits.
    async fn until_waiting(&self, prefix: &str, _count: usize) -> Result<()> {
        let path = format!("{BASE}/instances?runtimeStatus=Pending&top=1&instanceIdPrefix={prefix}");
        let pending = request("GET", self.address, &path, None);
        let mut connection = Connection::open(self.address).await?;
        loop {
            let answer = connection.send(&pending).await?;
            answer.succeeded()?;
            if answer.body == b"[]" {
                return Ok(());
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn follow(&self, _prefix: &str, started: &[Started]) -> Result<Vec<Follow>> {
        let wait = if self.asks == Asks::Once { "?wait=60" } else { "" };
        let follow = |started: &Started| {
            let instance = format!("{BASE}/instances/{}", started.id);
            Follow {
                raise: request("POST", self.address, &format!("{instance}/raiseEvent/go{wait}"), Some("\"ok\"")),
                look: request("GET", self.address, &instance, None),
            }
        };
        Ok(started.iter().map(follow).collect())
    }

    fn has_ended(answer: &Answer) -> Result<bool> {
        match answer.status {
            202 => Ok(false),
            200 if answer.contains(r#""runtimeStatus":"Completed""#) && answer.contains(r#""output":"ok""#) => Ok(true),
            status => bail!("a status was answered with {status}: {}", answer.text()),
        }
    }
}
