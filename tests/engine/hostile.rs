//! Each hostile guest alone: it ends as it must, typed, and the same again on replay.

use std::time::Duration;

use fermata::engine::BadModule;
use fermata::limits::Limit;
use fermata_replay::{Decision, State, TURN_BYTES};
use tests::hostile::{Ends, Hostile, guests, limits};

use super::*;
use crate::play::stored;

/// What a guest came to, in the words of [`Ends`].
fn run(guest: &Hostile) -> Result<(), String> {
    // Long, so that it does not depend on how busy the machine is.
    let wall_time = Duration::from_secs(600);
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits { wall_time, ..within(limits()) }, 4, cache.path()).unwrap();
    let Admitted { module, component } = match (engine.admit(&guest.module()), guest.ends) {
        (Ok(admitted), _) => admitted,
        (Err(BadModule::Describe(why) | BadModule::Invalid(why)), Ends::IsRefused(words)) if why.contains(words) => {
            return Ok(());
        }
        (Err(why), _) => return Err(format!("it is refused: {why}")),
    };
    let bench = Bench { engine, module, component, _cache: cache };
    let mut running = bench.guest(&[], &[start(guest.name, "null")]);
    let (progress, steps) = run_on(&mut running);
    let outcome = running.state(|state| state.outcome().cloned());
    let failure = match &outcome {
        Some(Outcome::Failed(failure)) => Some(failure),
        _ => None,
    };
    let as_expected = match guest.ends {
        Ends::Passes(limit) => {
            let counted = Limit::ALL
                .iter()
                .find(|known| known.name() == limit)
                .is_some_and(|known| bench.engine.metrics().hits(*known) == 1);
            // The dispatcher counts those that the host ends.
            (counted || limit == "history")
                && failure.is_some_and(|failure| failure.kind == "limit" && failure.error_type == limit)
        }
        Ends::Crashes(words) => {
            failure.is_some_and(|failure| failure.kind == "trap" && failure.message.contains(words))
        }
        Ends::Returns => matches!(outcome, Some(Outcome::Succeeded(_))),
        Ends::Waits => matches!(progress, Progress::Blocked),
        Ends::GoesOn => running.state(|state| matches!(state.end(), Some(fermata_replay::End::ContinuedAsNew { .. }))),
        Ends::IsRefused(_) => false,
    };
    if !as_expected {
        return Err(format!("{progress:?} {outcome:?}"));
    }
    let steps = stored(&steps);
    let largest = steps.iter().map(|step| step.decisions.len()).max().unwrap_or(0);
    if largest > 4_100 {
        return Err(format!("a step has {largest} decisions"));
    }
    replays(&bench, &steps)
}

/// Turn by turn, as long as deadlines have passed.
fn run_on(guest: &mut Guest) -> (Progress, Vec<Step>) {
    let mut steps = Vec::new();
    loop {
        let progress = guest.resume([], Timestamp(0));
        let Some(turn) = guest.take_turn() else { return (progress, steps) };
        let goes_on = turn.is_full() && matches!(progress, Progress::Blocked);
        steps.extend(turn.steps);
        if !goes_on {
            return (progress, steps);
        }
    }
}

/// A host with other limits comes to the same end, for the execution keeps those it was started under.
fn replays(bench: &Bench, steps: &[Step]) -> Result<(), String> {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits::default(), 4, cache.path()).unwrap();
    let module = engine.compile(bench.module.digest(), &bench.component).map_err(|error| error.to_string())?;
    let elsewhere = Bench { engine, module, component: Vec::new(), _cache: cache };
    let mut execution = Execution::new(steps.to_vec());
    execution.begin();
    let mut guest = elsewhere.engine.guest(&elsewhere.module, "an-instance", 1, execution);
    let progress = guest.resume([], Timestamp(0));
    match (&progress, guest.take_turn()) {
        (Progress::Blocked | Progress::Ended(End::Recorded), None) => Ok(()),
        (_, turn) => Err(format!("replayed, {progress:?} {turn:?}")),
    }
}

