//! Runs a guest in every way a host may run it, and holds what must be the same in all of them.

use fermata_replay::{
    BufferedEvent, Execution, Message, Outcome, Payload, RuntimeStatus, State, Step, Stop, Timestamp,
};

use crate::guest::{Ctx, Ended, Guest, Life, guest};
use crate::history::History;

/// How the next messages reach a guest: so many in one turn, and whether it was evicted before.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub batch: usize,
    pub evict: bool,
}

#[derive(Debug, PartialEq)]
pub struct Played {
    pub history: Vec<Step>,
    /// What the guest was told, from its beginning to its end.
    pub journal: Vec<String>,
    /// Messages that left the inbox, in order.
    pub consumed: Vec<u64>,
}

/// Runs the orchestrator in every way with the messages of `expected`; it must make just these steps.
pub fn check(expected: &History, orchestrator: impl AsyncFn(Ctx) -> Ended + 'static) -> Played {
    let guest = guest(orchestrator);
    let all_at_once = Pace { batch: usize::MAX, evict: false };
    let played = play(&guest, &expected.messages, &[all_at_once]);
    assert_same_steps(&expected.steps, &played.history);
    let seqs: Vec<u64> = expected.messages.iter().map(|message| message.seq).collect();
    assert_eq!(played.consumed, seqs, "every message leaves the inbox");

    for (batch, evict) in [(1, false), (1, true), (2, false), (2, true), (3, false)] {
        let other = play(&guest, &expected.messages, &[Pace { batch, evict }]);
        assert_same_steps(&played.history, &other.history);
        assert_eq!(played, other, "{batch} messages a turn, evicted: {evict}");
    }
    assert_replays(&guest, &played);
    assert_absorbs(&played.history);
    played
}

/// Runs a guest live, at these paces in turn, and compares its state with what its history alone adds up to.
pub fn play(guest: &Guest, messages: &[Message], paces: &[Pace]) -> Played {
    let mut messages = messages.iter().cloned().peekable();
    let mut paces = paces.iter().cycle();
    let mut life = Life::new(guest, Vec::new());
    let (mut history, mut consumed) = (Vec::new(), Vec::new());
    while messages.peek().is_some() {
        let pace = paces.next().expect("there is a pace");
        if pace.evict {
            let before = life.journal();
            life = Life::new(guest, stored(&history));
            if !history.is_empty() {
                let turn = life.resume([]).expect("the guest that wrote this history");
                assert!(turn.steps.is_empty(), "replay made new steps: {:?}", turn.steps);
            }
            assert_eq!(before, life.journal(), "a guest brought back is told what it was told before");
        }
        let turn = life.resume(messages.by_ref().take(pace.batch)).expect("a guest that fits its history");
        history.extend(turn.steps);
        consumed.extend(turn.consumed);
        assert_eq!(life.execution(|execution| shown(execution.state())), shown(&State::of(&history)));
    }
    consumed.sort_unstable();
    Played { history, journal: life.journal(), consumed }
}

/// Replays every prefix of the history: no mismatch, nothing new, and the guest is told no more than it was.
pub fn assert_replays(guest: &Guest, played: &Played) {
    for length in 1..=played.history.len() {
        let prefix = &played.history[..length];
        let mut life = Life::new(guest, prefix.to_vec());
        let turn = life.resume([]).unwrap_or_else(|stop| panic!("replay of {length} steps: {stop}"));
        assert!(turn.steps.is_empty() && turn.consumed.is_empty(), "replay of {length} steps made new ones");
        assert!(played.journal.starts_with(&life.journal()), "replay of {length} steps told the guest something else");
        assert_eq!(life.execution(|execution| shown(execution.state())), shown(&State::of(prefix)));
    }
}

/// Without its guest, an instance takes the messages that do not concern the guest, and makes the same steps of them.
pub fn assert_absorbs(history: &[Step]) {
    for (before, step) in history.iter().enumerate() {
        let Step { seq, at, message, .. } = step.clone();
        let mut alone = Execution::without_guest(&history[..before]);
        alone.push(Message { seq, at, body: message });
        if alone.absorb().expect("no guest, no misuse") {
            assert!(!step.decisions.is_empty(), "message {seq} would have woken the guest for nothing");
        } else {
            assert_eq!(alone.take_turn().steps, std::slice::from_ref(step));
        }
    }
}

/// Replays a whole history; the guest is expected to stop.
pub fn replay(guest: &Guest, history: &[Step]) -> Result<(), Stop> {
    let turn = Life::new(guest, history.to_vec()).resume([])?;
    assert!(turn.steps.is_empty(), "replay made new steps: {:?}", turn.steps);
    Ok(())
}

/// History as it comes back from a store.
fn stored(history: &[Step]) -> Vec<Step> {
    let text = serde_json::to_string(history).expect("a history is JSON");
    serde_json::from_str(&text).expect("what was written can be read")
}

/// What an instance shows of its state.
#[derive(Debug, PartialEq)]
pub struct Shown {
    pub status: RuntimeStatus,
    pub now: Timestamp,
    pub waiting_for: Vec<String>,
    pub buffered: Vec<BufferedEvent>,
    pub outcome: Option<Outcome>,
    pub custom_status: Option<Payload>,
    runnable: bool,
}

pub fn shown(state: &State) -> Shown {
    Shown {
        status: state.runtime_status(),
        now: state.now(),
        waiting_for: state.waiting_for(),
        buffered: state.buffered_events(),
        outcome: state.outcome().cloned(),
        custom_status: state.custom_status().cloned(),
        runnable: state.is_runnable(),
    }
}

/// Equality, told as lines of JSON where it does not hold.
fn assert_same_steps(expected: &[Step], actual: &[Step]) {
    let lines = |steps: &[Step]| -> String {
        steps.iter().map(|step| serde_json::to_string(step).expect("a step is JSON") + "\n").collect()
    };
    if expected != actual {
        panic!("expected these steps:\n{}\ngot these:\n{}", lines(expected), lines(actual));
    }
}
