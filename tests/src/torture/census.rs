//! Whether the lists of a host show what its ledger knows.

use std::collections::BTreeMap;

use fermata_replay::RuntimeStatus;
use serde_json::Value;

use super::ledger::Ledger;
use crate::{BASE, Host};

/// For a host whose instances have all ended, and stay: each is listed as it ended, besides children, and the list of each status is the
/// part of the whole with that status.
pub fn take(host: &Host, ledger: &Ledger) {
    let all = crate::until("what nobody waits for has ended, too", || {
        let all = list(host, "");
        all.values().all(|status| status.is_final()).then_some(all)
    });
    let (children, listed): (BTreeMap<_, _>, BTreeMap<_, _>) = all.iter().partition(|(id, _)| id.contains(':'));
    let ended = ledger.ended();
    let known: BTreeMap<_, _> = ended.iter().collect();
    for (id, status) in &known {
        assert_eq!(listed.get(id), Some(status), "{id}, which had ended {status:?}");
    }
    assert_eq!(listed.len(), known.len(), "there are instances that nobody started: {listed:?}");
    let odd = children.iter().find(|(_, status)| **status != &RuntimeStatus::Completed);
    assert_eq!(odd, None, "a child with nothing to fail");
    for status in [RuntimeStatus::Completed, RuntimeStatus::Terminated, RuntimeStatus::Failed, RuntimeStatus::Running] {
        let part = list(host, &format!("&runtimeStatus={status:?}"));
        let expected: BTreeMap<_, _> = all.iter().filter(|(_, other)| **other == status).collect();
        assert!(part.iter().eq(expected), "the list of those that are {status:?} is another: {part:?}");
    }
}

/// All pages of a list.
fn list(host: &Host, filter: &str) -> BTreeMap<String, RuntimeStatus> {
    let path = format!("{BASE}/instances?showInput=false&top=1000{filter}");
    let (mut all, mut token) = (BTreeMap::new(), String::new());
    loop {
        let page = host.get_with(&path, "x-ms-continuation-token", &token);
        assert_eq!(page.status, 200, "{page:?}");
        for instance in page.json().as_array().expect("a page is a list") {
            let id = instance["instanceId"].as_str().expect("an instance has an id").to_owned();
            assert_eq!(instance["parked"], Value::Null, "{instance}");
            let status = serde_json::from_value(instance["runtimeStatus"].clone()).expect("an instance has a status");
            let before = all.insert(id, status);
            assert_eq!(before, None, "it is listed twice: {instance}");
        }
        match page.header("x-ms-continuation-token") {
            Some(next) => token = next.to_owned(),
            None => return all,
        }
    }
}
