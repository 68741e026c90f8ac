//! Lists of instances, from page to page.

use std::process::Command;

use tests::{BASE, Host};

use crate::{Fresh, RESIDENCIES};

/// From token to token to the end: the ids on each page.
fn pages(host: &Host, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut token) = (Vec::new(), String::new());
    loop {
        let answer = host.get_with(&format!("{BASE}/instances?{query}"), "x-ms-continuation-token", &token);
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.json();
        let ids = page.as_array().unwrap().iter().map(|instance| instance["instanceId"].as_str().unwrap().to_owned());
        pages.push(ids.collect());
        match answer.header("x-ms-continuation-token") {
            Some(next) => token = next.to_owned(),
            None => return pages,
        }
    }
}

fn ids(host: &Host, query: &str) -> String {
    pages(host, query).concat().join(" ")
}

fn start(host: &Host, orchestrator: &str, id: &str, input: &str) {
    let answer = host.post(&format!("{BASE}/orchestrators/{orchestrator}/{id}"), input);
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[test]
fn a_list_of_what_waits_for_an_event() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        start(&host, "W", "w-1", "");
        start(&host, "TwoNames", "names", "");
        start(&host, "W", "w-2", "");
        start(&host, "Many", "few", "3");
        // More than the row of an instance tells: its history says what it waits for.
        start(&host, "Many", "many", "100");
        start(&host, "Fails", "fails", "");
        host.waits_for("w-1", &["go"]);
        host.waits_for("w-2", &["go"]);
        host.waits_for("names", &["first"]);
        host.waits_for("few", &["Event-0", "Event-1", "Event-2"]);
        tests::until("many waits", || {
            host.details("many")["waitingFor"].as_array().filter(|open| open.len() == 100).map(drop)
        });
        host.waits_for("fails", &["go"]);

        assert_eq!(ids(&host, "waitingFor=Go"), "w-1 w-2 fails");
        assert_eq!(ids(&host, "waitingFor=GO&name=W"), "w-1 w-2");
        assert_eq!(ids(&host, "waitingFor=first"), "names");
        assert_eq!(ids(&host, "waitingFor=second"), "");
        assert_eq!(ids(&host, "waitingFor=event-2"), "few many");
        assert_eq!(ids(&host, "waitingfor=EVENT-99"), "many");
        assert_eq!(ids(&host, "waitingFor=event-100"), "");
        assert_eq!(ids(&host, "waitingFor="), "w-1 names w-2 few many fails", "a blank value counts as none");

        host.raise("w-1", "go", "1");
        host.output("w-1");
        host.raise("fails", "go", "null");
        host.ended("fails");
        host.raise("names", "first", "1");
        host.waits_for("names", &["second"]);
        host.raise("many", "event-2", "1");
        host.raise("many", "nothing", "1");
        tests::until("many goes on", || {
            host.details("many")["waitingFor"].as_array().filter(|open| open.len() == 99).map(drop)
        });
        assert_eq!(ids(&host, "waitingFor=go"), "w-2");
        assert_eq!(ids(&host, "waitingFor=second"), "names");
        assert_eq!(ids(&host, "waitingFor=event-2"), "few");
        // One that is suspended waits for the same; one that was rewound waits again.
        assert_eq!(host.control("w-2", "suspend", "").status, 202);
        assert_eq!(host.control("fails", "rewind", "").status, 202);
        tests::until("fails once more", || Some(()).filter(|()| ids(&host, "runtimeStatus=Failed") == "fails"));
        assert_eq!(ids(&host, "waitingFor=go&runtimeStatus=Suspended"), "w-2");
    }
}

#[test]
fn what_waits_is_listed_after_a_crash_and_from_page_to_page() {
    let mut host = Fresh::start();
    for number in 0..9 {
        start(&host, if number % 3 == 1 { "TwoNames" } else { "W" }, &format!("i-{number}"), "");
    }
    for number in 0..9 {
        host.waits_for(&format!("i-{number}"), if number % 3 == 1 { &["first"] } else { &["go"] });
    }
    for _ in 0..2 {
        let found = pages(&host, "waitingFor=go&top=2");
        assert_eq!(found, [["i-0", "i-2"], ["i-3", "i-5"], ["i-6", "i-8"]]);
        assert_eq!(pages(&host, "waitingFor=first&top=2"), [vec!["i-1", "i-4"], vec!["i-7"]]);
        assert_eq!(pages(&host, "waitingFor=nobody&top=1"), [[""; 0]]);
        host.kill_and_restart();
    }
    let purge = host.delete(&format!("{BASE}/instances?createdTimeFrom=2000-01-01T00:00:00Z&waitingFor=go"));
    assert_eq!((purge.status, purge.json()["code"].as_str()), (400, Some("bad-query")));
}

/// 20 inputs of 1 MiB each would make a page of 20 MiB.
#[test]
fn a_page_ends_before_it_becomes_too_large() {
    let host = Fresh::start();
    let input = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    for number in 0..20 {
        start(&host, "W", &format!("i-{number:02}"), &input);
    }
    let found = pages(&host, "top=19");
    assert!(found.iter().all(|page| page.len() <= 9), "{found:?}");
    let all: Vec<String> = (0..20).map(|number| format!("i-{number:02}")).collect();
    assert_eq!(found.concat(), all);
    assert_eq!(pages(&host, "showInput=false"), [all]);
}

/// Histories that have to be read for it are read within bounds, too.
#[test]
fn what_many_wait_for_is_found_out_a_little_at_a_time() {
    let host = Fresh::start();
    let payload = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    for id in ["large-1", "large-2", "small"] {
        start(&host, "Many", id, "100");
    }
    for id in ["large-1", "large-2"] {
        (0..17).for_each(|number| host.raise(id, &format!("event-{number}"), &payload));
    }
    tests::until("all is taken", || Some(()).filter(|()| ids(&host, "waitingFor=event-16") == "small"));
    assert_eq!(pages(&host, "waitingFor=event-17"), [["large-1"], ["large-2"], ["small"]]);
    assert_eq!(pages(&host, "waitingFor=event-16"), [vec![], vec![], vec!["small"]]);
}

#[test]
fn a_key_for_some_orchestrators_lists_and_purges_these_alone() {
    let host = Fresh::start();
    for (orchestrator, id) in [("W", "w"), ("TwoNames", "t"), ("Fails", "f"), ("W", "w-2"), ("Fails", "f-2")] {
        start(&host, orchestrator, id, "");
    }
    for id in ["w-2", "f-2"] {
        host.raise(id, "go", "null");
        host.ended(id);
    }
    let key = |name: &str, bound: &[&str]| {
        let mut command = Command::new(tests::binary());
        command.args(["key", "create", name, "--data"]).arg(host.data());
        let made = command.args(bound).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    };
    let bound = key("bound", &["--orchestrator", "W", "--orchestrator", "*Name*"]);
    let all = key("all", &[]);
    let listed = |secret: &str| ids(&host, &format!("code={secret}"));
    assert_eq!((listed(&bound).as_str(), listed(&all).as_str()), ("w t w-2", "w t f w-2 f-2"));
    assert_eq!(ids(&host, &format!("name=Fails&code={bound}")), "");
    let purged = host.delete(&format!("{BASE}/instances?createdTimeFrom=2000-01-01T00:00:00Z&code={bound}"));
    assert_eq!((purged.status, &purged.json()["instancesDeleted"]), (200, &1.into()), "{purged:?}");
    assert_eq!(listed(&all), "w t f f-2");
}
