//! No acknowledgement leaves before the fsync that makes it true. A shim under the store holds fsync back, or lets it fail, or fills the disk.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::{BASE, Settings};

use super::Fresh;

/// A host whose files are in our hands.
struct Shimmed {
    host: Fresh,
    control: tempfile::TempDir,
}

impl Shimmed {
    fn start() -> Shimmed {
        Shimmed::with(|settings| settings)
    }

    fn with(adjust: impl FnOnce(Settings) -> Settings) -> Shimmed {
        let control = tempfile::tempdir().unwrap();
        let host = Fresh::with(|settings: Settings| {
            let data = settings.data().to_owned();
            adjust(
                settings
                    .environment("LD_PRELOAD", shim())
                    .environment("FERMATA_IO_SHIM", control.path())
                    .environment("FERMATA_IO_SHIM_DATA", data),
            )
        });
        Shimmed { host, control }
    }

    fn hold(&self) {
        std::fs::write(self.control.path().join("hold"), "").unwrap();
    }

    fn release(&self) {
        std::fs::remove_file(self.control.path().join("hold")).unwrap();
    }

    fn fail(&self) {
        std::fs::write(self.control.path().join("fail"), "").unwrap();
    }

    /// Lets nothing more be written to the data directory.
    fn fill(&self) {
        std::fs::write(self.control.path().join("full"), "").unwrap();
    }

    fn make_room(&self) {
        std::fs::remove_file(self.control.path().join("full")).unwrap();
    }

    /// How often fsync was called.
    fn entered(&self) -> usize {
        std::fs::read_to_string(self.control.path().join("entered")).unwrap_or_default().lines().count()
    }

    /// Sends a request; the answer is read later.
    fn send(&self, path: &str, body: &str) -> Pending {
        let mut stream = TcpStream::connect(self.host.address()).unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.host.address(),
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        Pending { stream, said: String::new() }
    }
}

struct Pending {
    stream: TcpStream,
    said: String,
}

impl Pending {
    fn is_unanswered(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        match self.stream.peek(&mut [0; 1]) {
            Ok(_) => false,
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }

    fn status(mut self) -> u16 {
        self.stream.set_read_timeout(Some(tests::PATIENCE)).unwrap();
        self.stream.read_to_string(&mut self.said).unwrap();
        self.said.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{:?}", self.said))
    }
}

fn shim() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().unwrap();
    let candidates = [deps.join("libio_shim.so"), deps.parent().unwrap().join("libio_shim.so")];
    candidates.into_iter().find(|path: &PathBuf| Path::exists(path)).expect("the shim is a dependency of this test")
}

#[test]
fn a_start_and_an_event_are_answered_after_their_fsync() {
    let shimmed = Shimmed::start();
    let id = shimmed.host.start("Collect", "2");
    shimmed.host.waits_for(&id, &["item"]);
    for (path, body) in [
        (format!("{BASE}/orchestrators/W/held"), ""),
        (format!("{BASE}/instances/{id}/raiseEvent/item"), "1"),
        // The event that ends the instance: its completion is speculative until the fsync.
        (format!("{BASE}/instances/{id}/raiseEvent/item"), "2"),
    ] {
        let before = shimmed.entered();
        shimmed.hold();
        let mut pending = shimmed.send(&path, body);
        tests::until("the write reaches its fsync", || (shimmed.entered() > before).then_some(()));
        assert!(pending.is_unanswered(), "{path} was answered before its fsync returned");
        // Nor does any other answer tell of what is not durable yet.
        if path.ends_with("held") {
            assert_eq!(shimmed.host.status("held").status, 404);
        } else {
            assert_eq!(shimmed.host.status(&id).json()["runtimeStatus"], "Running");
        }
        shimmed.release();
        assert_eq!(pending.status(), 202, "{path}");
    }
    assert_eq!(shimmed.host.output(&id), serde_json::json!([1, 2]));
}

