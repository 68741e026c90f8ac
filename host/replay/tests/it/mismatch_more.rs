//! The same for timers, timeouts, retries, children, other instances and generations.

use fermata_replay::{Mismatch, RetryPolicy, Span, Step, Stop};

use crate::guest::load;
use crate::history::{started, succeeded};
use crate::play::{Pace, play, replay};
use crate::program::Stmt::{self, *};

fn policy(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        first_interval: Span::from_millis(1_000),
        backoff_coefficient: 2.0,
        max_interval: None,
        timeout: None,
        attempt_timeout: None,
        non_retryable: Vec::new(),
    }
}

/// ```text
/// message 1, the start    0 child #0 kid      1 its policy        2 timer #1   3 wait #2 A   4 its timeout
///                         5 start own         6 raise A for other 7 block on #0
/// message 2, #0 ended     0 continue as new
/// ```
fn orchestrator() -> Vec<Stmt> {
    vec![
        Child("c", Some("kid"), Some(policy(3))),
        Timer(50_000),
        Wait("A"),
        Timeout { task: 2, due: 60_000, default: Some("[1,2]") },
        Start("d", Some("own")),
        Raise("other", "A"),
        Await(0),
        Continue,
    ]
}

fn history() -> Vec<Step> {
    let messages = started().child(0, 1, succeeded("1")).messages;
    let played = play(&load(&orchestrator()).0, &messages, &[Pace { batch: 1, evict: false, tick: false }], None);
    played.past[0].0.clone()
}

fn edited(edit: impl FnOnce(&mut Vec<Stmt>)) -> Result<(), Stop> {
    let mut program = orchestrator();
    edit(&mut program);
    replay(&load(&program).0, &history())
}

