//! Requests, byte for byte: ids, queries, tokens, URLs of callbacks, bodies, heads. The host is a real one in this process, with its data in
//! memory.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use fermata::api::{self, Api, Door, Outside, Traffic};
use fermata::budget::Budget;
use fermata::callback::{Callback, Callbacks, Expiry};
use fermata::clock::SkippingClock;
use fermata::dispatcher::{Dispatcher, Options};
use fermata::engine::Engine;
use fermata::limits::{GuestLimits, HttpLimits, ModuleLimits};
use fermata::store::memory::Memory;
use fermata_replay::Payload;

use crate::bytes::{any, mutate, mutated};
use crate::harness::{Target, fuzz};

/// A host answers sooner, but for those that ask it to wait.
const PATIENCE: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(20);

/// What does not say that the connection ends with its answer has it stay open for as long.
const HOST_PATIENCE: Duration = Duration::from_millis(500);

const ORCHESTRATOR: &str = "Select";

struct Http {
    address: SocketAddr,
    /// A URL that is signed, for mutations of it.
    callback: String,
    _runtime: tokio::runtime::Runtime,
    _data: tempfile::TempDir,
}

#[test]
fn http() {
    fuzz(Http::start());
}

impl Http {
    fn start() -> Http {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let data = tempfile::tempdir().unwrap();
        let callbacks = Arc::new(Callbacks::new(data.path(), "http://localhost"));
        let expires = Expiry(i64::from(u32::MAX));
        let callback = Callback { instance: "s1", run: 1, event: "Event1", nonce: 7, expires };
        let callback = callbacks.url(&callback).unwrap().replace("http://localhost", "");
        let address = runtime.block_on(serve(data.path(), callbacks));
        Http { address, callback, _runtime: runtime, _data: data }
    }
}

fn talk(mut stream: TcpStream, request: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(if waits(request) { WAIT } else { PATIENCE }))?;
    // The host may have answered and closed before all was sent.
    let _ = stream.write_all(request);
    if !is_whole(request) {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map(|_| answer)
}

/// A host on a free port, with the instances `s1` and `s2`.
async fn serve(data: &std::path::Path, callbacks: Arc<Callbacks>) -> SocketAddr {
    let options = Options { workers: 2, activities: 2, ..Options::default() };
    let engine = Engine::new(GuestLimits::default(), options.guests(), data).unwrap();
    let clock = Arc::new(SkippingClock::default());
    let dispatcher = Dispatcher::open(Arc::new(Memory::new()), engine, clock, &options).await.unwrap();
    dispatcher.deploy_if_new(tests::guest_bytes("select").into()).await.unwrap();
    for id in ["s1", "s2"] {
        dispatcher.start(ORCHESTRATOR, Some(id), Payload::null()).await.unwrap();
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listening = listener.local_addr().unwrap();
    let limits = HttpLimits { head_time: HOST_PATIENCE, body_time: HOST_PATIENCE, ..HttpLimits::default() };
    let module_bytes = ModuleLimits::default().module_bytes;
    let outside = Outside { url: None, proxies: Vec::new() };
    let api = Api {
        dispatcher: dispatcher.clone(),
        callbacks,
        limits: limits.clone(),
        module_bytes,
        bodies: Budget::new(limits.bodies_bytes),
        uploads: Budget::new(limits.bodies_bytes),
        traffic: Arc::new(Traffic::new(&limits)),
        door: Door::Open,
        outside,
        listening,
    };
    tokio::spawn(api::serve(vec![(listener, api)], dispatcher, limits, std::future::pending()));
    listening
}

impl Target for Http {
    const NAME: &'static str = "http";

    fn make(&self, random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
        match random.u8(0..8) {
            0 => mutated(random, corpus),
            1 | 2 => {
                let request = self.request(random);
                mutate(random, request, corpus)
            }
            _ => self.request(random),
        }
    }

    fn take(&mut self, input: &[u8]) -> Result<(), String> {
        let stream = TcpStream::connect(self.address).map_err(|error| format!("the host is gone: {error}"))?;
        let answer = match talk(stream, input) {
            Ok(answer) => answer,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) && !waits(input) => {
                return Err("no answer".into());
            }
            // Closed, or it waits as it was asked to.
            Err(_) => return Ok(()),
        };
        let answer = String::from_utf8_lossy(&answer);
        let status = answer.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|text| text.parse().ok());
        match status {
            // There are no entities, and never will be.
            Some(501) => Ok(()),
            Some(status @ 500..) => Err(format!("{status}: {answer}")),
            Some(_) => Ok(()),
            None if answer.is_empty() => Ok(()),
            None => Err(format!("this is no answer: {answer}")),
        }
    }
}

/// Whether the request asks for an answer that may take long.
fn waits(request: &[u8]) -> bool {
    let head = String::from_utf8_lossy(request).to_lowercase();
    ["wait", "watch", "expect:"].iter().any(|word| head.contains(word))
}

