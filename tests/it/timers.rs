//! Time: timers, timeouts, defaults; days pass in a moment, for the host's clock is one that can be skipped.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Fresh, RESIDENCIES};

const DAY: u64 = 86_400_000;

fn skipping(residency: &str) -> Fresh {
    Fresh::with(|settings| settings.residency(residency).argument("--skippable-clock"))
}

#[test]
fn a_timer_is_due_when_its_time_has_come_and_never_before() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        for millis in [0, 1, 150] {
            let id = host.start("Timer", &millis.to_string());
            let passed = host.output(&id).as_f64().unwrap();
            assert!(passed >= f64::from(millis), "{residency}: {passed} ms of {millis}");
        }
    }
}

#[test]
fn timers_are_due_in_order_and_one_of_a_year_as_well() {
    for residency in RESIDENCIES {
        let host = skipping(residency);
        let id = host.start("Timers", &json!([3 * DAY, DAY, 365 * DAY, 2 * DAY]).to_string());
        let year = host.start("Timer", &(365 * DAY).to_string());
        host.waits_for_timers(&id, 4);
        host.skip(Duration::from_secs(364 * 86_400));
        host.waits_for_timers(&id, 1);
        host.waits_for_timers(&year, 1);
        host.skip(Duration::from_secs(86_400));
        assert_eq!(host.output(&id), json!([1, 3, 0, 2]), "{residency}");
        assert!(host.output(&year).as_f64().unwrap() >= (365 * DAY) as f64);
    }
}

#[test]
fn overdue_timers_fire_in_due_order_after_downtime() {
    let mut host = Fresh::start();
    let id = host.start("Timers", "[400, 100, 300, 200]");
    let alone = host.start("Timer", "100");
    let killed = std::time::Instant::now();
    let settings = host.take().kill();
    tests::until("all are overdue", || (killed.elapsed() > Duration::from_millis(450)).then_some(()));
    let host = settings.start();
    assert_eq!(host.output(&id), json!([1, 3, 2, 0]));
    assert!(host.output(&alone).as_f64().unwrap() >= 100.0);
}

#[test]
fn an_event_in_time_beats_the_timer_and_the_loser_keeps_nothing_alive() {
    for residency in RESIDENCIES {
        let host = skipping(residency);
        let won = host.start("Race", &DAY.to_string());
        host.raise(&won, "go", "7");
        assert_eq!(host.output(&won), 7, "the instance does not wait for its timer");
        let lost = host.start("Race", &DAY.to_string());
        host.waits_for(&lost, &["go"]);
        host.skip(Duration::from_secs(86_400));
        assert_eq!(host.output(&lost), "too late");
        assert_eq!(host.try_raise(&lost, "go", "1").status, 410);
    }
}

/// Azure's extension let a wait that had timed out take a later event (issues 3255 and 1410 of it).
#[test]
fn a_wait_that_timed_out_never_takes_a_later_event() {
    for residency in RESIDENCIES {
        let host = skipping(residency);
        let id = host.start("Timeout", &DAY.to_string());
        host.waits_for(&id, &["go"]);
        host.skip(Duration::from_secs(86_400));
        tests::until("the second wait is open", || {
            let details = host.details(&id);
            details["waitingFor"][0]["timeout"].is_null().then_some(())
        });
        host.raise(&id, "go", "\"second\"");
        assert_eq!(host.output(&id), json!(["timeout", "second"]), "{residency}");

        let in_time = host.start("Timeout", &DAY.to_string());
        host.raise(&in_time, "go", "1");
        host.raise(&in_time, "go", "2");
        assert_eq!(host.output(&in_time), json!([1, 2]));
    }
}

#[test]
fn a_wait_with_a_default_ends_with_it() {
    let host = skipping("1024");
    let id = host.start("Default", &DAY.to_string());
    let in_time = host.start("Default", &DAY.to_string());
    host.raise(&in_time, "go", "\"somebody\"");
    assert_eq!(host.output(&in_time), "somebody");
    host.skip(Duration::from_secs(86_401));
    assert_eq!(host.output(&id), "nobody came");
}

/// Also when both were there before the instance could look: it was suspended.
#[test]
fn an_event_accepted_before_the_deadline_beats_it_however_late_it_is_read() {
    for residency in RESIDENCIES {
        let host = skipping(residency);
        let (early, late) = (host.start("Race", &DAY.to_string()), host.start("Race", &DAY.to_string()));
        for id in [&early, &late] {
            host.waits_for(id, &["go"]);
            assert_eq!(host.control(id, "suspend", "").status, 202);
        }
        host.raise(&early, "go", "\"in time\"");
        host.skip(Duration::from_secs(2 * 86_400));
        host.raise(&late, "go", "\"not in time\"");
        for id in [&early, &late] {
            assert_eq!(host.status(id).json()["runtimeStatus"], "Suspended");
            assert_eq!(host.control(id, "resume", "").status, 202);
        }
        assert_eq!(host.output(&early), "in time", "{residency}");
        assert_eq!(host.output(&late), "too late", "{residency}");
    }
}

#[test]
fn a_status_shows_what_is_waited_for_and_since_when() {
    let host = Fresh::start();
    let id = host.start("Race", &DAY.to_string());
    host.waits_for(&id, &["go"]);
    let details = host.details(&id);
    let waiting = details["waitingFor"].as_array().unwrap();
    assert_eq!(waiting[0]["event"], "go");
    assert!(waiting[1]["timer"].as_str().unwrap() > waiting[1]["since"].as_str().unwrap(), "{details}");
    assert_eq!(details["openTasks"], Value::Array(waiting.clone()));
}
