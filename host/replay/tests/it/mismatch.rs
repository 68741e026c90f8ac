//! A guest that does not fit its history is found out, at the very decision where it departs.

use fermata_replay::{Mismatch, Step, Stop};

use crate::guest::{guest, load};
use crate::history::{application, started};
use crate::play::{Pace, check, play, replay};
use crate::program::Stmt::{self, *};

/// ```text
/// message 1, the start    0 call #0 charge    1 block on #0
/// message 2, #0 ended     0 wait #1 Approval  1 wait #2 Deadline  2 block on any of 1, 2
/// message 3, Approval     0 cancel #2         1 call #3 ship      2 block on #3
/// message 4, #3 ended     0 complete
/// ```
fn orchestrator() -> Vec<Stmt> {
    vec![
        Call("charge", r#"{"amount":1,"currency":"EUR"}"#),
        Await(0),
        Wait("Approval"),
        Wait("Deadline"),
        Any(vec![1, 2]),
        Await(1),
        Cancel(2),
        Status(r#""approved""#),
        Call("ship", "[1]"),
        Await(3),
        Return(r#""shipped""#),
    ]
}

fn history_of(program: &[Stmt]) -> Vec<Step> {
    let messages = started().result(0, "true").event("Approval", "true").result(3, "true").messages;
    play(&load(program).0, &messages, &[Pace { batch: 1, evict: false, tick: false }], None).history
}

/// Replays what the orchestrator did, with an edited one.
fn edited(edit: impl FnOnce(&mut Vec<Stmt>)) -> Result<(), Stop> {
    let history = history_of(&orchestrator());
    let mut program = orchestrator();
    edit(&mut program);
    replay(&load(&program).0, &history)
}

fn mismatch(replayed: Result<(), Stop>) -> Mismatch {
    match replayed {
        Err(Stop::Mismatch(mismatch)) => *mismatch,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

type Edit = fn(&mut Vec<Stmt>);

const EDITS: &[(&str, Edit, (u64, usize))] = &[
    ("the activity renamed", |p| p[0] = Call("refund", r#"{"amount":1,"currency":"EUR"}"#), (1, 0)),
    ("its name in another case", |p| p[0] = Call("Charge", r#"{"amount":1,"currency":"EUR"}"#), (1, 0)),
    ("its input changed", |p| p[0] = Call("charge", r#"{"amount":2,"currency":"EUR"}"#), (1, 0)),
    ("a key of its input gone", |p| p[0] = Call("charge", r#"{"amount":1}"#), (1, 0)),
    ("a wait instead of the activity", |p| p[0] = Wait("charge"), (1, 0)),
    ("the activity gone", |p| drop(p.remove(0)), (1, 0)),
    ("an activity before it", |p| p.insert(0, Call("check", "0")), (1, 0)),
    ("the end before it", |p| p.insert(0, Return("0")), (1, 0)),
    ("a failure before it", |p| p.insert(0, Fail("0")), (1, 0)),
    ("the same activity twice", |p| p.insert(1, p[0].clone()), (1, 1)),
    ("a wait after it", |p| p.insert(1, Wait("Approval")), (1, 1)),
    ("a cancel after it", |p| p.insert(1, Cancel(0)), (1, 1)),
    ("no await", |p| drop(p.remove(1)), (1, 1)),
    ("a look instead of an await", |p| p[1] = Peek(0), (1, 1)),
    ("all instead of an await", |p| p[1] = All(vec![0]), (1, 1)),
    ("next instead of an await", |p| p[1] = Next(1), (1, 1)),
    ("the end instead of an await", |p| p[1] = Return("0"), (1, 1)),
    ("the waits swapped", |p| p.swap(2, 3), (2, 0)),
    ("a wait renamed", |p| p[2] = Wait("Consent"), (2, 0)),
    ("a wait's name in another case", |p| p[2] = Wait("approval"), (2, 0)),
    ("an activity instead of a wait", |p| p[3] = Call("Deadline", "null"), (2, 1)),
    ("a wait gone", |p| drop(p.remove(3)), (2, 1)),
    ("a third wait", |p| p.insert(4, Wait("Refusal")), (2, 2)),
    ("all instead of any", |p| p[4] = All(vec![1, 2]), (2, 2)),
    ("any of fewer", |p| p[4] = Any(vec![1]), (2, 2)),
    ("any of more, one complete", |p| p[4] = Any(vec![0, 1, 2]), (2, 2)),
    ("an await instead of any", |p| p[4] = Await(1), (2, 2)),
    ("an await of the other", |p| p[4] = Await(2), (2, 2)),
    ("no cancel", |p| drop(p.remove(6)), (3, 0)),
    ("a cancel of what was taken", |p| p[6] = Cancel(1), (3, 0)),
    ("the activity before the cancel", |p| p.swap(6, 8), (3, 0)),
    ("a wait after the cancel", |p| p.insert(7, Wait("Deadline")), (3, 1)),
    ("the second input changed", |p| p[8] = Call("ship", "[1,1]"), (3, 1)),
    ("the second input of another type", |p| p[8] = Call("ship", "1"), (3, 1)),
    ("no second await", |p| drop(p.remove(9)), (3, 2)),
    ("another activity", |p| p.insert(10, Call("thank", "0")), (4, 0)),
    ("a wait more", |p| p.insert(10, Wait("Thanks")), (4, 0)),
    ("a failure at the end", |p| p[10] = Fail("shipped"), (4, 0)),
    ("another output", |p| p[10] = Return("null"), (4, 0)),
];

#[test]
fn an_edit_of_what_was_decided_is_found_out() {
    for (name, edit, (seq, position)) in EDITS {
        let mismatch = mismatch(edited(edit));
        assert_eq!((mismatch.seq, mismatch.position), (*seq, *position), "{name}: {mismatch}");
        assert!(mismatch.history.is_some() && mismatch.guest.is_some(), "{name}: {mismatch}");
        assert_ne!(mismatch.history, mismatch.guest, "{name}: the text must tell them apart");
    }
}

/// Also where the history ends before the guest is resumed there: it would wait for one thing, and be woken for another.
#[test]
fn an_edit_of_the_last_block_is_found_out() {
    let history = &history_of(&orchestrator())[..2];
    let mut program = orchestrator();
    program[4] = Await(2);
    let mismatch = mismatch(replay(&load(&program).0, history));
    insta::assert_snapshot!(mismatch, @"the module does not fit the history: at decision 2 of step 2 (message 2), both block, but on: history says any of [1, 2], the guest task 2");
}

#[test]
fn edits_that_decide_nothing_are_allowed() {
    let allowed: &[Edit] = &[
        |_| (),
        |p| p[0] = Call("charge", "{ \"currency\" : \"\\u0045UR\",\n\"amount\" : 1 }"),
        |p| p[7] = Status("7"),
        |p| drop(p.remove(7)),
        |p| p.insert(0, Status("0")),
        |p| p.insert(1, Peek(0)),
        |p| p.insert(2, Await(0)),
        |p| p.insert(5, Any(vec![2, 1, 0])),
        |p| p.insert(2, All(vec![0])),
        |p| p.insert(7, Cancel(1)),
    ];
    for edit in allowed {
        assert_eq!(edited(edit), Ok(()));
    }
}

#[test]
fn the_text_says_what_history_has_and_what_the_guest_did() {
    let edits: &[Edit] = &[
        |p| p[0] = Call("refund", "1"),
        |p| p[0] = Wait("charge"),
        |p| p.swap(2, 3),
        |p| p[1] = Return("0"),
        |p| p[10] = Fail("out of stock"),
        |p| p.insert(10, Wait("Thanks")),
    ];
    let texts: Vec<String> = edits.iter().map(|edit| mismatch(edited(edit)).to_string()).collect();
    insta::assert_snapshot!(texts.join("\n"), @r#"
    the module does not fit the history: at decision 0 of step 1 (message 1), both call activity, but name: history says charge, the guest refund; input: history says {"amount":1,"currency":"EUR"}, the guest 1
    the module does not fit the history: at decision 0 of step 1 (message 1), history says: call activity, task 0, name charge, input {"amount":1,"currency":"EUR"}; the guest did: wait for external event, task 0, name charge
    the module does not fit the history: at decision 0 of step 2 (message 2), both wait for external event, but name: history says Approval, the guest Deadline
    the module does not fit the history: at decision 1 of step 1 (message 1), history says: block, on task 0; the guest did: complete, output 0
    the module does not fit the history: at decision 0 of step 4 (message 4), history says: complete, output "shipped"; the guest did: fail, kind application, message out of stock, non-retryable false
    the module does not fit the history: at decision 0 of step 4 (message 4), history says: complete, output "shipped"; the guest did: wait for external event, task 4, name Thanks
    "#);
}

/// Of long values it shows the part where they differ.
#[test]
fn the_text_of_long_values_shows_the_difference() {
    let input = |last: u32| format!("[{}{last}]", "1234567890,".repeat(1_000));
    let expected = started().call("p", &input(1)).block(0);
    let call = |last: u32| async move |ctx: crate::guest::Ctx| ctx.get(ctx.call("p", &input(last))?).await;
    check(&expected, call(1));
    let mismatch = mismatch(replay(&guest(call(2)), &expected.steps));
    insta::assert_snapshot!(mismatch, @"the module does not fit the history: at decision 0 of step 1 (message 1), both call activity, but input: history says …34567890,1234567890,1] (11003 bytes), the guest …34567890,1234567890,2] (11003 bytes)");
}

/// Two failures with the same message differ elsewhere.
#[test]
fn the_text_of_failures_shows_the_difference() {
    let expected = started().failed(fermata_replay::Failure { non_retryable: true, ..application("no") });
    let other = guest(async |_| Err(crate::guest::Halt::Failed(application("no"))));
    let mismatch = mismatch(replay(&other, &expected.steps));
    insta::assert_snapshot!(mismatch, @"the module does not fit the history: at decision 0 of step 1 (message 1), both fail, but non-retryable: history says true, the guest false");
}
