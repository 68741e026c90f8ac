//! continue-as-new.

use serde_json::json;
use tests::{Host, guest_bytes};

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
fn the_next_generation_takes_the_newest_module_or_the_same_where_it_says_so() {
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency).modules(&["test-guest-a"]));
        let deploy = |host: &Host, guest: &str| {
            host.put("/modules", &guest_bytes(guest)).json()["digest"].as_str().unwrap().to_owned()
        };
        let start = |host: &Host, next: &str| host.start("Successor", &json!(next).to_string());
        let a = host.get("/modules").json()[0]["digest"].as_str().unwrap().to_owned();
        let of_a = ["newest", "same"].map(|next| start(&host, next));
        of_a.iter().for_each(|id| host.waits_for(id, &["go"]));
        let b = deploy(&host, "test-guest-b");
        go_on_to(&host, &of_a, [&b, &a]);

        // And back, to what was deployed before and is the newest again.
        let of_b = ["newest", "same"].map(|next| start(&host, next));
        of_b.iter().for_each(|id| host.waits_for(id, &["go"]));
        assert_eq!(deploy(&host, "test-guest-a"), a);
        go_on_to(&host, &of_b, [&a, &b]);

        host.kill_and_restart();
        for (id, expected) in of_a.iter().chain(&of_b).zip(["B", "A", "A", "B"]) {
            host.raise(id, "go", "null");
            assert_eq!(host.output(id), expected, "{residency}");
        }
    }
}

/// Lets instances begin their second generation, each of which is to run one of these modules.
fn go_on_to(host: &Host, ids: &[String; 2], modules: [&String; 2]) {
    for (id, module) in ids.iter().zip(modules) {
        host.raise(id, "go", "null");
        tests::until("the second generation waits", || {
            let details = host.details(id);
            (details["generation"] == 1 && details["waitingFor"][0]["event"] == "go").then_some(())
        });
        assert_eq!(host.details(id)["module"], **module);
    }
}
