//! What an instance that has ended must be like, by what the outside knows of it.

use fermata_replay::{Outcome, RuntimeStatus};
use serde_json::Value;

use super::account::{Account, Errand, How, Known};
use super::effects::Effects;
use super::group::Group;
use super::history::{History, numbers};

/// Checks an instance of `Errands`, and returns the numbers of the errands that it has done for certain.
pub fn errands(account: &Account, history: &History, effects: &Effects) -> Vec<u64> {
    let former = numbers(&history.input()["taken"]);
    let received = [former.clone(), history.received("errand")].concat();
    account.check_received(&received);
    match history.status {
        RuntimeStatus::Completed => {
            assert!(account.may_have_completed(), "it completed without all that it waits for: {account:#?}");
            account.check_complete(&received);
            let done = output(history);
            let all = [done.clone(), history.buffered("errand")].concat();
            assert_eq!(all, received, "what it did and what it left, and what came: {account:#?}");
            assert_eq!(done.len(), account.wanted, "{account:#?}");
            check_effects(account, &done, effects);
            done
        }
        RuntimeStatus::Terminated if account.terminated != Known::No => former,
        status => panic!("{status:?}, {:?}: {account:#?}", history.state.outcome()),
    }
}

fn check_effects(account: &Account, done: &[u64], effects: &Effects) {
    let is_remote = |errand: &&Errand| matches!(errand.how, How::Remote | How::Delegate);
    for errand in done.iter().filter_map(|number| account.errand(*number)).filter(is_remote) {
        assert!(effects.settle(errand.number), "{errand:?} has a result, and nobody did it: {account:#?}");
    }
}

/// Checks the mailbox of a group.
pub fn mailbox(group: &Group, history: &History) {
    assert_eq!(history.status, RuntimeStatus::Completed, "{:?}: {group:#?}", history.state.outcome());
    group.check_received(&output(history));
}

/// All letters that have reached a mailbox so far.
pub fn letters(history: &History) -> Vec<u64> {
    [numbers(&history.input()), history.received("letter")].concat()
}

fn output(history: &History) -> Vec<u64> {
    match history.state.outcome() {
        Some(Outcome::Succeeded(output)) => {
            let output: Value = serde_json::from_str(output.as_str()).expect("an output is JSON");
            numbers(&output)
        }
        outcome => panic!("no output: {outcome:?}"),
    }
}
