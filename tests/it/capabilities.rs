//! What an activity may do besides computing: nothing, unless the operator grants it; and an orchestrator never.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tests::Settings;

use crate::Fresh;

/// Says hello to whoever connects, and counts them.
struct Greeter {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Greeter {
    fn start() -> Greeter {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = connections.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"hello");
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = stream.read(&mut [0; 1]);
            }
        });
        Greeter { port, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn with_guest(settings: Settings) -> Settings {
    settings.modules(&["test-guest-reaching"])
}

/// What comes of it when this activity tries these.
fn tries(host: &Fresh, activity: &str, tries: Value) -> Vec<String> {
    let id = host.start("Reaching", &json!([activity, tries]).to_string());
    serde_json::from_value(host.output(&id)).unwrap()
}

/// Waits until the host's log says this.
fn is_told(host: &Fresh, words: &str) {
    tests::until(words, || host.log().contains(words).then_some(()));
}

fn everything(port: u16, folder: &str) -> Value {
    json!([
        "environment",
        {"read": format!("{folder}/in")},
        {"read": "/etc/hostname"},
        {"read": "in"},
        {"write": [format!("{folder}/out"), "text"]},
        {"list": "/"},
        {"connect": ["localhost", port]},
        {"connect": ["example.com", 80]},
        {"connectTo": ["127.0.0.1", port]},
        {"connectTo": ["169.254.169.254", 80]},
        "listen",
        "udp",
    ])
}

#[test]
fn nothing_is_granted_unless_somebody_grants_it() {
    let (greeter, folder) = (Greeter::start(), tempfile::tempdir().unwrap());
    let shown = folder.path().to_str().unwrap();
    std::fs::write(folder.path().join("in"), "secret").unwrap();
    let host = Fresh::with(with_guest);
    let found = tries(&host, "Reach", everything(greeter.port, shown));
    assert_eq!(found[0], "{}");
    assert!(found[1..].iter().all(|found| found.starts_with("error: ")), "{found:#?}");
    for (place, denied) in [(6, "look up: access-denied"), (8, "connect: access-denied"), (9, "connect: access-denied")]
    {
        assert_eq!(found[place], format!("error: {denied}"));
    }
    // Whoever runs the host reads what would have to be granted.
    for name in ["localhost", "example.com"] {
        is_told(&host, &format!("outbound = [{name:?}]"));
    }
    assert_eq!(greeter.connections(), 0);
    assert!(!folder.path().join("out").exists());
}

#[test]
fn what_is_granted_to_an_activity_it_may_and_no_more() {
    let (greeter, folder) = (Greeter::start(), tempfile::tempdir().unwrap());
    let (read, write) = (folder.path().join("read"), folder.path().join("write"));
    [&read, &write].into_iter().for_each(|folder| std::fs::create_dir(folder).unwrap());
    std::fs::write(read.join("in"), "from the host").unwrap();
    std::os::unix::fs::symlink("/etc", read.join("way-out")).unwrap();
    let port = greeter.port;
    let config = format!(
        "[outbound]\nnetworks = [\"127.0.0.0/8\"]\n\
         [modules.Reach]\n\
         outbound = [\"127.0.0.1:{port}\", \"localhost:{port}\"]\n\
         environment = {{ REGION = \"eu\" }}\n\
         inherit = [\"INHERITED\"]\n\
         directories = [{{ host = {read:?}, guest = \"/read\" }}, {{ host = {write:?}, guest = \"/write\", write = true }}]\n"
    );
    let host = Fresh::with(|settings| {
        with_guest(settings).configuration(&config).environment("INHERITED", "value").environment("OTHER", "x")
    });
    let wishes = json!([
        "environment",
        {"read": "/read/in"},
        {"list": "/read"},
        {"write": ["/write/out", "from the guest"]},
        {"read": "/write/out"},
        {"connectTo": ["127.0.0.1", port]},
        {"connect": ["localhost", port]},
        {"connect": ["LOCALHOST.", port]},
    ]);
    assert_eq!(
        tries(&host, "Reach", wishes.clone()),
        [
            "{\"INHERITED\":\"value\",\"REGION\":\"eu\"}",
            "from the host",
            "in way-out",
            "written",
            "from the guest",
            "hello",
            "hello",
            "hello"
        ]
    );
    assert_eq!(std::fs::read_to_string(write.join("out")).unwrap(), "from the guest");
    let beyond = json!([
        {"write": ["/read/new", "text"]},
        {"write": ["/read/in", "text"]},
        {"read": "/read/../write/out"},
        {"read": "/read/way-out/hostname"},
        {"read": "/etc/hostname"},
        {"connectTo": ["127.0.0.1", port ^ 1]},
        {"connectTo": ["127.0.0.2", port]},
        {"connect": ["localhost", port ^ 1]},
        {"connect": ["localhost.evil.example", port]},
        {"connect": ["127.1", port]},
        {"connect": ["2130706433", port]},
        "listen",
        "udp",
    ]);
    let before = greeter.connections();
    let found = tries(&host, "Reach", beyond);
    assert!(found.iter().all(|found| found.starts_with("error: ")), "{found:#?}");
    assert_eq!(std::fs::read_to_string(read.join("in")).unwrap(), "from the host");
    assert!(!read.join("new").exists());
    is_told(&host, &format!("outbound = [\"127.0.0.2:{port}\"]"));
    // Another activity of the same module was granted nothing, nor is an orchestrator ever.
    let found = tries(&host, "ReachToo", wishes.clone());
    assert!(found[0] == "{}" && found[1..].iter().all(|found| found.starts_with("error: ")), "{found:#?}");
    let id = host.start("ReachesItself", &wishes.to_string());
    let found: Vec<String> = serde_json::from_value(host.output(&id)).unwrap();
    assert!(found[0] == "{}" && found[1..].iter().all(|found| found.starts_with("error: ")), "{found:#?}");
    assert_eq!(greeter.connections(), before);
}

#[test]
fn a_grant_is_for_a_digest_or_for_a_name_that_the_module_has() {
    let digest = {
        let host = Fresh::with(with_guest);
        host.get("/modules").json()[0]["digest"].as_str().unwrap().to_owned()
    };
    for (name, granted) in [
        (&*digest, true),
        ("reaching", true),
        ("ReachToo", true),
        (&digest[..63], false),
        ("reachtoo", false),
        ("Other", false),
    ] {
        let config = format!("[modules.{name:?}]\nenvironment = {{ A = \"b\" }}");
        let host = Fresh::with(|settings| with_guest(settings).configuration(&config));
        let expected = if granted { "{\"A\":\"b\"}" } else { "{}" };
        assert_eq!(tries(&host, "ReachToo", json!(["environment"])), [expected], "{name}");
        let id = host.start("ReachesItself", "[\"environment\"]");
        assert_eq!(host.output(&id), json!(["{}"]), "{name}");
    }
}

/// A name that leads into a network which is not public leads nowhere, unless the operator says that it may.
#[test]
fn a_granted_name_leads_to_public_addresses() {
    let greeter = Greeter::start();
    let config = format!("[modules.Reach]\noutbound = [\"localhost:{}\"]", greeter.port);
    let host = Fresh::with(|settings| with_guest(settings).configuration(&config));
    let found = tries(&host, "Reach", json!([{"connect": ["localhost", greeter.port]}]));
    assert_eq!(found, ["error: look up: name-unresolvable"]);
    is_told(&host, "which is this machine");
    assert_eq!(greeter.connections(), 0);
}

#[test]
fn a_configuration_that_is_wrong_is_refused_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    for (text, why) in [
        ("[limits.http]\nconections = 1", "unknown field `conections`"),
        ("[modules.Reach]\noutbound = [\"http://example.com\"]", "is no port: write HOST, HOST:PORT"),
        ("[modules.Reach]\noutbound = [\"0x7f.1\"]", "unusual spelling"),
        (
            "[modules.Reach]\ndirectories = [{ host = \"/nowhere\", guest = \"/a\" }]",
            "the folder /nowhere can not be found",
        ),
        ("[modules.Reach]\ndirectories = [{ host = \"/\", guest = \"/a\" }]", "the data of the host"),
        ("[modules.Reach]\ninherit = [\"FERMATA_TEST_NOT_SET\"]", "FERMATA_TEST_NOT_SET"),
        ("modules = 3", "invalid type"),
    ] {
        let settings = Settings::new(folder.path()).modules(&[]).configuration(text);
        let log = settings.try_start().err().expect(text);
        assert!(log.contains(why), "{text}: {log}");
    }
}
