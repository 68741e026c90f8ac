//! One life of a guest: from its history to where it is dropped.

use std::rc::Rc;

use fermata_replay::{Message, Step, Timestamp, Turn};

use super::world::{Log, SharedWorld, World};
use crate::executor::{self, Executor};
use crate::host::Block;

pub(super) struct Life {
    pub(super) world: SharedWorld,
    /// None before the start, and after the end.
    executor: Option<Executor>,
    blocked: Option<Block>,
}

impl Life {
    /// A guest that has yet to run: it will replay the history, then take the messages pushed.
    pub(super) fn new(instance_id: Rc<str>, history: Vec<Step>, log: Log) -> Self {
        Self { world: World::shared(instance_id, history, log), executor: None, blocked: None }
    }

    pub(super) fn push(&self, message: Message) {
        self.world.borrow_mut().push(message);
    }

    /// Runs the guest until the host has no answer for it, or it ends. Deadlines pass up to `now`; none, where it is only to replay.
    pub(super) fn resume(&mut self, now: Option<Timestamp>) -> Turn {
        if let Some(now) = now {
            self.world.borrow_mut().execution.tick(now);
        }
        if self.world.borrow().state().start().is_none() {
            self.begin();
        }
        while let Some(executor) = &mut self.executor {
            if let Some(block) = self.blocked.take() {
                let Some(answer) = self.world.borrow_mut().answer(&block) else {
                    self.blocked = Some(block);
                    break;
                };
                executor.resume(block, answer);
            }
            match executor.step() {
                executor::Step::Blocked(block) => {
                    self.world.borrow_mut().blocked(&block);
                    self.blocked = Some(block);
                }
                executor::Step::Done(result) => {
                    // A guest that ends is not evicted: what its destructors ask for is heard.
                    self.executor = None;
                    self.world.borrow_mut().end(result);
                }
                executor::Step::ContinuedAsNew(next) => {
                    self.world.borrow_mut().continue_as_new(&next);
                    self.evict();
                }
            }
        }
        if self.executor.is_none() {
            self.world.borrow_mut().absorb();
        }
        if self.world.borrow().state().end().is_some() {
            self.evict();
        }
        self.world.borrow_mut().take_turn()
    }

    fn begin(&mut self) {
        let Some(start) = self.world.borrow_mut().execution.begin() else {
            return;
        };
        let host = Box::new(self.world.clone());
        match Executor::start(&start.name, start.input.as_str().to_owned(), host) {
            Ok(executor) => self.executor = Some(executor),
            Err(failure) => self.world.borrow_mut().end(Err(failure)),
        }
    }

    /// Every call to the host so far that a history records or that waits.
    pub(super) fn calls(&self) -> Vec<String> {
        self.world.borrow().calls.clone()
    }

    /// Drops the guest, which no part of it notices: what its destructors would ask of the host is not heard.
    fn evict(&mut self) {
        self.world.borrow_mut().evicted = true;
        self.executor = None;
        self.blocked = None;
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.evict();
    }
}

/// What was played of one generation.
#[derive(Clone, Default)]
pub(super) struct Played {
    pub(super) history: Vec<Step>,
    pub(super) calls: Vec<String>,
}

impl Played {
    /// Replays every beginning of the history, and compares what the guest asks of the host.
    ///
    /// # Panics
    /// Where it asks for something else than before.
    pub(super) fn check(&self, orchestrator: &str, instance_id: &Rc<str>) {
        let length = self.history.len();
        let rewound = self.history.iter().any(|step| matches!(step.message, fermata_replay::MessageBody::Rewound(_)));
        for steps in 1..=length {
            let mut life = Life::new(instance_id.clone(), self.history[..steps].to_vec(), Log::default());
            life.resume(None);
            let replayed = life.calls();
            let same = match steps == length {
                true => replayed == self.calls,
                // What a rewind has undone was asked for by a guest that is gone.
                false => rewound || self.calls.starts_with(&replayed),
            };
            assert!(
                same,
                "orchestrator `{orchestrator}` is not deterministic: after {steps} steps it did\n  {}\nand at first\n  {}",
                replayed.join("\n  "),
                self.calls.join("\n  "),
            );
        }
    }
}
