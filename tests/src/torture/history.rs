//! What a host has stored of an instance, as its export tells it.

use fermata_replay::{MessageBody, RuntimeStatus, State, Step};
use serde::Deserialize;
use serde_json::Value;

pub struct History {
    pub status: RuntimeStatus,
    pub state: State,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Export {
    instance: Instance,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Instance {
    id: String,
    status: RuntimeStatus,
    generation: u64,
}

impl History {
    /// Reads an export. Its status must be what its history says.
    pub fn of(export: &str) -> History {
        let read = serde_json::from_str(export);
        let Export { instance, steps } = read.unwrap_or_else(|error| panic!("{error}: {export}"));
        let state = State::of(&steps);
        let told = match state.runtime_status() {
            // The next generation has yet to begin.
            RuntimeStatus::Pending if instance.generation > 0 => RuntimeStatus::Running,
            status => status,
        };
        assert_eq!(told, instance.status, "{}: the status is not what the history says", instance.id);
        History { status: instance.status, state, steps }
    }

    /// The numbers of the events of this name that came, in order, and that are in the history of this generation.
    pub fn received(&self, event: &str) -> Vec<u64> {
        let carried = self.state.start().map_or(&[][..], |start| &start.carried);
        let carried = carried.iter().map(|event| (&event.name, &event.input));
        let raised = self.steps.iter().filter_map(|step| match &step.message {
            MessageBody::EventRaised { name, input } => Some((name, input)),
            _ => None,
        });
        carried.chain(raised).filter(|(name, _)| **name == event).map(|(_, input)| number(input.as_str())).collect()
    }

    /// The numbers of the events of this name that nobody took.
    pub fn buffered(&self, event: &str) -> Vec<u64> {
        let buffered = self.state.buffered_events();
        buffered.iter().filter(|one| one.name == event).map(|one| number(one.input.as_str())).collect()
    }

    /// The input of this generation; null where it has yet to begin.
    pub fn input(&self) -> Value {
        let input = self.state.start().map_or("null", |start| start.input.as_str());
        serde_json::from_str(input).expect("an input is JSON")
    }
}

/// A letter is a number, an errand has one.
fn number(payload: &str) -> u64 {
    let payload: Value = serde_json::from_str(payload).expect("a payload is JSON");
    let number = payload.as_u64().or_else(|| payload["number"].as_u64());
    number.unwrap_or_else(|| panic!("no number in {payload}"))
}

/// The numbers of a list; null is an empty one.
pub fn numbers(list: &Value) -> Vec<u64> {
    let list = list.as_array().map_or(&[][..], |list| list);
    list.iter().map(|number| number.as_u64().expect("it is a list of numbers")).collect()
}