#[test]
fn each_ends_as_it_must() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _runtime = runtime.enter();
    let guests = guests();
    assert!(guests.len() >= 40, "{}", guests.len());
    let wrong: Vec<String> = guests
        .iter()
        .filter_map(|guest| run(guest).err().map(|found| format!("{}, which {:?}: {found}", guest.name, guest.ends)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), guests.len(), wrong.join("\n"));
}

/// What a guest may do is measured in fuel, calls of the host included: by call and by byte.
#[test]
fn calls_of_the_host_cost_fuel() {
    let by_name = |name: &str| guests().into_iter().find(|guest| guest.name == name).unwrap();
    for (name, calls) in [("AsksWithoutEnd", 20_000), ("DrawsWithoutEnd", 1_000)] {
        let execution =
            ExecutionLimits { fuel_per_step: 10_000_000, host_calls_per_step: calls, ..ExecutionLimits::default() };
        let cache = tempfile::tempdir().unwrap();
        let engine = Engine::new(within(execution), 4, cache.path()).unwrap();
        let module = engine.admit(&by_name(name).module()).unwrap().module;
        let bench = Bench { engine, module, component: Vec::new(), _cache: cache };
        let mut guest = bench.guest(&[], &[start(name, "null")]);
        guest.resume([], Timestamp(0));
        let Outcome::Failed(failure) = outcome(&guest) else { panic!("{name} has succeeded") };
        assert_eq!(failure.error_type, "fuel", "{name}: {failure:?}");
    }
}

/// Others write before it goes on.
#[test]
fn a_turn_is_over_though_deadlines_have_passed() {
    let guest = guests().into_iter().find(|guest| guest.name == "TimersAtOnceWithoutEnd").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits::default(), 4, cache.path()).unwrap();
    let module = engine.admit(&guest.module()).unwrap().module;
    let bench = Bench { engine, module, component: Vec::new(), _cache: cache };
    let mut guest = bench.guest(&[], &[start(guest.name, "null")]);
    let mut turns = 0;
    while let Progress::Blocked = guest.resume([], Timestamp(0)) {
        let turn = guest.take_turn().unwrap();
        let bytes = turn.history.bytes - turn.history_before.bytes;
        assert!(turn.is_full() && (TURN_BYTES..TURN_BYTES + 1_000).contains(&bytes), "{bytes}");
        assert_eq!(turn.due, guest.state(State::next_due), "what is left passes in the next");
        turns += 1;
    }
    assert!(turns > 10, "{turns}");
    assert!(matches!(outcome(&guest), Outcome::Failed(failure) if failure.error_type == "history"));
}

/// However busy a guest is, others have their turn.
#[test]
fn a_busy_guest_stops_for_others_in_the_middle_of_its_step() {
    let by_name = |name: &str| guests().into_iter().find(|guest| guest.name == name).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let fuel = ExecutionLimits { fuel_per_step: 2_000_000_000, ..ExecutionLimits::default() };
    let engine = Engine::new(within(fuel), 4, cache.path()).unwrap();
    let module = engine.admit(&by_name("Spins").module()).unwrap().module;
    let bench = Bench { engine, module, component: Vec::new(), _cache: cache };
    let mut guest = bench.guest(&[], &[start("Spins", "null")]);
    let mut progress = guest.resume_for_a_while([], Timestamp(0));
    let mut stops = 0;
    while progress.is_none() {
        stops += 1;
        progress = guest.go_on();
    }
    assert!(stops > 1, "{stops}");
    let Outcome::Failed(failure) = outcome(&guest) else { panic!("it has succeeded") };
    assert_eq!(failure.error_type, "fuel", "to be stopped costs no fuel: {failure:?}");
    let turn = guest.take_turn().unwrap();
    assert!(matches!(turn.steps[0].decisions[..], [Decision::Failed { .. }]));
}
