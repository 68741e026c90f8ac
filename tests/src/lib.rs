//! What the tests of the whole share: a host as its users meet it, a real process spoken to over HTTP.

pub mod endpoint;
pub mod hostile;
pub mod torture;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The path that all routes of the Durable Functions API share.
pub const BASE: &str = "/runtime/webhooks/durabletask";

/// Long enough for a busy machine; nothing waits for it to pass.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running `fermata serve`, on a free port, killed when it is dropped.
pub struct Host {
    process: Child,
    address: String,
    settings: Settings,
    log: Arc<Mutex<Vec<String>>>,
    agent: ureq::Agent,
}

/// How a host is started.
#[derive(Clone)]
pub struct Settings {
    data: PathBuf,
    modules: Vec<PathBuf>,
    listen: String,
    residency: String,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// Server-sent events.
pub struct Events {
    lines: std::io::Lines<BufReader<Box<dyn std::io::Read>>>,
}

/// One of them.
#[derive(Clone, Debug, Default)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: Value,
}

impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let (mut event, mut data) = (Event::default(), String::new());
        loop {
            let line = self.lines.next()?.ok()?;
            match line.split_once(": ") {
                Some(("event", name)) => event.name = name.into(),
                Some(("id", id)) => event.id = id.into(),
                Some(("data", line)) => data.push_str(line),
                _ if line.is_empty() && !data.is_empty() => {
                    event.data = serde_json::from_str(&data).expect("data is JSON");
                    return Some(event);
                }
                _ => {}
            }
        }
    }
}

/// An answer: status, headers of interest, body.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub retry_after: Option<String>,
    pub content_type: Option<String>,
    pub body: String,
    headers: Vec<(String, String)>,
}

