//! The sub-orchestrations of a run.

use fermata_replay::{
    Caller, Failure as HostFailure, OpenKind, Outcome as HostOutcome, Parent, TaskId, Timestamp, kind,
};
use serde::Serialize;

use super::instance::Instance;
use super::{Run, convert, json};
use crate::host::Outcome;
use crate::{Failure, registry};

/// An attempt at a sub-orchestration.
#[derive(Clone)]
pub(super) struct Child {
    pub(super) name: String,
    /// Its instance id.
    pub(super) instance: String,
    pub(super) input: String,
    pub(super) caller: Caller,
    /// How many events its parent had sent before it was started.
    pub(super) sent_before: usize,
}

/// A child that was run to its end.
struct EndedChild {
    child: Child,
    at: Timestamp,
    outcome: HostOutcome,
    /// Events for its parent: their names and payloads.
    raised: Vec<(String, String)>,
}

impl Run {
    /// The sub-orchestrations that were started and have not ended, oldest first: their names, instance ids, and inputs, as JSON. One that
    /// waits for its next attempt is not among them.
    pub fn open_sub_orchestrations(&self) -> Vec<(String, String, String)> {
        self.open_children().into_iter().map(|child| (child.name, child.instance, child.input)).collect()
    }

    /// Completes the oldest open sub-orchestration of this name.
    pub fn complete_sub_orchestration(&mut self, name: &str, result: impl Serialize) {
        self.end_oldest(name, Ok(json(&result)));
    }

    /// Fails the oldest open sub-orchestration of this name: this attempt, where it has a retry policy.
    pub fn fail_sub_orchestration(&mut self, name: &str, failure: Failure) {
        self.end_oldest(name, Err(Box::new(failure)));
    }

    /// Runs open sub-orchestrations with this program's own orchestrators and activities, until none is open.
    ///
    /// Each runs to its end. Where its timers take time, that time passes for this run, too, before it learns of the end; of several, the
    /// one that ends first is heard first. Events that parent and child send each other arrive.
    ///
    /// # Panics
    /// Where one waits for what only the test could give it, such as an event from outside: end it with
    /// [`complete_sub_orchestration`](Self::complete_sub_orchestration).
    pub fn run_sub_orchestrations(&mut self) {
        loop {
            let open = self.open_children();
            if open.is_empty() {
                return;
            }
            let mut ended: Vec<EndedChild> = open.into_iter().map(|child| self.run_child(child)).collect();
            ended.sort_by_key(|ended| ended.at);
            for EndedChild { child, at, outcome, raised } in ended {
                self.advance_to(at);
                raised.iter().for_each(|(name, payload)| self.raise_json(name, payload));
                self.tell_of_child(&child.caller, outcome);
            }
        }
    }

    fn open_children(&self) -> Vec<Child> {
        let world = self.life.world.borrow();
        let under_way = |task: &fermata_replay::OpenTask| matches!(task.kind, OpenKind::Child { retry: None, .. });
        let open: Vec<TaskId> =
            world.state().open_tasks().iter().filter(|task| under_way(task)).map(|t| t.task).collect();
        open.iter().filter_map(|task| self.instance.children.get(task).cloned()).collect()
    }

    fn end_oldest(&mut self, name: &str, outcome: Outcome) {
        let found = self.open_children().into_iter().find(|child| child.name == name);
        let child = found.unwrap_or_else(|| panic!("no sub-orchestration `{name}` is open"));
        self.tell_of_child(&child.caller, convert::result(&outcome));
    }

    fn tell_of_child(&mut self, caller: &Caller, outcome: HostOutcome) {
        if self.is_running() {
            self.deliver(caller.told(outcome));
        }
    }

    fn run_child(&self, child: Child) -> EndedChild {
        if registry::orchestrator(&child.name).is_none() {
            let message = format!("no module holds the orchestrator `{}`", child.name);
            let outcome = HostOutcome::Failed(HostFailure::new(kind::NOT_FOUND, message));
            return EndedChild { child, at: self.instance.now, outcome, raised: Vec::new() };
        }
        let parent = Parent { instance: self.instance.id.to_string(), caller: child.caller.clone() };
        let executions = self.instance.executions.clone();
        let mut instance = Instance::new(&child.name, &child.instance, Some(parent), executions);
        instance.now = self.instance.now;
        instance.log = self.instance.log.clone();
        let mut run = Run::launch(instance, &child.input);
        for (to, name, payload) in &self.instance.sent[child.sent_before..] {
            if *to == child.instance {
                run.raise_json(name, payload);
            }
        }
        run.run_to_end();
        let end = run.life.world.borrow().state().end().and_then(|end| end.told());
        let raised = run.instance.sent.into_iter().filter(|(to, ..)| **to == *self.instance.id);
        EndedChild {
            at: run.instance.now,
            outcome: end.expect("the child has ended"),
            raised: raised.map(|(_, name, payload)| (name, payload)).collect(),
            child,
        }
    }

    fn run_to_end(&mut self) {
        loop {
            self.run_activities();
            self.run_sub_orchestrations();
            if !self.is_running() {
                return;
            }
            // Time may have begun another attempt, or another child.
            if self.skip_to_next_timer().is_none() && self.instance.activities.is_empty() {
                let (name, waiting) = (&self.instance.orchestrator, self.waiting_for().join(", "));
                panic!("sub-orchestration `{name}` waits for {waiting}: end it with complete_sub_orchestration");
            }
        }
    }
}
