//! Activities that try what only an operator may grant: environment, files, network. What comes of it is told in words.

mod network;

use std::collections::BTreeMap;

use fermata_guest::*;
use serde::Deserialize;

/// Something to try.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Try {
    /// All variables of the environment.
    Environment,
    Read(String),
    /// Writes the text to the path.
    Write(String, String),
    /// What is in a folder.
    List(String),
    /// Connects to a host and a port, and tells what is said there.
    Connect(String, u16),
    /// Connects to an address without looking anything up.
    ConnectTo(String, u16),
    Listen,
    Udp,
}

fn attempt(what: Try) -> Result<String, String> {
    let io = |error: std::io::Error| error.to_string();
    match what {
        Try::Environment => {
            let variables: BTreeMap<String, String> = std::env::vars().collect();
            serde_json::to_string(&variables).map_err(|error| error.to_string())
        }
        Try::Read(path) => std::fs::read_to_string(path).map_err(io),
        Try::Write(path, text) => std::fs::write(path, text).map(|()| "written".into()).map_err(io),
        Try::List(path) => {
            let entries = std::fs::read_dir(path).map_err(io)?;
            let mut names: Vec<String> =
                entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
            names.sort();
            Ok(names.join(" "))
        }
        Try::Connect(name, port) => network::connect_by_name(&name, port),
        Try::ConnectTo(address, port) => network::connect(address.parse().map_err(|_| "no address")?, port),
        Try::Listen => network::listen(),
        Try::Udp => network::udp(),
    }
}

fn all(tries: Vec<Try>) -> Vec<String> {
    tries.into_iter().map(|what| attempt(what).unwrap_or_else(|error| format!("error: {error}"))).collect()
}

#[activity("Reach")]
fn reach(tries: Vec<Try>) -> Vec<String> {
    all(tries)
}

/// The same under another name.
#[activity("ReachToo")]
fn reach_too(tries: Vec<Try>) -> Vec<String> {
    all(tries)
}

/// Calls the activity of this name.
#[orchestrator("Reaching")]
async fn reaching(ctx: Context) -> Result<Vec<String>> {
    let (activity, tries): (String, serde_json::Value) = ctx.input()?;
    ctx.call_activity(&activity, &tries).await
}

/// Tries it by itself.
#[orchestrator("ReachesItself")]
async fn reaches_itself(ctx: Context) -> Result<Vec<String>> {
    Ok(all(ctx.input()?))
}
