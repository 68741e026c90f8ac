//! What has ended goes when it is too old, or when there is too much of it; and its disk space comes back.

use std::time::Duration;

use serde_json::json;
use tests::{BASE, Host};

use super::Fresh;

/// Instances that have ended, with a megabyte each in their histories, and one that goes on.
fn fill(host: &Host, count: u32) {
    let start = |id: &str, input: &str| {
        assert_eq!(host.post(&format!("{BASE}/orchestrators/W/{id}"), input).status, 202);
    };
    start("goes-on", "1");
    let input = json!("x".repeat(1_000_000)).to_string();
    for number in 0..count {
        let id = format!("ended-{number:02}");
        start(&id, &input);
        host.raise(&id, "go", "1");
        host.output(&id);
    }
}

fn ids(host: &Host) -> Vec<String> {
    let listed = host.get(&format!("{BASE}/instances?showInput=false")).json();
    listed.as_array().unwrap().iter().map(|one| one["instanceId"].as_str().unwrap().to_owned()).collect()
}

/// Of the database; the log beside it grows to its own size and stays.
fn size(host: &Fresh) -> u64 {
    std::fs::metadata(host.data().join("fermata.db")).unwrap().len()
}

#[test]
fn what_has_ended_goes_by_age_and_by_count_and_gives_its_space_back() {
    let start = |arguments: &[&str]| {
        Fresh::with(|settings| arguments.iter().fold(settings, |settings, argument| settings.argument(argument)))
    };
    let mut by_count = start(&["--retain-count", "3"]);
    let by_age = start(&["--retain-age", "1h", "--skippable-clock"]);
    fill(&by_age, 80);
    by_age.skip(Duration::from_secs(1_800));
    let young = by_age.start("Echo", "1");
    by_age.output(&young);
    tests::until("the database grows", || (size(&by_age) > 25_000_000).then_some(()));
    by_age.skip(Duration::from_secs(2_700));
    fill(&by_count, 20);

    tests::until("three are left", || {
        (ids(&by_count) == ["goes-on", "ended-17", "ended-18", "ended-19"]).then_some(())
    });
    tests::until("what is young enough is left", || (ids(&by_age) == ["goes-on", &*young]).then_some(()));
    for host in [&by_count, &by_age] {
        tests::until("the space is given back", || (size(host) < 12_000_000).then_some(()));
    }
    assert_eq!(by_count.try_raise("ended-00", "go", "1").status, 404, "nothing is left of it");
    by_count.kill_and_restart();
    assert_eq!(ids(&by_count), ["goes-on", "ended-17", "ended-18", "ended-19"]);
    by_count.raise("goes-on", "go", "1");
    assert_eq!(by_count.output("goes-on"), 1);
}
