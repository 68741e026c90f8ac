//! A run of random writes of which every prefix is known, from the model.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use fermata::store::embedded::copy::Picture;
use fermata::store::embedded::{Embedded, FILE};
use fermata::store::memory::Memory;
use fermata::store::{Change, InstanceKey, Lease, StoreError, Write};

use crate::kit::{World, creation};
use crate::writes::{MODULES, Writes, contents, module};

type Contents = Vec<Result<String, StoreError>>;
type Outcome = Result<(), StoreError>;

pub struct Story {
    acts: Vec<Act>,
    /// What there is to see after as many acts.
    prefixes: Vec<Contents>,
    writes: Writes,
}

/// What somebody was told, and so must hold after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// So many acts have their effect, or were refused.
    Acts(usize),
    /// This number was given out, and never is again.
    Number(u64),
}

/// All that was told until some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub acts: usize,
    pub number: u64,
}

impl Known {
    pub fn learn(&mut self, told: Told) {
        match told {
            Told::Acts(acts) => self.acts = self.acts.max(acts),
            Told::Number(number) => self.number = self.number.max(number),
        }
    }
}

pub type Tell = Arc<dyn Fn(Told) + Send + Sync>;

/// More than the acts of a story use, and so many that a store must reserve more now and then.
const NUMBERS: u64 = 20_000;

#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly every act is a write")]
enum Act {
    Deploy(String),
    Write { lease: Lease, is_fenced: bool, key: InstanceKey, change: Change, expected: Outcome },
}

impl Story {
    /// `longest_step`: in bytes.
    pub async fn new(seed: u64, length: usize, longest_step: u64) -> Story {
        let model = World::over("memory", Arc::new(Memory::new())).await;
        let mut writes = Writes::new(seed, model.leases.clone()).with_steps_up_to(longest_step);
        let (mut acts, mut models) = (Vec::new(), Vec::new());
        for number in 0..length {
            let act = if number < MODULES as usize {
                Act::Deploy(format!("d{number}"))
            } else {
                let (lease, key, change) = writes.next(&model).await;
                let is_fenced = lease != model.leases[lease.partition as usize];
                Act::Write { lease, is_fenced, key, change, expected: Ok(()) }
            };
            let act = perform(&model, act).await;
            models.push(act.clone());
            acts.push(act);
        }
        // Seen with all that is known at the end: a read of what is not there as yet says so.
        let again = World::over("memory", Arc::new(Memory::new())).await;
        let mut prefixes = vec![contents(&again, &writes).await];
        for act in models {
            perform(&again, act).await;
            prefixes.push(contents(&again, &writes).await);
        }
        Story { acts, prefixes, writes }
    }

    pub fn len(&self) -> usize {
        self.acts.len()
    }

    /// Performs these acts, a few at a time, and tells what is acknowledged. Gives how many acts were begun, and what stopped it: an answer
    /// that is no act's own.
    pub async fn perform(
        &self,
        world: &World,
        acts: std::ops::Range<usize>,
        at_once: usize,
        tell: Tell,
    ) -> (usize, Option<StoreError>) {
        let mut next = acts.start;
        while next < acts.end {
            match world.store.reserve(NUMBERS).await {
                Ok(first) => tell(Told::Number(first + NUMBERS - 1)),
                Err(error) => return (next, Some(error)),
            }
            if let Act::Deploy(digest) = &self.acts[next] {
                next += 1;
                match world.store.deploy(module(digest)).await {
                    Ok(()) => tell(Told::Acts(next)),
                    Err(error) => return (next, Some(error)),
                }
                continue;
            }
            let mut answers = Vec::new();
            while next < acts.end && answers.len() < at_once && !matches!(self.acts[next], Act::Deploy(_)) {
                answers.push((next, self.acts[next].submit(world, next + 1, tell.clone())));
                next += 1;
            }
            for (number, answer) in answers {
                let Act::Write { expected, .. } = &self.acts[number] else { continue };
                match answer.recv().unwrap() {
                    Err(error @ (StoreError::Poisoned(_) | StoreError::Full | StoreError::Io(_))) => {
                        return (next, Some(error));
                    }
                    outcome => assert_eq!(&outcome, expected, "act {number}"),
                }
            }
        }
        (next, None)
    }

    /// How many acts have their effect in the store of this directory: at least those that were acknowledged, and none that was not begun.
    /// The store is in order, and goes on.
    pub async fn recovered(&self, dir: &Path, known: Known, begun: usize) -> Result<usize, String> {
        let store = Embedded::open(dir).map_err(|error| format!("it does not open: {error}"))?;
        let world = World::over("embedded", Arc::new(store)).await;
        let shown = contents(&world, &self.writes).await;
        let candidates = known.acts..=begun;
        let Some(found) = candidates.rev().find(|acts| self.prefixes[*acts] == shown) else {
            let is_any = self.prefixes.iter().position(|prefix| *prefix == shown);
            return Err(match is_any {
                Some(acts) => format!("{acts} acts are there; {} were acknowledged, {begun} begun", known.acts),
                None => format!("it is like no prefix: {shown:#?}"),
            });
        };
        let number = world.number().await;
        if number <= known.number {
            return Err(format!("{number} is given out again, after {}", known.number));
        }
        let one_more = creation("one more", None, u64::from(u32::MAX));
        let created = world.queue(world.leases[0], u64::from(u32::MAX), one_more).await.unwrap();
        created.map_err(|error| format!("it does not go on: {error}"))?;
        drop(world);
        let damage = Picture::of(&dir.join(FILE)).map(|picture| picture.damage()).map_err(|error| error.to_string())?;
        if !damage.is_empty() {
            return Err(format!("it is not in order: {damage:?}"));
        }
        Ok(found)
    }

    /// What there is to see when all is performed.
    pub fn end(&self) -> &Contents {
        &self.prefixes[self.acts.len()]
    }

    pub async fn seen(&self, world: &World) -> Contents {
        contents(world, &self.writes).await
    }
}

impl Act {
    /// Under the leases of this world.
    fn submit(&self, world: &World, done: usize, tell: Tell) -> Receiver<Outcome> {
        let (answer, outcome) = channel();
        if let Act::Write { lease, is_fenced, key, change, .. } = self {
            let mut lease = world.leases[lease.partition as usize];
            lease.epoch -= u64::from(*is_fenced);
            let on_durable = Box::new(move |result: Outcome| {
                let is_known = !matches!(result, Err(StoreError::Poisoned(_) | StoreError::Full | StoreError::Io(_)));
                if is_known {
                    tell(Told::Acts(done));
                }
                let _ = answer.send(result);
            });
            world.store.submit(Write { lease, key: *key, change: change.clone() }, on_durable);
        }
        outcome
    }
}

/// Performs an act on the model, and notes the answer.
async fn perform(model: &World, act: Act) -> Act {
    match act {
        Act::Deploy(digest) => {
            model.store.deploy(module(&digest)).await.unwrap();
            Act::Deploy(digest)
        }
        Act::Write { lease, is_fenced, key, change, .. } => {
            let expected = model.queue(lease, key, change.clone()).await.unwrap();
            Act::Write { lease, is_fenced, key, change, expected }
        }
    }
}
