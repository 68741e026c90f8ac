//! The three orchestrators of the Durable Functions page, with its own requests.

use serde_json::json;
use tests::{BASE, Host};

use super::{Fresh, RESIDENCIES};

/// The languages of the samples, and what they add to the name of a module.
const LANGUAGES: [(&str, &str); 3] = [("Rust", ""), ("JavaScript", "-javascript"), ("Python", "-python")];

/// Runs a scenario with the sample of this name in every language, in both extremes of residency.
fn in_every_language(sample: &str, scenario: impl Fn(&Host, &str)) {
    for (language, suffix) in LANGUAGES {
        for residency in RESIDENCIES {
            let module = format!("{sample}{suffix}");
            let host = Fresh::with(|settings| settings.residency(residency).modules(&[&module]));
            scenario(&host, &format!("{language}, residency {residency}"));
        }
    }
}

#[test]
fn budget_approval_granted_denied_and_with_the_body_of_the_page() {
    in_every_language("budget-approval", |host, which| {
        for (body, output) in
            [("true", "approval granted"), ("false", "approval denied"), ("\"true\"", "approval granted")]
        {
            let id = host.start("BudgetApproval", "");
            host.waits_for(&id, &["Approval"]);
            host.raise(&id, "Approval", body);
            assert_eq!(host.output(&id), output, "{body}, {which}");
        }
    });
}

/// Where the orchestrator says that it waits for a `bool`, the word in quotes is one as well.
#[test]
fn budget_approval_denied_in_quotes() {
    let host = Fresh::start();
    let id = host.start("BudgetApproval", "");
    host.raise(&id, "Approval", "\"false\"");
    assert_eq!(host.output(&id), "approval denied");
}

#[test]
fn an_event_before_the_wait_is_kept_for_it() {
    in_every_language("budget-approval", |host, which| {
        let id = host.start("BudgetApproval", "");
        host.raise(&id, "approval", "true");
        assert_eq!(host.output(&id), "approval granted", "{which}");
    });
}

#[test]
fn a_sample_goes_on_after_the_host_was_killed() {
    for (language, suffix) in LANGUAGES {
        let module = format!("budget-approval{suffix}");
        let mut host = Fresh::with(|settings| settings.modules(&[&module]));
        let id = host.start("BudgetApproval", "");
        host.waits_for(&id, &["Approval"]);
        host.kill_and_restart();
        host.raise(&id, "Approval", "true");
        assert_eq!(host.output(&id), "approval granted", "{language}");
    }
}

#[test]
fn the_request_of_the_page_letter_for_letter() {
    let host = Fresh::start();
    let started = host.post(&format!("{BASE}/orchestrators/BudgetApproval/MyInstanceId"), "");
    assert_eq!(started.status, 202, "{started:?}");
    let raised = host.post(&format!("{BASE}/instances/MyInstanceId/raiseEvent/Approval&code=XXX"), "\"true\"");
    assert_eq!((raised.status, raised.body.as_str()), (202, ""), "{raised:?}");
    assert_eq!(host.output("MyInstanceId"), "approval granted");
}

#[test]
fn select_takes_whichever_event_comes_first() {
    in_every_language("select", |host, which| {
        for (event, payload) in [("Event1", "1.5"), ("Event2", "true"), ("Event3", "7")] {
            let id = host.start("Select", "");
            host.waits_for(&id, &["Event1", "Event2", "Event3"]);
            host.raise(&id, event, payload);
            // Python spells it True.
            assert_eq!(
                host.output(&id).to_string().to_lowercase(),
                format!("\"{event} won with {payload}\"").to_lowercase(),
                "{which}"
            );
        }
    });
}

#[test]
fn a_building_permit_takes_three_approvals_in_any_order() {
    const GATES: [&str; 3] = ["CityPlanningApproval", "FireDeptApproval", "BuildingDeptApproval"];
    in_every_language("new-building-permit", |host, which| {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let id = host.start("NewBuildingPermit", "\"APP-42\"");
            for gate in order {
                host.raise(&id, GATES[gate], "");
            }
            let permit = host.output(&id);
            assert_eq!(permit["applicationId"], "APP-42", "{permit}, order {order:?}, {which}");
            assert!(permit["number"].as_str().unwrap().starts_with("BP-"), "{permit}, order {order:?}, {which}");
        }
    });
}

#[test]
fn no_permit_without_an_application() {
    in_every_language("new-building-permit", |host, which| {
        let id = host.start("NewBuildingPermit", "\"\"");
        for gate in ["CityPlanningApproval", "FireDeptApproval", "BuildingDeptApproval"] {
            host.raise(&id, gate, "");
        }
        let ended = host.ended(&id);
        assert_eq!(ended["runtimeStatus"], "Failed", "{ended}, {which}");
        assert_eq!(ended["failure"]["errorType"], "NoApplication", "{ended}, {which}");
        assert!(ended["output"].as_str().unwrap().contains("needs the id of an application"), "{ended}, {which}");
    });
}

#[test]
fn what_a_start_and_a_status_answer() {
    let host = Fresh::start();
    let started = host.post(&format!("{BASE}/orchestrators/BudgetApproval/budget-1"), "{\"amount\": 100}");
    let payload = started.json();
    assert_eq!(payload["id"], "budget-1");
    let status_uri = host.url(&format!("{BASE}/instances/budget-1"));
    assert!(payload["statusQueryGetUri"].as_str().unwrap().starts_with(&status_uri), "{payload}");
    assert_eq!(started.location.as_deref(), payload["statusQueryGetUri"].as_str());
    assert_eq!(started.retry_after.as_deref(), Some("10"));
    assert!(payload["sendEventPostUri"].as_str().unwrap().contains("/raiseEvent/{eventName}"), "{payload}");
    for key in ["terminatePostUri", "suspendPostUri", "resumePostUri", "purgeHistoryDeleteUri", "restartPostUri"] {
        assert!(payload[key].is_string(), "{key} in {payload}");
    }

    host.waits_for("budget-1", &["Approval"]);
    let waiting = host.status("budget-1");
    assert_eq!(waiting.status, 202);
    assert_eq!(waiting.retry_after.as_deref(), Some("5"));
    let status = waiting.json();
    assert_eq!(status["name"], "BudgetApproval");
    assert_eq!(status["instanceId"], "budget-1");
    assert_eq!(status["runtimeStatus"], "Running");
    assert_eq!(status["input"], json!({"amount": 100}));
    assert_eq!(status["output"], json!(null));
    assert_eq!(status["customStatus"], json!(null));
    for key in ["createdTime", "lastUpdatedTime"] {
        let time = status[key].as_str().unwrap();
        assert!(time.len() == 20 && time.ends_with('Z'), "{key} has second precision: {time}");
    }

    host.raise("budget-1", "Approval", "true");
    host.ended("budget-1");
    let ended = host.status("budget-1");
    assert_eq!(ended.status, 200);
    assert_eq!(ended.json()["output"], "approval granted");
    let without_input = host.get(&format!("{BASE}/instances/budget-1?showInput=false")).json();
    assert_eq!(without_input["input"], json!(null));
    let history = host.details("budget-1")["historyEvents"].to_string();
    for part in ["ExecutionStarted", "EventRaised", "ExecutionCompleted", "Approval"] {
        assert!(history.contains(part), "{part} in {history}");
    }
}