/// Nothing is queued without end for a disk that stands still; what was taken in is kept, and what was refused is not.
#[test]
fn what_the_disk_does_not_take_is_not_taken_in() {
    let shimmed = Shimmed::with(|settings| settings.configuration("[limits.host]\nbacklog_bytes = 1048576"));
    let (id, other) = (shimmed.host.start("Collect", "1000"), shimmed.host.start("W", ""));
    shimmed.host.waits_for(&id, &["item"]);
    shimmed.host.waits_for(&other, &["go"]);
    let raise = format!("{BASE}/instances/{id}/raiseEvent/item");
    let event = |number: usize| format!("\"{number} {}\"", "x".repeat(64 << 10));
    shimmed.hold();
    let mut sent = Vec::new();
    loop {
        let mut pending = shimmed.send(&raise, &event(sent.len()));
        let is_refused = !pending.is_unanswered();
        sent.push(pending);
        if is_refused {
            break;
        }
        assert!(sent.len() < 64, "a budget of 1 MiB is spent long before that");
    }
    let refused = shimmed.host.post(&format!("{BASE}/orchestrators/W"), "");
    assert_eq!((refused.status, refused.retry_after.as_deref()), (429, Some("1")), "{refused:?}");
    assert_eq!(refused.json()["code"], "host-busy");
    assert!(shimmed.host.hits("writes") + shimmed.host.hits("backlog") >= 1);
    // What ends an instance makes room, and is never refused.
    let mut terminate = shimmed.send(&format!("{BASE}/instances/{other}/terminate"), "");
    assert!(terminate.is_unanswered());
    shimmed.release();
    let statuses: Vec<u16> = sent.into_iter().map(Pending::status).collect();
    assert!(statuses.iter().all(|status| [202, 429].contains(status)), "{statuses:?}");
    let mut taken_in: Vec<usize> = (0..statuses.len()).filter(|number| statuses[*number] == 202).collect();
    assert!(taken_in.len() > 1 && taken_in.len() < statuses.len(), "{statuses:?}");
    assert_eq!(terminate.status(), 202);
    taken_in.push(statuses.len());
    shimmed.host.raise(&id, "item", &event(statuses.len()));
    let kept = tests::until("all are read", || {
        let details = shimmed.host.details(&id);
        let history = details["historyEvents"].as_array()?;
        let inputs = history.iter().filter(|entry| entry["EventType"] == "EventRaised").map(|entry| &entry["Input"]);
        let number = |input: &serde_json::Value| input.as_str()?.split(' ').next()?.parse::<usize>().ok();
        let numbers: Vec<usize> = inputs.filter_map(number).collect();
        (numbers.len() >= taken_in.len()).then_some(numbers)
    });
    assert_eq!(kept, taken_in, "what was taken in, in its order, and nothing of what was refused");
}

#[test]
fn after_a_failed_fsync_nothing_is_acknowledged_until_a_restart() {
    let mut shimmed = Shimmed::start();
    let id = shimmed.host.start("Collect", "2");
    shimmed.host.raise(&id, "item", "1");
    shimmed.host.waits_for(&id, &["item"]);
    shimmed.fail();
    assert_eq!(shimmed.host.try_raise(&id, "item", "2").status, 503);
    assert_eq!(shimmed.host.post(&format!("{BASE}/orchestrators/W"), "").status, 503);
    assert_eq!(shimmed.host.status(&id).status, 503, "what is read may not be true");
    assert_eq!(shimmed.host.get("/modules").status, 503);
    assert_eq!(shimmed.host.get(&format!("{BASE}/instances")).status, 503);
    assert_eq!(shimmed.host.get(&format!("{BASE}/instances/{id}/history")).status, 503);
    assert_eq!(shimmed.host.put("/modules", &tests::guest_bytes("test-guest-b")).status, 503);
    for verb in ["terminate", "suspend", "resume"] {
        assert_eq!(shimmed.host.control(&id, verb, "").status, 503, "{verb}");
    }
    for path in ["/healthz", "/readyz"] {
        let health = shimmed.host.get(path);
        assert_eq!(health.status, 503);
        assert!(health.body.contains("restart"), "{health:?}");
    }
    assert!(shimmed.host.log().contains("storage can no longer be trusted"), "{}", shimmed.host.log());

    std::fs::remove_file(shimmed.control.path().join("fail")).unwrap();
    assert_eq!(
        shimmed.host.try_raise(&id, "item", "2").status,
        503,
        "an fsync that failed once is never trusted again"
    );
    shimmed.host.kill_and_restart();
    let expected = match shimmed.host.details(&id)["runtimeStatus"].as_str() {
        // Nobody was told that the second event was stored; it may have been.
        Some("Completed") => serde_json::json!([1, 2]),
        _ => {
            shimmed.host.raise(&id, "item", "3");
            let output = shimmed.host.output(&id);
            if output[1] == 2 { serde_json::json!([1, 2]) } else { serde_json::json!([1, 3]) }
        }
    };
    assert_eq!(shimmed.host.output(&id), expected);
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let shimmed = Shimmed::start();
    let host = &shimmed.host;
    let id = host.start("Collect", "2");
    host.raise(&id, "item", "1");
    host.waits_for(&id, &["item"]);

    shimmed.fill();
    for refused in [
        host.try_raise(&id, "item", "2"),
        host.post(&format!("{BASE}/orchestrators/W"), ""),
        host.put("/modules", &tests::guest_bytes("test-guest-b")),
    ] {
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.retry_after.is_some() && refused.body.contains("full"), "{refused:?}");
    }
    assert_eq!(host.status(&id).json()["runtimeStatus"], "Running", "what is there can be read");
    assert_eq!(host.get("/healthz").status, 200);

    shimmed.make_room();
    tests::until("there is room", || (host.try_raise(&id, "item", "3").status == 202).then_some(()));
    assert_eq!(host.output(&id), serde_json::json!([1, 3]), "what was refused has left nothing behind");
    assert_eq!(host.put("/modules", &tests::guest_bytes("test-guest-b")).status, 201);
}

#[test]
fn a_second_host_on_the_same_data_is_refused() {
    let host = Fresh::start();
    let refused = host.settings().try_start().err().unwrap();
    let words = format!("in use by another process ({})", host.pid());
    assert!(refused.contains(&words), "{refused}");
    let id = host.start("Collect", "1");
    host.raise(&id, "item", "1");
    assert_eq!(host.output(&id), serde_json::json!([1]));
}
