//! The engine with real wasm and no host around it: what a guest sees, and what it may not do.

mod bombs;
mod hostile;
mod limits;
mod programs;
mod proposals;
mod refusals;
mod replay;

// From the core's tests: programs, the guest in Rust that runs them, and the owner of an instance. They hold more than is used here.
#[allow(dead_code)]
#[path = "../../host/replay/tests/it/generator.rs"]
mod generator;
#[allow(dead_code)]
#[path = "../../host/replay/tests/it/guest.rs"]
mod guest;
#[allow(dead_code)]
#[path = "../../host/replay/tests/it/history.rs"]
mod history;
#[allow(dead_code)]
#[path = "../../host/replay/tests/it/owner.rs"]
mod owner;
#[allow(dead_code)]
#[path = "../../host/replay/tests/it/play.rs"]
mod play;
#[allow(dead_code)]
#[path = "../../host/replay/tests/it/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fermata::engine::{Admitted, End, Engine, Guest, Module, Progress};
use fermata::limits::GuestLimits;
use fermata_replay::{Execution, ExecutionLimits, Message, MessageBody, Outcome, Payload, Start, Step, Timestamp};
use tests::guest_bytes;

/// An engine with a cache of its own, and a module in it.
struct Bench {
    engine: Arc<Engine>,
    module: Arc<Module>,
    component: Vec<u8>,
    _cache: tempfile::TempDir,
}

fn bench_of(guest: &str, limits: GuestLimits) -> Bench {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(limits, 32, cache.path()).unwrap();
    let Admitted { module, component } = engine.admit(&guest_bytes(guest)).unwrap();
    Bench { engine, module, component, _cache: cache }
}

fn bench_with(limits: GuestLimits) -> Bench {
    bench_of("test-guest-a", limits)
}

fn within(execution: ExecutionLimits) -> GuestLimits {
    GuestLimits { execution, ..GuestLimits::default() }
}

fn bench() -> Bench {
    bench_with(GuestLimits::default())
}

impl Bench {
    fn guest(&self, history: &[Step], messages: &[Message]) -> Guest {
        let mut execution = Execution::new(history.to_vec());
        messages.iter().map(|message| self.as_recorded(message)).for_each(|message| execution.push(message));
        self.engine.guest(&self.module, "an-instance", 1, execution)
    }

    /// A start records the limits of its host.
    fn as_recorded(&self, message: &Message) -> Message {
        let mut message = message.clone();
        if let MessageBody::Started(start) = &mut message.body {
            start.limits = self.engine.limits().execution;
        }
        message
    }

    /// Runs an orchestrator on these messages with one guest for all of them, or a new one for each.
    fn run(&self, messages: &[Message], evict: bool) -> (Vec<Step>, Progress) {
        let mut history = Vec::new();
        let mut guest: Option<Guest> = None;
        let mut last = Progress::Blocked;
        for message in messages {
            let mut at_hand = match guest.take() {
                Some(guest) if !evict => guest,
                _ => self.guest(&history, std::slice::from_ref(message)),
            };
            let fresh = history.is_empty() || evict;
            last = at_hand.resume((!fresh).then(|| message.clone()), Timestamp(0));
            history.extend(at_hand.take_turn().into_iter().flat_map(|turn| turn.steps));
            guest = Some(at_hand);
        }
        (history, last)
    }
}

fn start(name: &str, input: &str) -> Message {
    let start = Start {
        name: name.into(),
        input: Payload::parse(input).unwrap(),
        execution: "an-execution".into(),
        module: "a-module".into(),
        seed: "07".repeat(32),
        parent: None,
        generation: 0,
        carried: Vec::new(),
        limits: ExecutionLimits::default(),
    };
    Message { seq: 1, at: Timestamp(1_000_000), body: MessageBody::Started(Box::new(start)) }
}

fn event(seq: u64, name: &str, input: &str) -> Message {
    let input = Payload::parse(input).unwrap();
    let body = MessageBody::EventRaised { name: name.into(), input };
    Message { seq, at: Timestamp(1_000_000 * seq as i64), body }
}

fn outcome(guest: &Guest) -> Outcome {
    guest.state(|state| state.outcome().cloned()).expect("the orchestrator has ended")
}

fn is_recorded(progress: &Progress) -> bool {
    matches!(progress, Progress::Ended(End::Recorded))
}
