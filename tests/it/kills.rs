//! `kill -9` at any moment: nothing that was acknowledged is lost, nothing happens twice.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tests::{BASE, Host, Settings};

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

/// One instance as its client knows it.
#[derive(Debug)]
struct Account {
    id: String,
    /// The start was acknowledged.
    started: bool,
    /// Amounts in the order they were raised, and whether that was acknowledged.
    raised: Vec<(u64, bool)>,
}

/// Clients start instances and raise events, each with a number of its own, while the host is killed again and again. An event that was
/// acknowledged must be in its instance's ledger exactly once; one that was not may be there, once; all in the order they were
/// raised, each doubled by exactly one activity result.
#[test]
fn fifty_kills_under_load() {
    const KILLS: usize = 50;
    const CLIENTS: usize = 8;
    let seed = tests::seed("fifty_kills_under_load");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut fresh = Fresh::with(|settings| settings.residency(if random.bool() { "always" } else { "2" }));
    let mut host: Host = fresh.take();
    let accounts: Mutex<Vec<Account>> = Mutex::default();
    for kill in 0..KILLS {
        let over = AtomicBool::new(false);
        let settings: Settings = std::thread::scope(|scope| {
            for client in 0..CLIENTS {
                let (host, over, accounts) = (&host, &over, &accounts);
                let mut random = fastrand::Rng::with_seed(random.u64(..));
                scope.spawn(move || trade(host, &format!("{kill}-{client}"), &mut random, over, accounts));
            }
            std::thread::sleep(Duration::from_millis(random.u64(5..120)));
            over.store(true, Ordering::SeqCst);
            kill_now(&host)
        });
        drop(host);
        host = settings.start();
    }
    let accounts = accounts.into_inner().unwrap();
    let acknowledged: usize = accounts.iter().flat_map(|account| &account.raised).filter(|(_, ack)| *ack).count();
    println!("{} instances, {acknowledged} acknowledged events, {KILLS} kills", accounts.len());
    assert!(acknowledged > KILLS, "the load was too small to mean anything");
    accounts.iter().for_each(|account| check(&host, account));
}

/// Kills without taking the host from the clients that still talk to it.
fn kill_now(host: &Host) -> Settings {
    let killed = std::process::Command::new("kill").args(["-9", &host.pid().to_string()]).status().unwrap();
    assert!(killed.success());
    host.settings()
}

/// Starts an instance and raises events until the host is gone.
fn trade(host: &Host, id: &str, random: &mut fastrand::Rng, over: &AtomicBool, accounts: &Mutex<Vec<Account>>) {
    for number in 0.. {
        let id = format!("{id}-{number}");
        let started = host.try_post(&format!("{BASE}/orchestrators/Ledger/{id}"), "1000000");
        let mut account =
            Account { id, started: started.is_some_and(|answer| answer.status == 202), raised: Vec::new() };
        if account.started {
            for _ in 0..random.usize(1..6) {
                let amount = random.u64(1..1 << 40);
                let path = format!("{BASE}/instances/{}/raiseEvent/amount", account.id);
                let acknowledged = host.try_post(&path, &amount.to_string()).is_some_and(|answer| answer.status == 202);
                account.raised.push((amount, acknowledged));
                if !acknowledged {
                    break;
                }
            }
        }
        accounts.lock().unwrap().push(account);
        if over.load(Ordering::SeqCst) {
            return;
        }
    }
}

fn check(host: &Host, account: &Account) {
    let status = host.status(&account.id);
    if !account.started && status.status == 404 {
        return;
    }
    assert_eq!(status.status, 202, "an acknowledged start is there and runs: {account:?}, {status:?}");
    let raised = account.raised.iter();
    let acknowledged: Vec<u64> = raised.clone().filter(|(_, ack)| *ack).map(|(amount, _)| *amount).collect();
    let all: Vec<u64> = raised.map(|(amount, _)| *amount).collect();
    let (events, results) = tests::until("every event went through its activity", || {
        let details = host.details(&account.id);
        let history = details["historyEvents"].as_array()?.clone();
        let of = |kind: &str, field: &str| -> Vec<u64> {
            let events = history.iter().filter(|event| event["EventType"] == kind);
            events.map(|event| event[field].as_u64().unwrap_or_else(|| panic!("{field} in {event}"))).collect()
        };
        let (events, results) = (of("EventRaised", "Input"), of("TaskCompleted", "Result"));
        (events.len() == results.len()).then_some((events, results))
    });
    // The last one is the only one that may have been left unacknowledged.
    assert!(events == acknowledged || events == all, "{account:?}: the history has {events:?}");
    let doubled: Vec<u64> = events.iter().map(|amount| amount * 2).collect();
    assert_eq!(results, doubled, "{account:?}: each result was applied once, in order");
}
