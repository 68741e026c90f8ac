//! Numbers, for people: `cargo test --release -p fermata-replay speed -- --ignored --nocapture`

use std::task::Poll;
use std::time::Instant;

use fermata_replay::{Execution, Message, MessageBody, Outcome, State, Step, Stop, TaskId};

use crate::guest::json;
use crate::history::{second, started};

const TASKS: u32 = 10_000;

/// A guest that is not async, to measure the core alone; `Pending` where it is suspended.
type Plain = fn(&mut Execution) -> Poll<Result<(), Stop>>;

#[test]
#[ignore = "prints numbers"]
fn speed() {
    let events: Vec<MessageBody> =
        (0..TASKS).map(|i| MessageBody::EventRaised { name: "Event".into(), input: json(&i.to_string()) }).collect();
    let result = |task| MessageBody::ActivityEnded { task, outcome: Outcome::Succeeded(json("1")) };
    let results: Vec<MessageBody> = (0..TASKS).rev().map(result).collect();
    measure("one wait after the other", waits, &events);
    measure("task-all", join_all, &results);
    measure("next-completed", join_next, &results);
    measure("a loop of task-any over 1,000", winners, &results[9_000..]);
}

/// A guest that stays resident while its results come in one a turn.
#[test]
#[ignore = "prints numbers"]
fn speed_resident() {
    let mut live = Execution::new(Vec::new());
    live.push(started().messages.remove(0));
    live.begin();
    let tasks = calls(&mut live, TASKS).expect("a live step");
    let begun = Instant::now();
    for task in tasks.iter().rev() {
        assert!(live.poll_all(&tasks).is_pending());
        let body = MessageBody::ActivityEnded { task: *task, outcome: Outcome::Succeeded(json("1")) };
        live.push(Message { seq: 2, at: second(2), body });
        live.absorb().expect("a live step");
    }
    assert!(live.poll_all(&tasks).is_ready());
    println!("task-all, resident, a turn each: {:.3} µs a message", begun.elapsed().as_secs_f64() * 1e6 / TASKS as f64);
}

fn measure(name: &str, guest: Plain, bodies: &[MessageBody]) {
    let start = started().messages.remove(0).body;
    let bodies = std::iter::once(&start).chain(bodies);
    let messages: Vec<Message> =
        bodies.zip(1..).map(|(body, seq)| Message { seq, at: second(seq as i64), body: body.clone() }).collect();
    let waits = messages.len() as f64;
    let report = |what: &str, begun: Instant| {
        println!("{name}: {what} {:.3} µs a message", begun.elapsed().as_secs_f64() * 1e6 / waits);
    };

    let begun = Instant::now();
    let mut live = Execution::new(Vec::new());
    messages.into_iter().for_each(|message| live.push(message));
    run(&mut live, guest);
    let history = live.take_turn().steps;
    report("live, in one turn", begun);

    let text = serde_json::to_string(&history).expect("a history is JSON");
    println!("{name}: {} KB of history", text.len() / 1_000);
    let begun = Instant::now();
    let read: Vec<Step> = serde_json::from_str(&text).expect("a history");
    report("parse", begun);

    let begun = Instant::now();
    run(&mut Execution::new(read), guest);
    report("replay", begun);

    let begun = Instant::now();
    let state = State::of(&history[..history.len() - 1]);
    report("State::of", begun);
    let begun = Instant::now();
    let names = state.waiting_for().len() + state.buffered_events().len();
    println!("{name}: waiting_for and buffered_events ({names}) {:.0} µs in all", begun.elapsed().as_secs_f64() * 1e6);
}

fn run(execution: &mut Execution, guest: Plain) {
    execution.begin().expect("it starts");
    let Poll::Ready(Ok(())) = guest(execution) else { panic!("every message is there") };
    execution.end(Outcome::Succeeded(json("null"))).expect("the guest fits its history");
}

fn waits(execution: &mut Execution) -> Poll<Result<(), Stop>> {
    for _ in 0..TASKS {
        let wait = execution.wait_external_event("Event")?;
        let Poll::Ready(outcome) = execution.poll_task(wait) else { return Poll::Pending };
        outcome?;
    }
    Poll::Ready(Ok(()))
}

fn calls(execution: &mut Execution, count: u32) -> Result<Vec<TaskId>, Stop> {
    (0..count).map(|_| execution.call_activity("p", json("1"))).collect()
}

fn join_all(execution: &mut Execution) -> Poll<Result<(), Stop>> {
    let tasks = calls(execution, TASKS)?;
    execution.poll_all(&tasks).map_ok(drop)
}

fn join_next(execution: &mut Execution) -> Poll<Result<(), Stop>> {
    for _ in calls(execution, TASKS)? {
        let Poll::Ready(task) = execution.poll_next() else { return Poll::Pending };
        execution.task_result(task?)?;
    }
    Poll::Ready(Ok(()))
}

fn winners(execution: &mut Execution) -> Poll<Result<(), Stop>> {
    let mut open = calls(execution, 1_000)?;
    while !open.is_empty() {
        let Poll::Ready(winner) = execution.poll_any(&open) else { return Poll::Pending };
        let winner = winner?;
        open.retain(|task| *task != winner);
    }
    Poll::Ready(Ok(()))
}