impl Settings {
    /// A host with its data in `data`, and every guest deployed.
    pub fn new(data: &Path) -> Settings {
        let modules = ["budget-approval", "select", "new-building-permit", "test-guest-a"].map(guest_file).to_vec();
        Settings {
            data: data.to_owned(),
            modules,
            listen: "127.0.0.1:0".into(),
            residency: "1024".into(),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Another address to listen on than a free port of this machine alone.
    pub fn listen(mut self, address: &str) -> Settings {
        self.listen = address.into();
        self
    }

    pub fn residency(mut self, residency: &str) -> Settings {
        self.residency = residency.into();
        self
    }

    /// With this configuration file, which lies in the data directory: it goes with that, and may be written anew between two starts.
    pub fn configuration(self, text: &str) -> Settings {
        let file = configuration_in(&self.data);
        std::fs::create_dir_all(&self.data).expect("the data directory can be made");
        std::fs::write(&file, text).expect("a configuration can be written");
        self.argument(&format!("--config={}", file.display()))
    }

    /// A further argument of `fermata serve`.
    pub fn argument(mut self, argument: &str) -> Settings {
        self.arguments.push(argument.into());
        self
    }

    pub fn modules(mut self, modules: &[&str]) -> Settings {
        self.modules = modules.iter().map(|name| guest_file(name)).collect();
        self
    }

    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Settings {
        self.environment.push((name.into(), value.as_ref().to_string_lossy().into_owned()));
        self
    }

    pub fn start(self) -> Host {
        self.try_start().unwrap_or_else(|log| panic!("the host did not start:\n{log}"))
    }

    /// Starts the host; its log where it ends before it listens.
    pub fn try_start(self) -> Result<Host, String> {
        share_compiled_modules(&self.data);
        let mut command = Command::new(binary());
        command.args(["serve", "--listen", &self.listen, "--residency", &self.residency, "--data"]);
        command.arg(&self.data).env("FERMATA_LOG", "info").stderr(Stdio::piped()).stdout(Stdio::null());
        for module in &self.modules {
            command.arg("--modules").arg(module);
        }
        command.args(&self.arguments);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let mut process = command.spawn().expect("the host can be started");
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut said = Vec::new();
        let address = loop {
            let Some(line) = lines.next() else {
                let _ = process.wait();
                return Err(said.join("\n"));
            };
            let address = line.split_once("listening on http://").map(|(_, address)| address.trim().to_owned());
            said.push(line);
            if let Some(address) = address {
                break address;
            }
        };
        let log = Arc::new(Mutex::new(said));
        let kept = log.clone();
        std::thread::spawn(move || lines.for_each(|line| kept.lock().unwrap().push(line)));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .max_idle_connections_per_host(64)
            .build()
            .new_agent();
        Ok(Host { process, address, settings: self, log, agent })
    }
}

impl Host {
    /// The number that a metric shows.
    pub fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").body;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }

    /// How often a limit was met.
    pub fn hits(&self, limit: &str) -> u64 {
        self.metric(&format!("fermata_limit_hits_total{{limit=\"{limit}\"}}"))
    }
}

impl Host {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// What the host has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// The lines of that, which outlive the host.
    pub fn log_lines(&self) -> Arc<Mutex<Vec<String>>> {
        self.log.clone()
    }

    /// `kill -9`, then the same host again on the same data.
    pub fn kill_and_restart(self) -> Host {
        self.kill().start()
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Settings {
        self.process.kill().expect("the host runs");
        self.process.wait().expect("the host was started");
        self.settings.clone()
    }

    /// SIGTERM, and the status the host ends with.
    pub fn terminate(self) -> (Option<i32>, Settings) {
        self.signal("TERM");
        self.wait()
    }

    /// Sends the process a signal, by its name; those who talk to the host find out for themselves what that does.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().expect("`kill` exists");
        assert!(sent.success());
    }

    /// Waits for the end of the process, and returns its status: none where a signal ended it.
    pub fn wait(mut self) -> (Option<i32>, Settings) {
        let status = self.process.wait().expect("the host was started");
        (status.code(), self.settings.clone())
    }

    /// Starts an orchestrator and returns the instance's id.
    pub fn start(&self, orchestrator: &str, input: &str) -> String {
        let answer = self.post(&format!("{BASE}/orchestrators/{orchestrator}"), input);
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["id"].as_str().expect("a start tells the id").to_owned()
    }

    /// Raises an event that must be accepted.
    pub fn raise(&self, id: &str, event: &str, payload: &str) {
        let answer = self.try_raise(id, event, payload);
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    pub fn try_raise(&self, id: &str, event: &str, payload: &str) -> Answer {
        self.post(&format!("{BASE}/instances/{id}/raiseEvent/{event}"), payload)
    }

    pub fn status(&self, id: &str) -> Answer {
        self.get(&format!("{BASE}/instances/{id}"))
    }

    /// With history, what the instance waits for and what is buffered.
    pub fn details(&self, id: &str) -> Value {
        self.get(&format!("{BASE}/instances/{id}?showHistory=true&showHistoryOutput=true")).json()
    }

    /// Waits until the instance has ended, and returns its status.
    pub fn ended(&self, id: &str) -> Value {
        let is_final = |status: &Value| {
            ["Completed", "Failed", "Terminated", "Canceled"].contains(&status["runtimeStatus"].as_str().unwrap_or(""))
        };
        until(&format!("{id} ends"), || Some(self.status(id).json()).filter(is_final))
    }

    /// Waits until the instance has completed, and returns its output.
    pub fn output(&self, id: &str) -> Value {
        let status = self.ended(id);
        assert_eq!(status["runtimeStatus"], "Completed", "{status}\n{}", self.log());
        status["output"].clone()
    }

    /// Waits until the instance is blocked on these events, among others, in the order of its waits.
    pub fn waits_for(&self, id: &str, events: &[&str]) {
        until(&format!("{id} waits for {events:?}"), || {
            let details = self.details(id);
            let waiting = details["waitingFor"].as_array()?;
            let names: Vec<&str> = waiting.iter().filter_map(|task| task["event"].as_str()).collect();
            (names == events).then_some(())
        });
    }

    /// Waits until the instance waits for so many timers.
    pub fn waits_for_timers(&self, id: &str, count: usize) {
        until(&format!("{id} waits for {count} timers"), || {
            let details = self.details(id);
            let timers = details["waitingFor"].as_array()?.iter().filter(|task| task["timer"].is_string()).count();
            (timers == count).then_some(())
        });
    }

    /// Asks something of an instance: `terminate`, `suspend`, `resume`, `rewind`, …
    pub fn control(&self, id: &str, verb: &str, query: &str) -> Answer {
        self.post(&format!("{BASE}/instances/{id}/{verb}?{query}"), "")
    }

    /// Lets time pass on a host with a clock that can be skipped.
    pub fn skip(&self, time: Duration) {
        let answer = self.post(&format!("/clock/skip?seconds={}", time.as_secs_f64()), "");
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    pub fn get(&self, path: &str) -> Answer {
        Answer::of(self.agent.get(self.url(path)).call())
    }

    /// With a header.
    pub fn get_with(&self, path: &str, name: &str, value: &str) -> Answer {
        Answer::of(self.agent.get(self.url(path)).header(name, value).call())
    }

    /// The events of a stream, as they come, until it ends. `last`: the id of the last one that was seen before.
    pub fn stream(&self, path: &str, last: &str) -> Events {
        let answer = self.agent.get(self.url(path)).header("Last-Event-ID", last).call();
        let answer = answer.unwrap_or_else(|error| panic!("the host did not answer: {error}"));
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let body: Box<dyn std::io::Read> = Box::new(answer.into_body().into_reader());
        Events { lines: BufReader::new(body).lines() }
    }

    pub fn post(&self, path: &str, body: &str) -> Answer {
        self.post_as(path, "application/json", body.as_bytes())
    }

    pub fn post_as(&self, path: &str, media_type: &str, body: &[u8]) -> Answer {
        Answer::of(self.agent.post(self.url(path)).header("Content-Type", media_type).send(body))
    }

    pub fn put(&self, path: &str, body: &[u8]) -> Answer {
        Answer::of(self.agent.put(self.url(path)).send(body))
    }

    /// Any request.
    pub fn send(&self, request: ureq::http::Request<String>) -> Answer {
        Answer::of(self.agent.run(request))
    }

    pub fn delete(&self, path: &str) -> Answer {
        Answer::of(self.agent.delete(self.url(path)).call())
    }

    /// The whole answer to any request, or none where the host went away before.
    pub fn try_send(&self, request: ureq::http::Request<String>) -> Option<Answer> {
        self.agent.run(request).and_then(Answer::read).ok()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Answer {
    fn of(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
        answer.and_then(Answer::read).unwrap_or_else(|error| panic!("the host did not answer: {error}"))
    }

    fn read(mut answer: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
        let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (location, retry_after, content_type) = (header("location"), header("retry-after"), header("content-type"));
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let status = answer.status().as_u16();
        let body = answer.body_mut().read_to_string()?;
        Ok(Answer { status, location, retry_after, content_type, body, headers })
    }

    /// A header, by its name in small letters.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of a field of the body, byte for byte.
    pub fn raw(&self, field: &str) -> String {
        let fields: std::collections::HashMap<String, Box<serde_json::value::RawValue>> =
            serde_json::from_str(&self.body).unwrap();
        fields[field].get().to_owned()
    }
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Hosts on fresh data find the modules compiled that another one has compiled before. What lies there is named by the digest of the module and
/// by the engine's settings, and appears as a whole, so that they are in nobody's way.
fn share_compiled_modules(data: &Path) {
    let shared = binary().with_file_name("compiled-modules");
    // Another test may do the same; a host whose folder is there already has its own.
    let made = std::fs::create_dir_all(&shared).and_then(|()| std::fs::create_dir_all(data));
    made.expect("folders can be made here");
    let _ = std::os::unix::fs::symlink(&shared, data.join("cache"));
}

/// A guest that `cargo xtask guests` has built.
pub fn guest_file(package: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../target/guests/{package}.wasm"))
}

pub fn guest_bytes(package: &str) -> Vec<u8> {
    let path = guest_file(package);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask guests` builds it", path.display()))
}

/// Where [`Settings::configuration`] lies.
pub fn configuration_in(data: &Path) -> PathBuf {
    data.join("fermata.toml")
}

/// The number in a variable of the environment.
pub fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}

/// The `fermata` binary of the profile that this program was built in, built by `cargo xtask` before.
pub fn binary() -> PathBuf {
    let program = std::env::current_exe().expect("a program has a path");
    let folder = program.parent().expect("it lies in a folder");
    // Tests lie in target/<profile>/deps.
    let folder = if folder.ends_with("deps") { folder.parent().expect("it is no root") } else { folder };
    let path = folder.join(format!("fermata{}", std::env::consts::EXE_SUFFIX));
    assert!(path.exists(), "{} is not there; `cargo xtask test` builds it", path.display());
    path
}

/// A seed for a random test, taken from SEED or made anew; prints the command that repeats the run.
pub fn seed(test: &str) -> u64 {
    let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("to repeat: SEED={seed} cargo xtask test {test}");
    seed
}
