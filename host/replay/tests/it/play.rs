//! Runs a guest in every way a host may run it, and holds what must be the same in all of them.

use fermata_replay::{
    BufferedEvent, End, Execution, Message, MessageBody, OpenTask, Outgoing, Payload, RuntimeStatus, State, Step, Stop,
    Timestamp,
};

use crate::guest::{Ctx, Ended, Guest, Life, guest};
use crate::history::History;
use crate::owner::Owner;

/// How the next messages reach a guest.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// So many in one turn.
    pub batch: usize,
    /// The guest was evicted before.
    pub evict: bool,
    /// The owner looked at its clock before.
    pub tick: bool,
}

/// The same however the messages came.
#[derive(Debug, PartialEq)]
pub struct Played {
    /// Of the last generation.
    pub history: Vec<Step>,
    /// What its guest was told, from its beginning to its end, or from the latest rewind.
    pub journal: Vec<String>,
    /// The generations before.
    pub past: Vec<(Vec<Step>, Vec<String>)>,
    /// Messages that left the inbox, in order.
    pub consumed: Vec<u64>,
    /// Messages that wait, because the instance is suspended.
    pub unread: Vec<Message>,
    pub outgoing: Vec<Outgoing>,
    /// What the guest was told in new steps, in all generations.
    pub told: Vec<String>,
}

/// Runs the orchestrator in every way with the messages of `expected`; it must make just these steps.
pub fn check(expected: &History, orchestrator: impl AsyncFn(Ctx) -> Ended + 'static) -> Played {
    check_until(expected, last_deadline(&expected.steps), orchestrator)
}

/// After the last message, time goes on until then.
pub fn check_until(
    expected: &History,
    until: Option<Timestamp>,
    orchestrator: impl AsyncFn(Ctx) -> Ended + 'static,
) -> Played {
    let guest = guest(orchestrator);
    let played = play_in_every_way(&guest, &expected.messages, until);
    assert_same_steps(&expected.steps, &played.history);
    let seqs: Vec<u64> = expected.messages.iter().map(|message| message.seq).collect();
    assert_eq!(played.consumed, seqs, "every message leaves the inbox");
    played
}

pub fn play_in_every_way(guest: &Guest, messages: &[Message], until: Option<Timestamp>) -> Played {
    let all_at_once = Pace { batch: usize::MAX, evict: false, tick: false };
    let played = play(guest, messages, &[all_at_once], until);
    for (batch, evict) in [(1, false), (1, true), (2, false), (2, true), (3, false)] {
        for tick in [false, true] {
            let other = play(guest, messages, &[Pace { batch, evict, tick }], until);
            assert_same_steps(&played.history, &other.history);
            assert_eq!(played, other, "{batch} messages a turn, evicted: {evict}, ticks: {tick}");
        }
    }
    assert_replays(guest, &played);
    assert_absorbs(&played);
    played
}

/// Runs a guest live, at these paces in turn. After the last message, time goes on until `until`.
pub fn play(guest: &Guest, messages: &[Message], paces: &[Pace], until: Option<Timestamp>) -> Played {
    let mut owner = Owner::new(guest);
    drive(&mut owner, messages, paces, until);
    let mut consumed = owner.consumed;
    consumed.sort_unstable();
    let (journal, outgoing, told) = (owner.life.journal(), owner.outgoing, owner.told);
    Played { history: owner.history, journal, past: owner.past, consumed, unread: owner.inbox, outgoing, told }
}

/// Hands the messages to the owner of a guest, at these paces in turn. After the last one, time goes on until `until`.
pub fn drive(owner: &mut Owner, messages: &[Message], paces: &[Pace], until: Option<Timestamp>) {
    let mut rest = messages;
    for pace in paces.iter().cycle() {
        let Some(earliest) = rest.iter().map(|message| message.at).min() else { break };
        // What is urgent, and a rewind, goes before deadlines that have passed, unless its owner knew of them.
        if pace.tick || rest[0].body.is_urgent() || rewinds(&rest[0]) {
            owner.tick(earliest);
        }
        if pace.evict {
            owner.evict();
        }
        let (batch, later) = rest.split_at(batch(rest, pace.batch));
        owner.deliver(batch.iter().cloned());
        rest = later;
    }
    if let Some(until) = until {
        owner.tick(until);
    }
}

