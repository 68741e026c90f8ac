//! `cargo xtask demo`: the three orchestrators of the Durable Functions page on external events, on a host that is killed in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::{guests, project};

const BASE: &str = "/runtime/webhooks/durabletask";

pub fn run(check: bool) -> Result<()> {
    let modules = guests::build(&guests::DEMO)?;
    let binary = project::host_binary()?;
    let data = project::root().join("target/demo-data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    // The host's own port, so that what is shown can be typed; any free one where nobody types.
    let address = if check { "127.0.0.1:0" } else { "127.0.0.1:7071" };

    let mut host = Host::launch(&binary, &data, address, &modules)?;
    println!("\n── BudgetApproval: waits for one event; the host is killed meanwhile");
    let id = host.start("BudgetApproval", "budget-1", "null")?;
    let mut host = {
        println!("$ kill -9 {}", host.process.id());
        host.process.kill()?;
        host.process.wait()?;
        println!("$ {}", host.command);
        Host::launch(&binary, &data, address, &modules)?
    };
    host.raise(&id, "Approval&code=XXX", "\"true\"")?;
    host.expect(&id, "approval granted")?;

    println!("\n── Select: whichever of three events comes first");
    let id = host.start("Select", "select-1", "null")?;
    host.raise(&id, "Event2", "true")?;
    host.expect(&id, "Event2")?;

    println!("\n── NewBuildingPermit: all three departments, in any order, then an activity");
    let id = host.start("NewBuildingPermit", "permit-1", "\"APP-42\"")?;
    for department in ["FireDeptApproval", "BuildingDeptApproval", "CityPlanningApproval"] {
        host.raise(&id, department, "")?;
    }
    host.expect(&id, "APP-42")?;

    println!("\nAll three ran to their end.");
    if !check {
        println!("The host goes on at {} until you press Ctrl-C; its data is in target/demo-data.", host.url());
        println!("Try:\n  curl -i -X POST {}{BASE}/orchestrators/BudgetApproval/mine", host.url());
        println!(
            "  curl -i -X POST {}{BASE}/instances/mine/raiseEvent/Approval -H 'Content-Type: application/json' -d true",
            host.url()
        );
        println!("  curl {}{BASE}/instances/mine", host.url());
        host.process.wait()?;
    }
    Ok(())
}

struct Host {
    process: Child,
    address: String,
    command: String,
}

impl Host {
    fn launch(binary: &Path, data: &Path, address: &str, modules: &[PathBuf]) -> Result<Host> {
        let mut command = Command::new(binary);
        command.args(["serve", "--listen", address, "--data"]).arg(data);
        for module in modules {
            command.arg("--modules").arg(module);
        }
        let mut process = command
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", binary.display()))?;
        let mut lines = BufReader::new(process.stderr.take().context("standard error is piped")?).lines();
        let address = loop {
            let Some(line) = lines.next() else {
                bail!("the host ended before it was ready: {}", process.wait()?);
            };
            let line = line?;
            println!("  {line}");
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().to_owned();
            }
        };
        // Read on, or the host would block on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Host { process, address, command: format!("fermata serve --data {}", data.display()) })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn start_path(name: &str, id: &str) -> String {
        format!("{BASE}/orchestrators/{name}/{id}")
    }

    fn start(&mut self, name: &str, id: &str, input: &str) -> Result<String> {
        let (status, body) = self.request("POST", &Self::start_path(name, id), input)?;
        ensure!(status == 202, "the start was answered with {status}: {body}");
        Ok(id.to_owned())
    }

    fn raise(&mut self, id: &str, event: &str, body: &str) -> Result<()> {
        let (status, answer) = self.request("POST", &format!("{BASE}/instances/{id}/raiseEvent/{event}"), body)?;
        ensure!(status == 202, "the event was answered with {status}: {answer}");
        Ok(())
    }

    /// Waits until the instance has completed, and checks its output.
    fn expect(&mut self, id: &str, output: &str) -> Result<()> {
        let path = format!("{BASE}/instances/{id}");
        let begun = Instant::now();
        loop {
            let (_, body) = exchange(&self.address, "GET", &path, "")?;
            let status: Value = serde_json::from_str(&body).with_context(|| format!("no JSON: {body}"))?;
            match status["runtimeStatus"].as_str() {
                Some("Completed") => {
                    println!("$ curl {}{path}\n  {body}", self.url());
                    ensure!(
                        status["output"].to_string().contains(output),
                        "{id} should have ended with {output:?}, and ended with {}",
                        status["output"]
                    );
                    return Ok(());
                }
                Some("Pending" | "Running") => {}
                other => bail!("{id} is {other:?}: {body}"),
            }
            ensure!(begun.elapsed() < Duration::from_secs(30), "{id} did not complete within 30 s: {body}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn request(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        println!("$ curl -X {method} '{}{path}' -H 'Content-Type: application/json' -d '{body}'", self.url());
        let (status, answer) = exchange(&self.address, method, path, body)?;
        println!("  {status}");
        Ok((status, answer))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One HTTP request on a connection of its own, written as the Durable Functions page writes it.
fn exchange(address: &str, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer has a head")?;
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("an HTTP answer has a status")?;
    Ok((status, body.to_owned()))
}