fn mismatch(edit: Edit) -> Mismatch {
    match edited(edit) {
        Err(Stop::Mismatch(mismatch)) => *mismatch,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

type Edit = fn(&mut Vec<Stmt>);

const EDITS: &[(&str, Edit, (u64, usize))] = &[
    ("the child renamed", |p| p[0] = Child("e", Some("kid"), Some(policy(3))), (1, 0)),
    ("its id changed", |p| p[0] = Child("c", Some("Kid"), Some(policy(3))), (1, 0)),
    ("its id gone", |p| p[0] = Child("c", None, Some(policy(3))), (1, 0)),
    ("an activity instead", |p| p[0] = Retried("c", policy(3)), (1, 0)),
    ("a start that nobody waits for instead", |p| p[0] = Start("c", Some("kid")), (1, 0)),
    ("its policy gone", |p| p[0] = Child("c", Some("kid"), None), (1, 1)),
    ("the timer due later", |p| p[1] = Timer(50_001), (1, 2)),
    ("a wait instead of the timer", |p| p[1] = Wait("A"), (1, 2)),
    ("the timer gone", |p| drop(p.remove(1)), (1, 2)),
    ("a timer instead of the wait", |p| p[2] = Timer(50_000), (1, 3)),
    ("the timeout later", |p| p[3] = Timeout { task: 2, due: 60_001, default: Some("[1,2]") }, (1, 4)),
    ("another default", |p| p[3] = Timeout { task: 2, due: 60_000, default: Some("[2,1]") }, (1, 4)),
    ("no default", |p| p[3] = Timeout { task: 2, due: 60_000, default: None }, (1, 4)),
    ("the timeout of the timer", |p| p[3] = Timeout { task: 1, due: 60_000, default: Some("[1,2]") }, (1, 4)),
    ("no timeout", |p| drop(p.remove(3)), (1, 4)),
    ("a second timeout", |p| p.insert(4, p[3].clone()), (1, 5)),
    ("another orchestrator started", |p| p[4] = Start("D", Some("own")), (1, 5)),
    ("another id", |p| p[4] = Start("d", Some("mine")), (1, 5)),
    ("no id", |p| p[4] = Start("d", None), (1, 5)),
    ("nothing started", |p| drop(p.remove(4)), (1, 5)),
    ("an event for another instance", |p| p[5] = Raise("own", "A"), (1, 6)),
    ("another event", |p| p[5] = Raise("other", "a"), (1, 6)),
    ("the event before the start", |p| p.swap(4, 5), (1, 5)),
    ("no event", |p| drop(p.remove(5)), (1, 6)),
    ("two events", |p| p.insert(5, Raise("other", "A")), (1, 7)),
    ("a wait for the timer", |p| p[6] = Await(1), (1, 7)),
    ("a new generation at once", |p| drop(p.remove(6)), (1, 7)),
    ("the end instead of a new generation", |p| p[7] = Return("null"), (2, 0)),
    ("a failure instead of a new generation", |p| p[7] = Fail("no"), (2, 0)),
    ("one more timer", |p| p.insert(7, Timer(0)), (2, 0)),
];

#[test]
fn an_edit_of_what_was_decided_is_found_out() {
    for (name, edit, (seq, position)) in EDITS {
        let mismatch = mismatch(*edit);
        assert_eq!((mismatch.seq, mismatch.step, mismatch.position), (*seq, *seq, *position), "{name}: {mismatch}");
        assert!(mismatch.history.is_some() && mismatch.guest.is_some(), "{name}: {mismatch}");
        assert_ne!(mismatch.history, mismatch.guest, "{name}: the text must tell them apart");
    }
}

#[test]
fn a_default_compares_by_what_it_means_and_the_recorded_policy_holds() {
    let allowed: &[Edit] = &[
        |p| p[0] = Child("c", Some("kid"), Some(policy(9))),
        |p| p[3] = Timeout { task: 2, due: 60_000, default: Some("[ 1, 2 ]") },
    ];
    for edit in allowed {
        assert_eq!(edited(edit), Ok(()));
    }
}

#[test]
fn the_text_says_what_history_has_and_what_the_guest_did() {
    let named =
        ["its id changed", "its policy gone", "the timer due later", "another default", "no default", "another id"];
    let more = ["nothing started", "no event", "the end instead of a new generation", "a new generation at once"];
    let edit = |name: &&str| EDITS.iter().find(|(edit, ..)| edit == name).expect("an edit of the table").1;
    let texts: Vec<String> = named.iter().chain(&more).map(|name| mismatch(edit(name)).to_string()).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    the module does not fit the history: at decision 0 of step 1 (message 1), both call sub-orchestrator, but instance: history says kid, the guest Kid
    the module does not fit the history: at decision 1 of step 1 (message 1), history says: set retry policy, task 0; the guest did: create timer, task 1, due 50000000 µs
    the module does not fit the history: at decision 2 of step 1 (message 1), both create timer, but due: history says 50000000 µs, the guest 50001000 µs
    the module does not fit the history: at decision 4 of step 1 (message 1), both set timeout, but default: history says [1,2], the guest [2,1]
    the module does not fit the history: at decision 4 of step 1 (message 1), both set timeout, but default: history says [1,2], the guest nothing
    the module does not fit the history: at decision 5 of step 1 (message 1), both start orchestrator, but instance: history says own, the guest mine
    the module does not fit the history: at decision 5 of step 1 (message 1), history says: start orchestrator, name d, instance own, input 0; the guest did: raise event, instance other, name A, input 0
    the module does not fit the history: at decision 6 of step 1 (message 1), history says: raise event, instance other, name A, input 0; the guest did: block, on task 0
    the module does not fit the history: at decision 0 of step 2 (message 2), history says: continue as new, input null; the guest did: complete, output null
    the module does not fit the history: at decision 7 of step 1 (message 1), history says: block, on task 0; the guest did: continue as new, input null
    "#);
}

/// What a rewind undid is not counted among the steps.
#[test]
fn a_step_after_a_rewind_is_counted_among_those_that_count() {
    let rewound = started()
        .call("p", "1")
        .block(0)
        .failure(0, "no")
        .failed(crate::history::application("no"))
        .rewound(1)
        .attempt(0, 2, succeeded("2"))
        .completed("2");
    let program = load(&[Call("p", "1"), Get(0), Return("3")]).0;
    let Err(Stop::Mismatch(mismatch)) = replay(&program, &rewound.steps) else { panic!("it returns something else") };
    assert_eq!((mismatch.step, mismatch.seq, mismatch.position), (3, 4, 0));
}
