//! Events meet waits: early, late, twice, under other names.

use serde_json::json;

use super::{Fresh, RESIDENCIES};

#[test]
fn an_event_before_its_wait_is_kept_and_one_of_another_name_changes_nothing() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("TwoNames", "");
        host.waits_for(&id, &["first"]);
        host.raise(&id, "second", "2");
        host.raise(&id, "other", "3");
        let buffered = tests::until("both events are buffered", || {
            let details = host.details(&id);
            (details["bufferedEvents"].as_array()?.len() == 2).then_some(details)
        });
        assert_eq!(buffered["waitingFor"][0]["event"], "first", "{residency}");
        assert!(buffered["bufferedEvents"][0]["seq"].as_u64() < buffered["bufferedEvents"][1]["seq"].as_u64());
        host.raise(&id, "FIRST", "1");
        assert_eq!(host.output(&id), json!([1, 2]), "{residency}");
        let left = host.details(&id)["bufferedEvents"].clone();
        assert_eq!(left.as_array().unwrap().len(), 1, "what nobody took stays visible: {left}");
    }
}

#[test]
fn early_events_of_one_name_arrive_in_order() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("Collect", "5");
        for number in 0..5 {
            host.raise(&id, "item", &number.to_string());
        }
        assert_eq!(host.output(&id), json!([0, 1, 2, 3, 4]), "{residency}");
    }
}

/// As .NET, JavaScript and Python do.
#[test]
fn of_two_open_waits_on_one_name_the_newest_gets_the_event() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("TwoWaits", "");
        host.waits_for(&id, &["number", "number"]);
        host.raise(&id, "number", "1");
        host.raise(&id, "number", "2");
        assert_eq!(host.output(&id), json!([2, 1]), "{residency}");
    }
}
