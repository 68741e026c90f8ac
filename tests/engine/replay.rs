//! The same history gives the same decisions, whether the guest stayed or came back.

use fermata_replay::{Decision, MessageBody, Outcome, Payload, TaskEnded, Timestamp};

use super::*;

#[test]
fn a_wait_is_answered() {
    let bench = bench();
    let (history, progress) = bench.run(&[start("W", "null"), event(2, "GO", "{\"a\": [1,\t2]}")], false);
    assert!(is_recorded(&progress), "{progress:?}");
    let last = history.last().unwrap().decisions.last().unwrap();
    assert_eq!(*last, Decision::Completed { output: Payload::parse("{\"a\": [1,\t2]}").unwrap() });
}

#[test]
fn a_guest_that_stays_and_one_that_comes_back_write_the_same_history() {
    let bench = bench();
    let messages: Vec<Message> = std::iter::once(start("Collect", "20"))
        .chain((0..20).map(|number| event(2 + number, "item", &number.to_string())))
        .collect();
    let (resident, _) = bench.run(&messages, false);
    let (evicted, progress) = bench.run(&messages, true);
    assert!(is_recorded(&progress), "{progress:?}");
    assert_eq!(resident, evicted);
}

/// The orchestrator hands what it drew to activities, so that a replay which draws anything else does not fit its history.
#[test]
fn time_randomness_and_the_order_of_maps_are_the_same_on_replay() {
    let bench = bench();
    let mut history = Vec::new();
    let mut messages = vec![start("Entropy", "null")];
    let mut seq = 1;
    loop {
        let mut guest = bench.guest(&history, &messages);
        let progress = guest.resume([], Timestamp(0));
        let turn = guest.take_turn().unwrap();
        history.extend(turn.steps.clone());
        if is_recorded(&progress) {
            break;
        }
        assert!(matches!(progress, Progress::Blocked), "{progress:?}");
        seq += 1;
        messages = match turn.activities.first() {
            Some(drawn) => vec![Message {
                seq,
                at: Timestamp(1_000_000 * seq as i64),
                body: MessageBody::ActivityEnded(TaskEnded {
                    task: drawn.task,
                    outcome: Outcome::Succeeded(drawn.input.clone()),
                    execution: String::new(),
                    attempt: 1,
                }),
            }],
            None => vec![event(seq, "go", "null")],
        };
    }
    let draws: Vec<String> = history
        .iter()
        .flat_map(|step| &step.decisions)
        .filter_map(|decision| match decision {
            Decision::ActivityScheduled { input, .. } => Some(input.as_str().to_owned()),
            _ => None,
        })
        .collect();
    assert_eq!(draws.len(), 3);
    assert!(draws[0] != draws[1] && draws[1] != draws[2], "each draw is a new one: {draws:?}");
    assert!(draws[0].contains("\"step_millis\":1000.0"), "the time is that of the step: {}", draws[0]);
}

/// What a limit has ended ends in the same place again, and not before: what came to less than the limits of another host goes on.
#[test]
fn a_step_that_a_limit_has_ended_ends_in_the_same_way() {
    let limits =
        within(ExecutionLimits { tasks_per_step: 500, fuel_per_step: 200_000_000, ..ExecutionLimits::default() });
    let bench = bench_with(limits);
    for orchestrator in ["FloodsTimeouts", "FloodsRetries", "Spins"] {
        let (history, progress) = bench.run(&[start(orchestrator, "null"), event(2, "go", "null")], true);
        assert!(is_recorded(&progress), "{progress:?}");
        let mut again = bench.guest(&history, &[]);
        let progress = again.resume([], Timestamp(0));
        assert!(is_recorded(&progress), "{orchestrator}: {progress:?}");
        assert_eq!(again.take_turn(), None, "there is nothing new");
    }
    let (history, _) = bench.run(&[start("TwoWaits", "null")], false);
    let narrow = bench_with(within(ExecutionLimits { tasks_per_step: 1, ..ExecutionLimits::default() }));
    let progress = narrow.guest(&history, &[]).resume([], Timestamp(0));
    assert!(matches!(progress, Progress::Blocked), "{progress:?}");
}

#[test]
fn another_module_does_not_fit_the_history() {
    let bench = bench();
    let (history, _) = bench.run(&[start("TwoNames", "null")], false);
    // The same start, but what ran then was another orchestrator.
    let mut edited = history.clone();
    if let MessageBody::Started(start) = &mut edited[0].message {
        start.name = "W".into();
    }
    let mut guest = bench.guest(&edited, &[event(2, "go", "1")]);
    let Progress::Ended(End::Mismatch(mismatch)) = guest.resume([], Timestamp(0)) else {
        panic!("the mismatch was not seen")
    };
    assert!(mismatch.to_string().contains("history says first, the guest go"), "{mismatch}");
    assert_eq!(guest.take_turn(), None, "nothing of it may be committed");
}
