//! `kill -9` at any moment: nothing that was acknowledged is lost, nothing happens twice.

use serde_json::json;
use tests::torture::{End, repeat};

use super::Fresh;

#[test]
fn instances_that_wait_go_on_after_a_kill() {
    let mut host = Fresh::start();
    let approval = host.start("BudgetApproval", "");
    let permit = host.start("NewBuildingPermit", "\"APP-1\"");
    let early = host.start("Collect", "2");
    host.raise(&permit, "FireDeptApproval", "");
    host.raise(&early, "item", "1");
    host.kill_and_restart();
    host.raise(&approval, "Approval", "true");
    host.raise(&permit, "CityPlanningApproval", "");
    host.kill_and_restart();
    host.raise(&permit, "BuildingDeptApproval", "");
    host.raise(&early, "item", "2");
    assert_eq!(host.output(&approval), "approval granted");
    assert!(host.output(&permit).to_string().contains("APP-1"));
    assert_eq!(host.output(&early), json!([1, 2]));
}

/// 5,000 of them are `cargo xtask torture --kills 5000`.
#[test]
fn two_hundred_kills_under_load() {
    const KILLS: u32 = 200;
    let seed = tests::seed("two_hundred_kills_under_load");
    let again = format!("SEED={seed} cargo xtask test two_hundred_kills_under_load");
    println!("{}", repeat(End::Kill, KILLS, seed, again));
}
