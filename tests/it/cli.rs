//! The commands, as people and scripts use them: data on standard output, words on standard error, and exit codes with a meaning.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests::{BASE, guest_file, until};

use super::Fresh;

/// What came of a command.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Done {
    /// The data, of a command that succeeded.
    fn data(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out.trim_end()
    }

    fn json(&self) -> Value {
        serde_json::from_str(self.data()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A command that failed has no data, and says what is wrong.
    fn failed(&self, code: i32, words: &[&str]) {
        assert_eq!((self.code, &*self.out), (Some(code), ""), "{self:?}");
        for word in words {
            assert!(self.err.contains(word), "{word:?} in {self:?}");
        }
    }
}

fn fermata(url: &str, arguments: &[&str], input: &str) -> Done {
    let mut command = Command::new(tests::binary());
    command.args(arguments).env("FERMATA_URL", url).env_remove("FERMATA_LOG");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // One that fails early does not read.
    let _ = process.stdin.take().unwrap().write_all(input.as_bytes());
    let output = process.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn ask(host: &Fresh, arguments: &[&str]) -> Done {
    fermata(&host.url(""), arguments, "")
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn deploy_tells_the_digest() {
    let host = Fresh::with(|settings| settings.modules(&[]));
    let file = guest_file("new-building-permit");
    let first = ask(&host, &["deploy", path(&file)]);
    assert!(first.err.contains("NewBuildingPermit") && first.err.contains("IssueBuildingPermit"), "{first:?}");
    let again = ask(&host, &["deploy", path(&file), "-o", "json"]);
    assert_eq!(again.json()["digest"], first.data());
    assert!(ask(&host, &["deploy", path(&file)]).err.contains("known already"));
    ask(&host, &["deploy", file!()]).failed(1, &["can not be read"]);
    ask(&host, &["deploy", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]).failed(1, &["WebAssembly"]);
}

#[test]
fn an_input_comes_from_the_command_line_a_file_or_standard_input() {
    let host = Fresh::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input.json");
    std::fs::write(&file, "{\"from\":  \"a file\"}\n").unwrap();
    let at_file = format!("@{}", file.display());
    for (argument, typed, expected) in
        [("[1, 2]", "", "[1, 2]"), (&*at_file, "", "{\"from\":  \"a file\"}"), ("-", "\"typed\"\n", "\"typed\"")]
    {
        let started = fermata(&host.url(""), &["start", "W", "--input", argument], typed);
        assert!(started.err.contains("started W"), "{started:?}");
        assert_eq!(host.status(started.data()).raw("input"), expected);
        // An event is given in the same ways.
        let id = started.data();
        fermata(&host.url(""), &["raise", id, "go", argument], typed).data();
        host.output(id);
        assert_eq!(host.status(id).raw("output"), expected);
    }
    let without = ask(&host, &["start", "W", "--id", "without"]);
    assert_eq!(without.data(), "without");
    assert_eq!(host.status("without").json()["input"], Value::Null);
    ask(&host, &["raise", "without", "go", "-1"]).data();
    assert_eq!(host.output("without"), -1, "a number below zero is no option");

    let started = ask(&host, &["start", "W", "--id", "a b", "-o", "json"]).json();
    assert_eq!(started["id"], "a b");
    assert_eq!(started["statusQueryGetUri"], host.url(&format!("{BASE}/instances/a%20b")));
    let raised = ask(&host, &["raise", "a b", "go", "-o", "json"]).json();
    assert_eq!(raised, json!({ "instanceId": "a b", "event": "go" }));
    assert_eq!(host.output("a%20b"), Value::Null);
}

#[test]
fn status_for_people_and_for_programs() {
    let host = Fresh::start();
    ask(&host, &["start", "BudgetApproval", "--id", "budget", "--input", "{\"eur\": 5000}"]).data();
    host.waits_for("budget", &["Approval"]);
    ask(&host, &["raise", "budget", "Unasked"]).data();
    until("the event is buffered", || {
        let status = ask(&host, &["status", "budget"]);
        let facts: Vec<&str> =
            status.data().lines().map(|line| line.split(", since").next().unwrap()).take(6).collect();
        (facts
            == [
                "instance     budget",
                "orchestrator BudgetApproval",
                "status       Running",
                "waiting for  event Approval",
                "buffered     Unasked",
                "input        {\"eur\": 5000}",
            ])
        .then_some(())
    });
    ask(&host, &["raise", "budget", "approval", "true"]).data();
    host.output("budget");

    let short = ask(&host, &["status", "budget"]);
    assert!(short.data().contains("\noutput       \"approval granted\"\n"), "{short:?}");
    assert!(!short.out.contains("history"), "{short:?}");
    let long = ask(&host, &["status", "budget", "--history"]);
    for entry in ["ExecutionStarted", "ExternalEventWaitStarted", "EventRaised", "ExecutionCompleted"] {
        assert!(long.data().contains(entry), "{entry} in {long:?}");
    }

    assert_eq!(ask(&host, &["status", "budget", "-o", "json"]).data(), host.status("budget").body);
    let events = ask(&host, &["status", "budget", "--history", "-o", "json"]).json();
    assert_eq!(events["historyEvents"], host.details("budget")["historyEvents"]);
}

#[test]
fn list_shows_what_is_asked_for() {
    let host = Fresh::start();
    for (orchestrator, id) in
        [("W", "order-1"), ("W", "order-2"), ("BudgetApproval", "order-3"), ("W", "other-1"), ("Fails", "order-4")]
    {
        ask(&host, &["start", orchestrator, "--id", id]).data();
    }
    ask(&host, &["raise", "order-2", "go"]).data();
    host.output("order-2");
    ask(&host, &["raise", "order-4", "go"]).data();
    host.ended("order-4");
    for (id, event) in [("order-1", "go"), ("order-3", "Approval"), ("other-1", "go")] {
        host.waits_for(id, &[event]);
    }

    let ids = |filters: &[&str]| {
        let list = ask(&host, &[&["list", "-o", "json"], filters].concat()).json();
        let ids = list.as_array().unwrap().iter().map(|instance| instance["instanceId"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(ids(&[]), "order-1 order-2 order-3 other-1 order-4");
    assert_eq!(ids(&["--prefix", "order-"]), "order-1 order-2 order-3 order-4");
    assert_eq!(ids(&["--name", "W"]), "order-1 order-2 other-1");
    assert_eq!(ids(&["--status", "completed,Failed"]), "order-2 order-4");
    assert_eq!(ids(&["--status", "Running", "--prefix", "order-", "--name", "W"]), "order-1");
    assert_eq!(ids(&["--waiting-for", "GO"]), "order-1 other-1");
    assert_eq!(ids(&["--waiting-for", "Approval", "--prefix", "order-"]), "order-3");
    assert_eq!(ids(&["--prefix", "nothing"]), "");

    let table = ask(&host, &["list", "--top", "2"]);
    let rows: Vec<Vec<&str>> = table.data().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["INSTANCE", "ORCHESTRATOR", "STATUS", "UPDATED"]);
    assert_eq!((&rows[1][..3], &rows[2][..3]), (&["order-1", "W", "Running"][..], &["order-2", "W", "Completed"][..]));
    assert!(rows.len() == 3 && table.err.contains("there are more"), "{table:?}");
    assert!(ask(&host, &["list", "--status", "Done"]).err.contains("Terminated"), "it says which statuses there are");
}

#[test]
fn a_list_may_be_longer_than_a_page() {
    let host = Fresh::start();
    std::thread::scope(|scope| {
        for client in 0..8 {
            let host = &host;
            scope.spawn(move || {
                for number in 0..140 {
                    let id = format!("{client}-{number}");
                    assert_eq!(host.post(&format!("{BASE}/orchestrators/W/{id}"), "").status, 202);
                }
            });
        }
    });
    let list = ask(&host, &["list", "--top", "1100"]);
    assert_eq!(list.data().lines().count(), 1_101);
    assert!(list.err.contains("there are more"), "{}", list.err);
    let list = ask(&host, &["list", "--top", "5000", "-o", "json"]);
    assert_eq!(list.json().as_array().unwrap().len(), 1_120);
    assert_eq!(list.err, "");
}

#[test]
fn exit_codes_say_what_went_wrong() {
    let host = Fresh::start();
    ask(&host, &["status", "nobody"]).failed(4, &["nobody"]);
    ask(&host, &["raise", "nobody", "go"]).failed(4, &["nobody"]);
    ask(&host, &["start", "W", "--id", "same"]).data();
    ask(&host, &["start", "W", "--id", "same"]).failed(6, &["same", "hint"]);
    ask(&host, &["raise", "same", "go"]).data();
    host.output("same");
    ask(&host, &["raise", "same", "go"]).failed(6, &["has ended"]);

    ask(&host, &["start", "Nobody"]).failed(1, &["BudgetApproval"]);
    ask(&host, &["start", "W", "--input", "no json"]).failed(1, &["JSON", "hint"]);
    ask(&host, &["start", "W", "--input", "@no-such-file"]).failed(1, &["no-such-file"]);

    for wrong in [
        &["dance"][..],
        &["start"],
        &["raise", "same"],
        &["list", "--top", "0"],
        &["status", "same", "--url", "https://x"],
        &["serve", "--residency", "sometimes"],
        &["serve", "--activity", "Charge=ftp://a"],
        &["serve", "--activity-limit", "Charge=0"],
        &["serve", "--retain-age", "soon"],
        &["purge"],
        &["purge", "same", "--older-than", "7d"],
        &["purge", "--older-than", "7"],
        &["purge", "--older-than", "7d", "--force"],
        &["purge", "same", "--status", "Failed"],
        &["migrate", "--to", "ab"],
        &["skip", "later"],
    ] {
        let done = ask(&host, wrong);
        assert_eq!((done.code, &*done.out), (Some(2), ""), "{wrong:?}: {done:?}");
    }

    let address = host.url("");
    drop(host);
    for command in [&["status", "same"][..], &["start", "W"], &["list"]] {
        fermata(&address, command, "").failed(7, &[&address, "fermata serve"]);
    }
}

#[test]
fn what_an_operator_asks_is_done() {
    let host = Fresh::start();
    for id in ["order-1", "order 2", "order-3"] {
        ask(&host, &["start", "W", "--id", id, "--input", "7"]).data();
        host.waits_for(&id.replace(' ', "%20"), &["go"]);
    }
    let status = |id: &str| ask(&host, &["status", id, "-o", "json"]).json();
    let is = |id: &str, expected: &str| until(expected, || (status(id)["runtimeStatus"] == expected).then_some(()));

    assert!(ask(&host, &["suspend", "order-1", "--reason", "stocktaking"]).err.contains("suspend has been accepted"));
    is("order-1", "Suspended");
    ask(&host, &["suspend", "order-1"]).failed(6, &["is Suspended", "hint"]);
    ask(&host, &["resume", "order-1"]).data();
    is("order-1", "Running");
    ask(&host, &["rewind", "order-1"]).failed(6, &["has failed"]);
    ask(&host, &["unpark", "order-1"]).failed(6, &["parked"]);
    ask(&host, &["purge", "order-1"]).failed(6, &["has not ended", "force"]);

    let terminated = ask(&host, &["terminate", "order 2", "--reason", "no & no", "--cascade", "-o", "json"]).json();
    assert_eq!(terminated, json!({ "instanceId": "order 2", "asked": "terminate" }));
    is("order 2", "Terminated");
    assert_eq!(status("order 2")["output"], "no & no");
    ask(&host, &["terminate", "order 2"]).failed(6, &["has ended"]);

    let anew = ask(&host, &["restart", "order 2"]);
    assert_eq!(status(anew.data())["input"], 7);
    assert_eq!(ask(&host, &["restart", "order 2", "--same-id"]).data(), "order 2");
    is("order 2", "Running");
    ask(&host, &["restart", "order-3", "--same-id"]).failed(6, &["has not ended"]);

    ask(&host, &["purge", "order 2", "--force"]).data();
    ask(&host, &["status", "order 2"]).failed(4, &["order 2"]);
    assert_eq!(ask(&host, &["purge", "--older-than", "0s", "-o", "json"]).json(), json!({ "instancesDeleted": 0 }));
    ask(&host, &["raise", "order-3", "go"]).data();
    host.output("order-3");
    assert!(ask(&host, &["purge", "--older-than", "1h"]).err.contains("purged: 0"));
    let filters = ["--status", "Completed", "--name", "W"];
    assert!(ask(&host, &[&["purge", "--older-than", "0s"][..], &filters].concat()).err.contains("purged: 1"));

    for verb in ["terminate", "suspend", "resume", "rewind", "unpark", "restart", "purge", "export"] {
        ask(&host, &[verb, "nobody"]).failed(4, &["nobody"]);
    }
    ask(&host, &["skip", "7d"]).failed(6, &["--skippable-clock"]);
}

#[test]
fn a_status_shows_what_is_open_and_a_clock_can_be_skipped() {
    let host = Fresh::with(|settings| settings.argument("--skippable-clock"));
    ask(&host, &["start", "Race", "--id", "race", "--input", "172800000"]).data();
    host.waits_for("race", &["go"]);
    let shown = ask(&host, &["status", "race"]);
    assert!(shown.data().contains("waiting for  event go, since 20"), "{shown:?}");
    assert!(shown.data().contains("\n             timer, due 20"), "{shown:?}");
    assert!(!shown.data().contains("also open"), "{shown:?}");
    let child = r#"{"orchestrator":"Moody","id":"kid","input":null,"attempts":3}"#;
    ask(&host, &["start", "Parent", "--id", "parent", "--input", child]).data();
    host.waits_for("kid", &["mood"]);
    let parent = ask(&host, &["status", "parent"]);
    assert!(parent.data().contains("waiting for  orchestrator Moody as kid, since"), "{parent:?}");
    assert!(ask(&host, &["status", "kid"]).data().contains("\nparent       parent\n"));

    assert!(ask(&host, &["skip", "2d"]).err.contains("2d ahead"));
    assert_eq!(host.output("race"), "too late");
    let told = ask(&host, &["status", "race", "--history"]);
    assert!(told.data().contains("TimerCreated") && told.data().contains("TimerFired"), "{told:?}");
}

#[test]
fn an_exported_history_is_replayed_without_a_host() {
    let host = Fresh::with(|settings| settings.modules(&["test-guest-a"]));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.json");
    let replay = |guest: &str, more: &[&str]| {
        let module = guest_file(guest);
        fermata("", &[&["replay", path(&file), "--module", path(&module)][..], more].concat(), "")
    };
    ask(&host, &["start", "Versioned", "--id", "v"]).data();
    host.waits_for("v", &["go"]);
    let said = ask(&host, &["export", "v", "--out", path(&file)]);
    assert!(said.out.is_empty() && said.err.contains("history.json"), "{said:?}");
    assert!(replay("test-guest-a", &[]).data().contains("the module fits: all 1 steps of v"));
    assert_eq!(replay("test-guest-b", &["-o", "json"]).json(), json!({ "fits": true, "steps": 1, "mismatch": null }));

    ask(&host, &["raise", "v", "go"]).data();
    host.output("v");
    let exported = ask(&host, &["export", "v"]).json();
    assert_eq!((&exported["format"], &exported["version"]), (&json!("fermata-history"), &json!(1)));
    let instance = &exported["instance"];
    assert_eq!((&instance["id"], &instance["status"]), (&json!("v"), &json!("Completed")));
    assert_eq!(instance["module"], exported["steps"][0]["message"]["Started"]["module"]);
    std::fs::write(&file, exported.to_string()).unwrap();
    replay("test-guest-a", &[]).data();
    replay("test-guest-b", &[]).failed(3, &["history says \"A\", the guest \"B\""]);
    let told = replay("test-guest-b", &["-o", "json"]);
    let verdict: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((told.code, &verdict["fits"], &verdict["mismatch"]["step"]), (Some(3), &json!(false), &json!(2)));
    replay("select", &[]).failed(3, &["holds no orchestrator \"Versioned\"", "Select"]);

    std::fs::write(&file, "{}").unwrap();
    replay("test-guest-a", &[]).failed(1, &["history.json", "fermata export"]);
    std::fs::remove_file(&file).unwrap();
    replay("test-guest-a", &[]).failed(1, &["can not be read"]);
}

#[test]
fn modules_are_listed_migrated_to_and_deleted() {
    let host = Fresh::with(|settings| settings.modules(&["test-guest-b"]));
    let b = ask(&host, &["modules", "-o", "json"]).json()[0]["digest"].as_str().unwrap().to_owned();
    for (orchestrator, id) in [("Versioned", "fits"), ("TwoNames", "differs")] {
        ask(&host, &["start", orchestrator, "--id", id]).data();
    }
    host.waits_for("fits", &["go"]);
    host.waits_for("differs", &["second"]);
    let a = ask(&host, &["deploy", path(&guest_file("test-guest-a"))]).data().to_owned();
    let listed = ask(&host, &["modules"]);
    let rows: Vec<&str> = listed.data().lines().collect();
    assert!(rows[1].starts_with(&a[..12]) && rows[2].starts_with(&b[..12]), "{listed:?}");
    assert!(rows[2].contains("TwoNames, Versioned"), "{listed:?}");

    let to = &a[..10];
    let tried = ask(&host, &["migrate", "--to", to, "--orchestrator", "Versioned", "--dry-run"]);
    assert!(tried.data().lines().nth(1).unwrap().contains("fits"), "{tried:?}");
    let moved = ask(&host, &["migrate", "--to", to, "--orchestrator", "Versioned"]);
    assert!(moved.data().lines().nth(1).unwrap().contains("moved"), "{moved:?}");
    let stays = ask(&host, &["migrate", "--to", to, "--instance", "differs"]);
    assert_eq!(stays.code, Some(3), "{stays:?}");
    assert!(stays.out.contains("diverges") && stays.out.contains("history says second, the guest first"), "{stays:?}");
    let told = ask(&host, &["migrate", "--to", to, "--instance", "differs", "-o", "json"]);
    assert_eq!((told.code, told.out.contains("\"fits\":false")), (Some(3), true), "{told:?}");
    ask(&host, &["migrate", "--to", "0000", "--instance", "fits"]).failed(4, &["0000"]);

    ask(&host, &["modules", "delete", &a]).failed(6, &["newest one for"]);
    ask(&host, &["modules", "delete", &b[..10]]).failed(6, &["needed still"]);
    ask(&host, &["purge", "differs", "--force"]).data();
    assert_eq!(ask(&host, &["modules", "delete", &b, "-o", "json"]).json(), json!({ "deleted": b }));
    ask(&host, &["modules", "delete", &b]).failed(4, &["no module"]);
}

#[test]
fn the_banner_says_who_serves_what_and_what_is_kept() {
    let host = Fresh::with(|settings| {
        let arguments = ["--activity", "Remote=http://127.0.0.1:1/x", "--activity-limit", "Remote=2"];
        let arguments = arguments.iter().chain(&["--retain-age", "36h", "--retain-count", "5", "--skippable-clock"]);
        arguments.fold(settings, |settings, argument| settings.argument(argument))
    });
    let log = host.log();
    for words in ["Remote=http://127.0.0.1:1/x", "Remote=2", "for 1d12h, at most 5", "FOR TRYING THINGS OUT"] {
        assert!(log.contains(words), "{words:?} in {log}");
    }
}

#[test]
fn help_has_examples() {
    let help = fermata("", &["--help"], "");
    let (_, commands) = help.data().split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands.lines().map_while(|line| line.split_whitespace().next()).collect();
    let expected = "serve new build deploy modules start raise status list terminate suspend resume rewind restart purge unpark \
                    migrate export replay skip key backup restore verify binding openapi help";
    assert_eq!(commands.join(" "), expected);
    for command in &commands[..commands.len() - 1] {
        let help = fermata("", &[command, "--help"], "");
        assert!(help.data().contains(&format!("Examples:\n  fermata {command}")), "{command}: {help:?}");
    }
}
