//! A history that somebody else has kept is folded only where it can be one. That each real one can is checked with every history that is
//! played: see [`play`](crate::play).

use fermata_replay::{BlockedOn, Control, Deadline, Decision, Execution, MessageBody, RetryPolicy, Span, State, Step};

use crate::history::{History, application, ended, failed, started, succeeded};

/// Which step is refused, and for words like these.
fn refused(history: History, step: usize, why: &str) {
    let bad = State::checked(&history.steps).expect_err(why);
    assert_eq!(bad.step, step, "{bad}");
    assert!(bad.why.contains(why), "{bad}");
    assert_eq!(Execution::without_guest(&history.steps).map(|_| ()), Err(bad));
}

/// The last step decides this, too.
fn decides(mut history: History, decision: Decision) -> History {
    history.steps.last_mut().expect("it has started").decisions.push(decision);
    history
}

fn fired(task: u32, deadline: Deadline) -> MessageBody {
    MessageBody::TimerFired { task, deadline }
}

#[test]
fn it_begins_with_its_start_and_has_no_other() {
    let mut headless = started().event("A", "1");
    headless.steps.remove(0);
    refused(headless, 1, "the first one is the start");
    let again = started().steps[0].message.clone();
    refused(started().wait("A").block(0).step(again), 2, "changes nothing");
    assert!(State::checked(&[]).is_ok());
}

#[test]
fn tasks_are_numbered_one_after_the_other() {
    let wait = |task| Decision::WaitStarted { task, name: "A".into() };
    refused(decides(started().wait("A"), wait(0)), 1, "does not fit the 1 tasks");
    refused(decides(started().wait("A"), wait(2)), 1, "does not fit the 1 tasks");
    let timer = Decision::TimerCreated { task: u32::MAX, due: Default::default() };
    refused(decides(started(), timer), 1, "does not fit the 0 tasks");
}

#[test]
fn decisions_are_about_tasks_that_are_there() {
    refused(started().wait("A").block(1), 1, "Blocked");
    refused(started().wait("A").block_all(&[0, 7]), 1, "Blocked");
    refused(started().wait("A").block_any(&[u32::MAX]), 1, "Blocked");
    refused(started().wait("A").cancel(1), 1, "TaskCancelled");
    refused(started().wait("A").cancel(0).cancel(0), 1, "TaskCancelled");
    refused(started().wait("A").timeout(1, 5.0, None), 1, "TimeoutSet");
    refused(started().wait("A").cancel(0).timeout(0, 5.0, None), 1, "TimeoutSet");
    refused(started().wait("A").retry(0, &twice()), 1, "RetrySet");
    refused(started().retry(0, &twice()), 1, "RetrySet");
}

fn twice() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 2,
        first_interval: Span::from_millis(1_000),
        backoff_coefficient: 1.0,
        max_interval: None,
        timeout: None,
        attempt_timeout: None,
        non_retryable: Vec::new(),
    }
}

#[test]
fn only_what_is_open_ends() {
    let called = || started().call("p", "1").block(0);
    refused(called().result(1, "1"), 2, "changes nothing");
    refused(called().result(0, "1").result(0, "1"), 3, "changes nothing");
    refused(called().attempt(0, 2, succeeded("1")), 2, "changes nothing");
    refused(called().child(0, 1, succeeded("1")), 2, "changes nothing");
    refused(started().wait("A").block(0).result(0, "1"), 2, "changes nothing");
}

/// A wait that ended so would still be given the next event, and end once more.
#[test]
fn only_a_deadline_that_was_set_passes() {
    for deadline in [Deadline::Due, Deadline::Retry, Deadline::Timeout] {
        refused(started().wait("A").block(0).step(fired(0, deadline)).event("A", "1"), 2, "changes nothing");
        refused(started().timer(5.0).block(0).step(fired(1, deadline)), 2, "changes nothing");
    }
    refused(started().timer(5.0).block(0).step(fired(0, Deadline::Timeout)), 2, "changes nothing");
    assert!(State::checked(&started().timer(5.0).block(0).step(fired(0, Deadline::Due)).steps).is_ok());
}

#[test]
fn nothing_but_events_follows_an_end() {
    let ended = || started().completed("1");
    assert!(State::checked(&ended().event("A", "1").steps).is_ok());
    refused(ended().wait("A"), 1, "after its end");
    refused(ended().event("A", "1").completed("2"), 2, "after its end");
    refused(ended().terminated("late"), 2, "changes nothing");
    refused(ended().migrated("other"), 2, "changes nothing");
}

#[test]
fn a_rewind_undoes_what_has_failed() {
    let broken = || started().call("p", "1").block(0).failure(0, "no").failed(application("no"));
    assert!(State::checked(&broken().rewound(1).steps).is_ok());
    assert!(State::checked(&broken().rewound(0).step(started().steps[0].message.clone()).steps).is_ok());
    refused(broken().rewound(2), 3, "it undoes what follows 2 of 2");
    refused(broken().rewound(usize::MAX), 3, "it undoes");
    refused(broken().rewound(1).rewound(1), 4, "nothing has failed");
    refused(broken().rewound_after(1, &[(0, u32::MAX)]), 3, "attempts");
    refused(broken().rewound_after(1, &[(7, 2)]), 3, "attempts");
    refused(broken().step(MessageBody::Rewound(Control::default())), 3, "changes nothing");
    let undone = Decision::Undone { from: 0, attempts: vec![(0, 0)] };
    refused(decides(started().call("p", "1"), undone), 1, "Undone");
}

/// What is undone later was folded before that, and is shown for ever.
#[test]
fn undone_steps_are_looked_at_too() {
    let mut broken = started().call("p", "1").block(0).failure(0, "no").failed(application("no")).rewound(1);
    let step: &mut Step = &mut broken.steps[1];
    step.message = MessageBody::ActivityEnded(ended(3, 1, failed("no")));
    refused(broken, 2, "changes nothing");
}

#[test]
fn a_step_is_named_by_its_place() {
    let bad = State::checked(&decides(started(), Decision::Blocked { on: BlockedOn::Task(4) }).steps).unwrap_err();
    let says = "step 1 of the history can not be: Blocked { on: Task(4) } does not fit the 0 tasks there are";
    assert_eq!(bad.to_string(), says);
}
