//! Restate: its server from npm, the workload as a service on its Rust SDK (`benches/peers/restate`). The event resolves an awakeable; the
//! result is waited for with one `attach`.

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{build, run_to_end};
use crate::Places;
use crate::http::{Answer, Connection, request};
use crate::server::Running;
use crate::workload::{Follow, Started, System};

/// The ports of `restate.toml`.
const INGRESS: u16 = 28080;
const ADMIN: u16 = 29070;
/// The service's, and where it tells awakeables' ids.
const SERVICE: u16 = 29080;
const ASIDE: u16 = 29081;

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_PAUSE: Duration = Duration::from_millis(10);

pub const NOTE: &str = "restate: its log is flushed before an answer, which is its default; up to 10,000 calls at a time, where its default is 1,000.";

pub struct Programs {
    server: PathBuf,
    service: PathBuf,
    settings: PathBuf,
    data: PathBuf,
}

impl Programs {
    /// Installs the server and builds the service, both below the scratch folder; quick where they are there.
    pub fn build(places: &Places) -> Result<Programs> {
        let source = places.checkout.join("benches/peers/restate");
        let installed = places.scratch.join("restate");
        let server = installed.join("node_modules/@restatedev/restate-server-linux-x64/bin/restate-server");
        if !server.exists() {
            std::fs::create_dir_all(&installed)?;
            for file in ["package.json", "package-lock.json"] {
                std::fs::copy(source.join(file), installed.join(file))?;
            }
            run_to_end(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&installed))?;
        }
        Ok(Programs {
            server,
            service: build(places, "restate")?,
            settings: source.join("restate.toml"),
            data: places.scratch.join("restate-data"),
        })
    }

    /// Starts both on fresh data.
    pub async fn start(&self) -> Result<Restate> {
        let _ = std::fs::remove_dir_all(&self.data);
        std::fs::create_dir_all(&self.data)?;
        let log = File::create(self.data.join("server.log"))?;
        let mut server = Command::new(&self.server);
        server
            .args(["--no-logo", "--node-name", "n1", "--config-file"])
            .arg(&self.settings)
            .arg("--base-dir")
            .arg(&self.data);
        let server = Running(server.stdout(log.try_clone()?).stderr(log.try_clone()?).spawn()?);
        let mut service = Command::new(&self.service);
        service.args([SERVICE.to_string(), ASIDE.to_string()]).stdout(log.try_clone()?).stderr(log);
        let service = Running(service.stdin(Stdio::null()).spawn()?);
        let restate = Restate { server, service, data: self.data.clone() };
        until_answered(&request("GET", local(ADMIN), "/health", None)).await?;
        let body = format!(r#"{{"uri":"http://127.0.0.1:{SERVICE}"}}"#);
        until_answered(&request("POST", local(ADMIN), "/deployments", Some(&body))).await?;
        // What was registered reaches the ingress a little later.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Ok(restate)
    }
}

/// Asks the administration until it answers with a 2xx.
async fn until_answered(request: &[u8]) -> Result<()> {
    let begun = Instant::now();
    loop {
        let asked = async { Connection::open(local(ADMIN)).await?.send(request).await?.succeeded() };
        match asked.await {
            Ok(()) => return Ok(()),
            Err(error) if begun.elapsed() > PATIENCE => return Err(error.context("Restate is not ready")),
            Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

fn local(port: u16) -> SocketAddr {
    ([127, 0, 0, 1], port).into()
}

pub struct Restate {
    server: Running,
    service: Running,
    data: PathBuf,
}

impl Restate {
    pub fn data(&self) -> &Path {
        &self.data
    }

    async fn ask_aside(&self, path: &str) -> Result<String> {
        let mut connection = Connection::open(local(ASIDE)).await?;
        Ok(connection.send(&request("GET", local(ASIDE), path, None)).await?.text())
    }
}

impl Drop for Restate {
    fn drop(&mut self) {
        for process in [&mut self.service, &mut self.server] {
            let _ = process.0.kill();
            let _ = process.0.wait();
        }
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

impl System for Restate {
    fn address(&self) -> SocketAddr {
        local(INGRESS)
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.server.0.id(), self.service.0.id()]
    }

    fn start(&self, id: &str) -> Vec<u8> {
        request("POST", local(INGRESS), "/Bench/wait/send", Some(&format!("\"{id}\"")))
    }

    async fn until_waiting(&self, prefix: &str, count: usize) -> Result<()> {
        let begun = Instant::now();
        loop {
            let waiting: usize = self.ask_aside(&format!("/count/{prefix}")).await?.parse()?;
            if waiting >= count {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "only {waiting} of {count} calls wait");
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    async fn follow(&self, prefix: &str, started: &[Started]) -> Result<Vec<Follow>> {
        let text = self.ask_aside(&format!("/ids/{prefix}")).await?;
        let awakeables: HashMap<&str, &str> = text.lines().filter_map(|line| line.split_once(' ')).collect();
        let follow = |started: &Started| {
            let awakeable = awakeables.get(started.id.as_str()).context("every call waits")?;
            let answer: serde_json::Value = serde_json::from_str(&started.answer)?;
            let invocation = answer["invocationId"].as_str().context("a call has an invocation id")?;
            let resolve = format!("/restate/awakeables/{awakeable}/resolve");
            Ok(Follow {
                raise: request("POST", local(INGRESS), &resolve, Some("\"ok\"")),
                look: request("GET", local(INGRESS), &format!("/restate/invocation/{invocation}/attach"), None),
            })
        };
        started.iter().map(follow).collect()
    }

    fn has_ended(answer: &Answer) -> Result<bool> {
        match answer.status {
            200 if answer.contains("\"ok\"") => Ok(true),
            status => bail!("attach was answered with {status}: {}", answer.text()),
        }
    }
}