/// Whether a host has all of it: it says how long its body is, and is as long.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let framed = head.matches("Content-Length").count() == 1 && !head.to_lowercase().contains("transfer-encoding");
    framed && head.contains("HTTP/1.1\r\n") && length.is_some_and(|length| length == body.len().to_string())
}

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "get"];
const MOUNTS: &[&str] = &[
    "/runtime/webhooks/durabletask",
    "/durabletask",
    "/durabletask-py",
    "/admin/extensions/DurableTaskExtension",
    "/Runtime/WebHooks/DurableTask",
];
const BELOW: &[&str] = &[
    "/instances/{id}/raiseEvent/{name}",
    "/instances/{id}",
    "/instances/{id}/watch",
    "/orchestrators/{name}",
    "/orchestrators/{name}/{id}",
    "/instances",
    "/instances/{id}/terminate",
    "/instances/{id}/suspend",
    "/instances/{id}/resume",
    "/instances/{id}/rewind",
    "/instances/{id}/restart",
    "/instances/{id}/unpark",
    "/instances/{id}/history",
    "/entities/{name}/{id}",
];
const OWN: &[&str] = &[
    "/modules",
    "/modules/{id}",
    "/migrations",
    "/clock/skip",
    "/clients/durable-binding",
    "/openapi.json",
    "/docs/{name}",
    "/healthz",
    "/callbacks/{id}/{name}",
];
const IDS: &[&str] =
    &["s1", "s2", "s3", "s4", "none", "@e@k", "%2e%2e", "a%2Fb", "%00", "%ff", "%F0%9F%98%80", "", "*", "a%20b"];
const NAMES: &[&str] = &[ORCHESTRATOR, "select", "Event1", "Event2", "Go", "%41", "..", "a.b-c_d", "%0d%0a", ""];
const PARAMETERS: &[&str] = &[
    "showHistory",
    "showHistoryOutput",
    "showInput",
    "top",
    "createdTimeFrom",
    "createdTimeTo",
    "runtimeStatus",
    "instanceIdPrefix",
    "waitingFor",
    "wait",
    "reason",
    "cascade",
    "force",
    "restartWithNewInstanceId",
    "seconds",
    "dry-run",
    "dryRun",
    "name",
    "code",
    "taskHub",
    "connection",
    "run",
    "nonce",
    "expires",
    "signature",
    "returnInternalServerErrorOnFailure",
    "orchestrator",
    "parked",
];
const VALUES: &[&str] = &[
    "true",
    "false",
    "",
    "0",
    "1",
    "-1",
    "1e300",
    "NaN",
    "99999999999999999999",
    "2025-11-23T07:01:02Z",
    "9999-12-31T23:59:60Z",
    "-009999-01-01T00:00:00Z",
    "2025-11-23T07:01:02%2B25:00",
    "Running",
    "Failed,Completed",
    "x%00",
    "%ff",
    "s",
    "Event1",
];
const HEADERS: &[&str] = &[
    "Content-Type: application/json",
    "Content-Type: text/plain",
    "Content-Type: multipart/form-data",
    "Accept: text/event-stream",
    "Accept: text/html",
    "Idempotency-Key: k1",
    "Idempotency-Key: ",
    "x-ms-continuation-token: null",
    "x-ms-continuation-token: 1f",
    "x-ms-continuation-token: eyJrIjoxfQ==",
    "x-ms-continuation-token: ffffffffffffffff",
    "x-ms-continuation-token: 0000000000000001",
    "Last-Event-ID: 1",
    "Last-Event-ID: 18446744073709551615",
    "Last-Event-ID: x",
    "Authorization: Bearer x",
    "Origin: null",
    "X-Forwarded-Host: a b",
    "Forwarded: host=\"[::1\"",
    "Expect: 100-continue",
    "Prefer: wait=1",
    "Host: other",
];
const BODIES: &[&str] = &[
    "",
    "null",
    "{}",
    "[]",
    "\"text\"",
    "1e999",
    "{\"a\":",
    "\u{feff}1",
    "[[[[[[[[[[]]]]]]]]]]",
    "{\"from\":\"x\",\"to\":\"y\"}",
    "{\"module\":\"00\",\"instances\":[\"s1\"]}",
    "event=Event1&value=1",
    "\\ud800",
    "\"\\ud800\"",
    "nul\0l",
    "\0asm\x01\0\0\0",
];

impl Http {
    /// A request that a parser takes, with anything in it.
    fn request(&self, random: &mut Rng) -> Vec<u8> {
        let target = match random.u8(0..12) {
            0 => any(random, OWN).to_owned(),
            1 => self.callback.clone(),
            2 => String::from_utf8_lossy(&mutate(random, self.callback.clone().into_bytes(), &[]))
                .replace([' ', '\r', '\n'], "+"),
            _ => format!("{}{}", any(random, MOUNTS), any(random, BELOW)),
        };
        let mut target = target.replace("{id}", any(random, IDS)).replace("{name}", any(random, NAMES));
        for number in 0..random.usize(0..4) {
            let mark = if number == 0 && !target.contains('?') { '?' } else { '&' };
            target.push_str(&format!("{mark}{}={}", any(random, PARAMETERS), any(random, VALUES)));
        }
        let method = any(random, METHODS);
        let mut request = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        for _ in 0..random.usize(0..3) {
            request.push_str(&format!("{}\r\n", any(random, HEADERS)));
        }
        let body = any(random, BODIES);
        request.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
        request.into_bytes()
    }
}
