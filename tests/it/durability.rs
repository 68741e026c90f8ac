//! No acknowledgement leaves before the fsync that makes it true. A shim under the store holds fsync back, or lets it fail.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::{BASE, Settings};

use super::Fresh;

/// A host whose fsync calls are in our hands.
struct Shimmed {
    host: Fresh,
    control: tempfile::TempDir,
}

impl Shimmed {
    fn start() -> Shimmed {
        let control = tempfile::tempdir().unwrap();
        let host = Fresh::with(|settings: Settings| {
            settings.environment("LD_PRELOAD", shim()).environment("FERMATA_FSYNC_SHIM", control.path())
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
    let candidates = [deps.join("libfsync_shim.so"), deps.parent().unwrap().join("libfsync_shim.so")];
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
    let health = shimmed.host.get("/healthz");
    assert_eq!(health.status, 503);
    assert!(health.body.contains("restart"), "{health:?}");

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
