//! What an execution begins with: that of a new instance, and that of the next generation of one that continues as new.

use std::sync::Arc;

use fermata_replay::{Message, MessageBody, NextGeneration, Parent, Payload, Start};

use super::Dispatcher;
use super::registry::Active;
use super::simulator::random;
use super::slot::Inner;
use crate::store::{NewGeneration, StoredMessage};

impl Dispatcher {
    /// The start of a new instance of the newest module that holds the orchestrator; none where none does.
    pub(super) fn new_start(&self, name: &str, input: Payload, parent: Option<Parent>) -> Option<Start> {
        let (name, module) = self.registry.orchestrator(name)?;
        Some(Start {
            name,
            input,
            execution: self.new_name(),
            module,
            seed: self.new_seed(),
            parent,
            generation: 0,
            carried: Vec::new(),
            limits: self.engine.limits().execution,
        })
    }

    /// Begins the next generation in memory, before all messages that were left to it, and says what the store has to know of it.
    ///
    /// Its start has the place in the order of arrival of the message that the generation before ended with, so that nothing comes
    /// between the two.
    pub(super) fn begin_generation(
        &self,
        inner: &mut Inner,
        active: &Active,
        old: Start,
        next: NextGeneration,
        seq: u64,
        mut left: Vec<Message>,
    ) -> NewGeneration {
        let newest = active.orchestrator(&old.name).filter(|_| !next.same_module);
        let (name, module) = newest.unwrap_or_else(|| (old.name.clone(), inner.module.to_string()));
        let start = Start {
            name,
            input: next.input,
            execution: self.new_name(),
            module: module.clone(),
            seed: self.new_seed(),
            parent: old.parent,
            generation: old.generation + 1,
            carried: next.carried,
            limits: self.engine.limits().execution,
        };
        inner.execution = start.execution.as_str().into();
        inner.module = Arc::from(module.as_str());
        let execution = start.execution.clone();
        let message = Message { seq, at: self.clock.now(), body: MessageBody::Started(Box::new(start)) };
        let stored = StoredMessage { seq, at: message.at, body: to_json(&message.body) };
        left.insert(0, message);
        inner.inbox.prepend(left);
        NewGeneration { execution, module, start: stored }
    }

    /// 256 random bits in hex.
    fn new_seed(&self) -> String {
        hex::encode(random::<32>(self.simulator.as_deref()))
    }
}

pub(super) fn to_json(body: &MessageBody) -> String {
    serde_json::to_string(body).expect("messages are JSON")
}