/// How many of the next messages come at once, `most` at most. What is urgent overtakes those it comes together with, so it comes first
/// here; a rewind is carried out on its own.
fn batch(rest: &[Message], most: usize) -> usize {
    if rest.first().is_some_and(rewinds) {
        return 1;
    }
    let stays = |message: &&Message| !rewinds(message) && !message.body.is_urgent();
    1 + rest.iter().take(most).skip(1).take_while(stays).count()
}

fn passes_by_itself(step: &Step) -> bool {
    matches!(step.message, MessageBody::TimerFired { .. })
}

fn rewinds(message: &Message) -> bool {
    matches!(message.body, MessageBody::Rewound(_))
}

/// When the last deadline passed.
fn last_deadline(steps: &[Step]) -> Option<Timestamp> {
    steps.iter().filter(|step| passes_by_itself(step)).map(|step| step.at).max()
}

/// Replays every prefix of every generation: no mismatch, nothing new, and the guest is told no more than it was.
pub fn assert_replays(guest: &Guest, played: &Played) {
    let last = (&played.history, &played.journal);
    for (history, journal) in played.past.iter().map(|(history, journal)| (history, journal)).chain([last]) {
        let rewound = history.iter().rposition(|step| matches!(step.message, MessageBody::Rewound(_)));
        for length in 1..=history.len() {
            let prefix = &history[..length];
            let mut life = Life::new(guest, prefix.to_vec());
            let turn = life.resume([]).unwrap_or_else(|stop| panic!("replay of {length} steps: {stop}"));
            assert!(turn.steps.is_empty() && turn.consumed.is_empty(), "replay of {length} steps made new ones");
            // What it was told before a rewind does not count any more.
            if rewound.is_none_or(|rewound| rewound < length) {
                assert!(journal.starts_with(&life.journal()), "replay of {length} steps told the guest something else");
            }
            assert_eq!(life.execution(|execution| shown(execution.state())), shown(&State::of(prefix)));
            assert_eq!(State::checked(prefix).map(|state| shown(&state)), Ok(shown(&State::of(prefix))));
        }
    }
}

/// Without its guest, an instance takes the messages that do not concern the guest, and makes the same steps of them.
pub fn assert_absorbs(played: &Played) {
    for history in played.past.iter().map(|(history, _)| history).chain([&played.history]) {
        for (before, step) in history.iter().enumerate() {
            let mut alone = Execution::without_guest(&history[..before]).expect("a history");
            match &step.message {
                MessageBody::Rewound(_) => continue,
                MessageBody::TimerFired { .. } => alone.tick(alone.state().next_due().expect("a deadline that passes")),
                body => {
                    let at = step.accepted.unwrap_or(step.at);
                    alone.push(Message { seq: step.seq, at, body: body.clone() });
                }
            }
            if alone.absorb().expect("no guest, no misuse") {
                // Several deadlines may pass at once, of which a later one wakes the guest.
                let passed = history[before + 1..].iter().take_while(|step| passes_by_itself(step));
                let woken = std::iter::once(step).chain(passed).any(|step| !step.decisions.is_empty());
                assert!(woken, "message {} would have woken the guest for nothing", step.seq);
            } else {
                assert_eq!(alone.take_turn().steps.first(), Some(step));
            }
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
pub fn stored(history: &[Step]) -> Vec<Step> {
    let text = serde_json::to_string(history).expect("a history is JSON");
    serde_json::from_str(&text).expect("what was written can be read")
}

/// What an instance shows of its state.
#[derive(Debug, PartialEq)]
pub struct Shown {
    pub status: RuntimeStatus,
    pub now: Timestamp,
    pub waiting_for: Vec<OpenTask>,
    pub open: Vec<OpenTask>,
    pub buffered: Vec<BufferedEvent>,
    pub end: Option<End>,
    pub custom_status: Option<Payload>,
    pub module: String,
    due: Option<Timestamp>,
    suspended: bool,
    runnable: bool,
}

pub fn shown(state: &State) -> Shown {
    Shown {
        status: state.runtime_status(),
        now: state.now(),
        waiting_for: state.waiting_for(),
        open: state.open_tasks(),
        buffered: state.buffered_events(),
        end: state.end().cloned(),
        custom_status: state.custom_status().cloned(),
        module: state.module().to_owned(),
        due: state.next_due(),
        suspended: state.is_suspended(),
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
