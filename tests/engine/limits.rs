//! A guest harms only itself.

use std::time::Duration;

use fermata_replay::Decision;

use super::*;

fn fails_with(orchestrator: &str, limits: GuestLimits) -> fermata_replay::Failure {
    let bench = bench_with(limits);
    let mut guest = bench.guest(&[], &[start(orchestrator, "null"), event(2, "go", "null")]);
    let progress = guest.resume([], Timestamp(0));
    assert!(is_recorded(&progress), "{progress:?}");
    match outcome(&guest) {
        Outcome::Failed(failure) => failure,
        Outcome::Succeeded(output) => panic!("{orchestrator} succeeded with {output:?}"),
    }
}

#[test]
fn a_loop_without_end_runs_out_of_fuel() {
    let failure =
        fails_with("Spins", within(ExecutionLimits { fuel_per_step: 10_000_000, ..ExecutionLimits::default() }));
    assert_eq!(failure.kind, "limit", "{failure:?}");
}

#[test]
fn wall_time_says_nothing_about_the_outcome() {
    let limits = GuestLimits {
        wall_time: Duration::from_millis(50),
        ..within(ExecutionLimits { fuel_per_step: u64::MAX / 4, ..ExecutionLimits::default() })
    };
    let bench = bench_with(limits);
    let mut guest = bench.guest(&[], &[start("Spins", "null"), event(2, "go", "null")]);
    let progress = guest.resume([], Timestamp(0));
    assert!(matches!(progress, Progress::Ended(End::Abandoned(_))), "{progress:?}");
}

#[test]
fn a_panic_is_told_in_its_own_words() {
    let failure = fails_with("Panics", GuestLimits::default());
    assert_eq!(failure.kind, "trap", "{failure:?}");
    assert!(failure.message.contains("this guest has crashed on purpose"), "{failure:?}");
}

#[test]
fn memory_has_an_end() {
    let failure = fails_with("Hoards", within(ExecutionLimits { memory_bytes: 8 << 20, ..ExecutionLimits::default() }));
    assert_eq!((&*failure.kind, &*failure.error_type), ("limit", "memory"), "{failure:?}");
    assert!(failure.message.contains("memory allocation"), "{failure:?}");
}

#[test]
fn an_orchestrator_must_not_sleep() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _runtime = runtime.enter();
    let failure = fails_with("Sleeps", GuestLimits::default());
    assert!(failure.message.contains("may wait for tasks only"), "{failure:?}");
}

#[test]
fn an_unknown_orchestrator_is_a_failure() {
    let failure = fails_with("Nobody", GuestLimits::default());
    assert!(failure.message.contains("Nobody"), "{failure:?}");
}

#[test]
fn a_step_creates_only_so_many_tasks() {
    let failure = fails_with("TwoWaits", within(ExecutionLimits { tasks_per_step: 1, ..ExecutionLimits::default() }));
    assert!(failure.message.contains("may ask for 1 tasks"), "{failure:?}");
    let failure =
        fails_with("TwoWaits", within(ExecutionLimits { task_bytes_per_step: 6, ..ExecutionLimits::default() }));
    assert!(failure.message.contains("with 6 bytes"), "{failure:?}");
}

/// A task that is changed again and again is one task still, but the host keeps each change.
#[test]
fn a_flood_of_changes_is_stopped_and_leaves_no_more_than_its_limits_allow() {
    // The fuel is there to end what nothing else does.
    let limits = within(ExecutionLimits {
        tasks_per_step: 500,
        task_bytes_per_step: 20_000,
        fuel_per_step: 200_000_000,
        ..ExecutionLimits::default()
    });
    let bench = bench_with(limits);
    for (flood, most) in [
        ("FloodsTimeouts", 500),
        ("FloodsRetries", 500),
        ("FloodsDefaults", 21),
        ("FloodsErrorTypes", 21),
        ("FloodsUrls", 70),
    ] {
        let mut guest = bench.guest(&[], &[start(flood, "null")]);
        let progress = guest.resume([], Timestamp(0));
        assert!(is_recorded(&progress), "{progress:?}");
        let Outcome::Failed(failure) = outcome(&guest) else { panic!("{flood} has succeeded") };
        assert!(failure.message.contains("may ask for 500 tasks"), "{flood}: {failure:?}");
        let [step] = &guest.take_turn().unwrap().steps[..] else { panic!("{flood}: more than a step") };
        let (kept, text) = (step.decisions.len(), serde_json::to_string(step).unwrap());
        // The last one says that it failed.
        assert!(kept <= most + 1, "{flood}: {kept} decisions");
        assert!(text.len() < 120_000, "{flood}: {} bytes", text.len());
        assert!(matches!(step.decisions.last(), Some(Decision::Failed { .. })));
    }
}

/// Each of its steps creates one.
#[test]
fn what_was_created_counts_within_its_step() {
    let bench =
        bench_with(within(ExecutionLimits { tasks_per_step: 1, task_bytes_per_step: 4, ..ExecutionLimits::default() }));
    let messages = [start("Collect", "3"), event(2, "item", "1"), event(3, "item", "2"), event(4, "item", "3")];
    for evict in [false, true] {
        let (history, progress) = bench.run(&messages, evict);
        assert!(is_recorded(&progress), "{progress:?}");
        assert!(matches!(history.last().unwrap().decisions.last(), Some(Decision::Completed { .. })));
    }
}

/// Want of room is the host's, and is not recorded as what became of the instance.
#[test]
fn a_guest_for_which_there_is_no_room_is_tried_again() {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits::default(), 1, cache.path()).unwrap();
    let module = engine.admit(&guest_bytes("test-guest-a")).unwrap().module;
    let guest = || {
        let mut execution = Execution::new(Vec::new());
        execution.push(start("W", "null"));
        engine.guest(&module, "an-instance", 1, execution)
    };
    let (mut first, mut second) = (guest(), guest());
    assert!(matches!(first.resume([], Timestamp(0)), Progress::Blocked));
    let progress = second.resume([], Timestamp(0));
    assert!(matches!(progress, Progress::Ended(End::Abandoned(_))), "{progress:?}");
    drop((first, second));
    assert!(matches!(guest().resume([], Timestamp(0)), Progress::Blocked));
}
