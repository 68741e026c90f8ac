//! A guest harms only itself.

use std::time::Duration;

use super::*;

fn fails_with(orchestrator: &str, limits: GuestLimits) -> fermata_replay::Failure {
    let bench = bench_with(limits);
    let mut guest = bench.guest(&[], &[start(orchestrator, "null"), event(2, "go", "null")]);
    let progress = guest.resume([]);
    assert!(is_recorded(&progress), "{progress:?}");
    match outcome(&guest) {
        Outcome::Failed(failure) => failure,
        Outcome::Succeeded(output) => panic!("{orchestrator} succeeded with {output:?}"),
    }
}

#[test]
fn a_loop_without_end_runs_out_of_fuel() {
    let failure = fails_with("Spins", GuestLimits { fuel_per_step: 10_000_000, ..GuestLimits::default() });
    assert_eq!(failure.kind, "limit", "{failure:?}");
}

#[test]
fn wall_time_says_nothing_about_the_outcome() {
    let limits =
        GuestLimits { fuel_per_step: u64::MAX / 4, wall_time: Duration::from_millis(50), ..GuestLimits::default() };
    let bench = bench_with(limits);
    let mut guest = bench.guest(&[], &[start("Spins", "null"), event(2, "go", "null")]);
    let progress = guest.resume([]);
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
    let failure = fails_with("Hoards", GuestLimits { memory_bytes: 8 << 20, ..GuestLimits::default() });
    assert_eq!(failure.kind, "trap", "{failure:?}");
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
