//! The host as its users meet it: the real binary, real wasm, real HTTP. A module per promise.

mod activities;
mod backup;
mod buffering;
mod building;
mod callbacks;
mod capabilities;
mod children;
mod cli;
mod clients;
mod compiling;
mod conformance;
mod control;
mod durability;
mod errors;
mod failures;
mod floods;
mod generations;
mod hostile;
mod javascript;
mod keys;
mod kills;
mod listing;
mod live;
mod migrations;
mod once;
mod operation;
mod parking;
mod payloads;
mod python;
mod readme;
mod regressions;
mod retention;
mod retries;
mod seed_samples;
mod smuggling;
mod timers;
mod traffic;
mod versions;

use std::path::Path;

use serde_json::Value;
use tests::{Host, Settings};

/// A host on fresh data that goes when the test ends.
struct Fresh {
    host: Option<Host>,
    data: tempfile::TempDir,
}

impl Fresh {
    fn start() -> Fresh {
        Fresh::with(|settings| settings)
    }

    fn with(adjust: impl FnOnce(Settings) -> Settings) -> Fresh {
        let data = tempfile::tempdir().unwrap();
        let host = adjust(Settings::new(data.path())).start();
        Fresh { host: Some(host), data }
    }

    /// With a configuration file.
    fn configured(text: &str) -> Fresh {
        Fresh::with(|settings| settings.configuration(text))
    }

    /// `kill -9`, and the same host again on the same data.
    fn kill_and_restart(&mut self) {
        let host = self.host.take().unwrap();
        self.host = Some(host.kill_and_restart());
    }

    fn take(&mut self) -> Host {
        self.host.take().unwrap()
    }

    fn data(&self) -> &Path {
        self.data.path()
    }
}

impl std::ops::Deref for Fresh {
    type Target = Host;

    fn deref(&self) -> &Host {
        self.host.as_ref().expect("the host runs")
    }
}

/// Both extremes: guests that stay in memory, and guests that are dropped whenever they block.
const RESIDENCIES: [&str; 2] = ["always", "never"];

/// Starts an orchestrator, and raises these events, each once it is waited for.
fn run(host: &Host, name: &str, input: &Value, events: &[(&str, Value)]) -> String {
    let id = host.start(name, &input.to_string());
    for (event, payload) in events {
        tests::until(event, || {
            host.details(&id)["waitingFor"].to_string().contains(&format!("{event:?}")).then_some(())
        });
        host.raise(&id, event, &payload.to_string());
    }
    id
}

/// How many lines of what guests have logged, in the log of a host, have these words.
fn guest_lines(host: &Host, words: &str) -> usize {
    host.log().lines().filter(|line| line.contains("guest") && line.contains(words)).count()
}
