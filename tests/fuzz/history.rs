//! Histories as they are stored and exported, with anything in them: each is refused, or read as it will be written; and folded, shown, gone on
//! with and rewound, where it passes the check that all of these rely on.

use std::path::Path;

use fastrand::Rng;
use fermata_replay::{Control, Execution, Message, MessageBody, Payload, State, Step, Timestamp, rewind};
use serde_json::Value;

use crate::bytes::mutate;
use crate::harness::{Target, fuzz, read_folder};

struct Histories {
    golden: Vec<Vec<u8>>,
}

#[test]
fn history() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/replay/tests/golden");
    fuzz(Histories { golden: read_folder(&golden) });
}

impl Target for Histories {
    const NAME: &'static str = "history";

    fn make(&self, random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
        let known: Vec<&Vec<u8>> = self.golden.iter().chain(corpus).collect();
        let one = known[random.usize(0..known.len())];
        let Ok(mut value) = serde_json::from_slice::<Value>(one) else {
            return mutate(random, one.clone(), &self.golden);
        };
        if random.u8(0..4) == 0 {
            return mutate(random, one.clone(), &self.golden);
        }
        let other = serde_json::from_slice(known[random.usize(0..known.len())]).unwrap_or(Value::Null);
        for _ in 0..random.usize(1..6) {
            let part = some_part(random, &other).clone();
            change(random, &mut value, part);
        }
        value.to_string().into_bytes()
    }

    fn take(&mut self, input: &[u8]) -> Result<(), String> {
        let Ok(history) = serde_json::from_slice::<Vec<Step>>(input) else { return Ok(()) };
        let kept = serde_json::to_vec(&history).map_err(|error| format!("it is not written: {error}"))?;
        let read: Vec<Step> = serde_json::from_slice(&kept).map_err(|error| format!("it is not read back: {error}"))?;
        if serde_json::to_vec(&read).ok().as_ref() != Some(&kept) {
            return Err("it is read back as something else".into());
        }
        let Ok(state) = State::checked(&history) else { return Ok(()) };
        if shown(&state) != shown(&State::of(&history)) {
            return Err("it adds up to something else where it is not checked".into());
        }
        goes_on(&history)?;
        is_rewound(history)
    }
}

/// All that people are shown of a state. Events with one number, which no real ones have, are in no order.
fn shown(state: &State) -> String {
    let mut buffered = state.buffered_events();
    buffered.sort_by(|one, other| (one.seq, &one.name).cmp(&(other.seq, &other.name)));
    let tasks = (state.waiting_for(), state.open_tasks(), state.awaited_events(), state.next_due());
    let rest = (state.runtime_status(), state.end(), state.custom_status(), buffered, state.history());
    format!("{tasks:?} {rest:?}")
}

/// Takes whatever may come next, without a guest; what that adds is history as well.
fn goes_on(history: &[Step]) -> Result<(), String> {
    let mut all = history.to_vec();
    for body in [
        MessageBody::EventRaised { name: "approval".into(), input: Payload::null() },
        MessageBody::Suspended(Control::default()),
        MessageBody::Resumed(Control::default()),
        MessageBody::Terminated(Control { cascade: true, ..Control::default() }),
    ] {
        let mut execution = Execution::without_guest(&all).map_err(|bad| format!("with what was added: {bad}"))?;
        if execution.state().start().is_none() {
            return Ok(());
        }
        let (seq, at) = all.last().map_or((0, Timestamp::default()), |step| (step.seq.saturating_add(1), step.at));
        execution.push(Message { seq, at, body });
        execution.tick(at);
        // A guest that could go on is asked first.
        if execution.absorb().map_err(|stop| stop.to_string())? {
            return Ok(());
        }
        all.extend(execution.take_turn().steps);
    }
    Ok(())
}

/// What has failed goes on before that; this is history again.
fn is_rewound(mut history: Vec<Step>) -> Result<(), String> {
    let body = MessageBody::Rewound(Control::default());
    let at = history.last().map_or(Timestamp::default(), |step| step.at);
    let Some(turn) = rewind(&history, &Message { seq: u64::MAX, at, body }) else { return Ok(()) };
    history.extend(turn.steps);
    State::checked(&history).map(drop).map_err(|bad| format!("rewound: {bad}"))
}

/// A value somewhere inside another.
fn some_part<'a>(random: &mut Rng, value: &'a Value) -> &'a Value {
    let inner: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    };
    match random.choice(inner) {
        Some(inner) if random.u8(0..4) > 0 => some_part(random, inner),
        _ => value,
    }
}

/// Changes one thing somewhere.
fn change(random: &mut Rng, value: &mut Value, part: Value) {
    let stops = random.u8(0..6) == 0;
    match value {
        Value::Array(items) if !items.is_empty() => {
            let at = random.usize(0..items.len());
            match random.u8(0..8) {
                0 => drop(items.remove(at)),
                1 => items.insert(at, part),
                2 => items.insert(at, items[random.usize(0..items.len())].clone()),
                3 => items.swap(0, at),
                _ => change(random, &mut items[at], part),
            }
        }
        Value::Object(fields) if !fields.is_empty() && !stops => {
            let name = fields.keys().nth(random.usize(0..fields.len())).cloned().unwrap_or_default();
            match random.u8(0..8) {
                0 => drop(fields.remove(&name)),
                1 => drop(fields.insert(name, part)),
                _ => change(random, &mut fields[&name], part),
            }
        }
        Value::Number(_) => *value = number(random),
        _ => *value = part,
    }
}

fn number(random: &mut Rng) -> Value {
    match random.u8(0..6) {
        0 => Value::from(random.u64(0..4)),
        1 => Value::from(u64::MAX),
        2 => Value::from(i64::MIN),
        3 => Value::from(i64::MAX),
        4 => Value::from(u32::MAX),
        _ => Value::from(random.f64() * 1e300),
    }
}
