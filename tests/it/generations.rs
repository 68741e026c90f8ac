//! continue-as-new.

use serde_json::json;

use super::{Fresh, RESIDENCIES};

#[test]
fn each_generation_is_an_execution_of_its_own_with_a_fresh_history() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("CountDown", "300");
        let last = host.output(&id);
        let details = host.details(&id);
        assert_eq!(details["generation"], 300);
        assert_eq!(details["executionId"], last);
        assert_eq!(details["historyEvents"].as_array().unwrap().len(), 2, "only the last generation's: {details}");
        assert_eq!(details["input"], 0);
    }
}

#[test]
fn events_are_carried_over_in_order() {
    for residency in RESIDENCIES {
        for orchestrator in ["OneEach", "OneEachAmongOthers"] {
            let host = Fresh::with(|settings| settings.residency(residency));
            let id = host.start(orchestrator, r#"{"wanted":30,"taken":[]}"#);
            (0..30).for_each(|number| host.raise(&id, "item", &number.to_string()));
            assert_eq!(host.output(&id), json!((0..30).collect::<Vec<_>>()), "{orchestrator}, {residency}");
            assert_eq!(host.details(&id)["bufferedEvents"], json!([]));
        }
        let host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("OneEach", r#"{"wanted":2,"taken":[]}"#);
        host.raise(&id, "item", "1");
        tests::until("the custom status outlives its generation", || {
            let status = host.status(&id).json();
            (status["customStatus"] == 1 && status["generation"] == 1).then_some(())
        });
    }
}

#[test]
fn kills_lose_no_event_between_two_generations() {
    let mut host = Fresh::start();
    let ids: Vec<String> = (0..4).map(|_| host.start("OneEachAmongOthers", r#"{"wanted":60,"taken":[]}"#)).collect();
    for number in 0..60 {
        ids.iter().for_each(|id| host.raise(id, "item", &number.to_string()));
        if number % 10 == 5 {
            host.kill_and_restart();
        }
    }
    for id in ids {
        assert_eq!(host.output(&id), json!((0..60).collect::<Vec<_>>()));
    }
}

#[test]
fn the_next_generation_takes_the_newest_module() {
    let host = Fresh::start();
    let id = host.start("OneEach", r#"{"wanted":2,"taken":[]}"#);
    let module = host.details(&id)["module"].clone();
    host.raise(&id, "item", "1");
    host.raise(&id, "item", "2");
    host.output(&id);
    assert_eq!(host.details(&id)["module"], module, "there is no newer one");
}
