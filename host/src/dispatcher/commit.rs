//! The commit of a turn: all that it makes true in the store, and what it lets loose when that is durable.

use std::sync::Arc;

use fermata_replay::{RuntimeStatus, Step, Timestamp, Turn};

use super::Dispatcher;
use super::generation::to_json;
use super::registry::Active;
use super::slot::{Inner, Slot};
use super::view::{InstanceView, Shown};
use crate::engine::{Guest, Line};
use crate::limits::Limit;
use crate::store::{
    Activity, Change, NewActivity, NewGeneration, Outgoing, Sent, StoreError, StoredMessage, TurnRecord,
};

/// So many decisions take about as long to be written as a row of its own.
const ROW_DECISIONS: usize = 4;

impl Dispatcher {
    /// Submits a turn that no guest ran; what it lets loose starts when it is durable. False where the slot is not to be trusted.
    pub(super) fn commit(self: &Arc<Self>, slot: &Arc<Slot>, turn: Turn) -> bool {
        self.commit_and(slot, turn, Vec::new(), || None, |_, _, _| None)
    }

    /// The same of a turn that a guest ran, with its log.
    pub(super) fn commit_of(self: &Arc<Self>, slot: &Arc<Slot>, turn: Turn, guest: &mut Guest) -> bool {
        let log = guest.take_log();
        self.commit_and(slot, turn, log, || guest.state(Shown::of), |_, _, _| None)
    }

    /// The same; `shown` tells those who wait for the turn what the instance shows after it, and the generation that follows is begun under the slot's lock.
    pub(super) fn commit_and(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        mut turn: Turn,
        log: Vec<Line>,
        shown: impl FnOnce() -> Option<Shown>,
        follow: impl FnOnce(&mut Inner, &mut Turn, &Active) -> Option<NewGeneration>,
    ) -> bool {
        self.warn_of_size(slot, &turn);
        self.wait_for_disk();
        // Before the lock is taken: it takes time.
        let steps = (turn.next.is_none() && !turn.steps.is_empty())
            .then(|| serde_json::to_string(&turn.steps).expect("steps are JSON"));
        let outgoing = std::mem::take(&mut turn.outgoing).into_iter().map(|outgoing| {
            let body = serde_json::to_string(&outgoing.body).expect("messages are JSON");
            Ok(Outgoing { seq: self.ids.next()?, to: outgoing.to, body })
        });
        let outgoing: Result<Vec<Outgoing>, StoreError> = outgoing.collect();
        self.meanwhile();
        let mut inner = slot.lock();
        if !inner.is_trusted() {
            return false;
        }
        let outgoing = match outgoing {
            Ok(outgoing) => outgoing,
            Err(error) => {
                let dropped = self.distrust(slot, &mut inner, &error);
                drop(inner);
                drop(dropped);
                return false;
            }
        };
        if let Some(module) = &turn.module {
            inner.module = module.as_str().into();
        }
        let taken = self.watchers.awaited(slot.key, &turn.consumed);
        let now = self.clock.now();
        let shown = if taken.is_empty() { None } else { shown() };
        let shown = shown.map(|shown| Arc::new(shown.after(slot, &inner, &turn, updated(&turn, now))));
        let after = After { taken, shown, ..After::new(slot, &inner, &turn, &outgoing, log) };
        // Until the turn is submitted: the module of the next generation must not go.
        let active = turn.next.is_some().then(|| self.registry.read());
        let generation = active.as_ref().and_then(|active| follow(&mut inner, &mut turn, active));
        let is_full = turn.is_full();
        let decisions: usize = turn.steps.iter().map(|step| step.decisions.len()).sum();
        let record = record(turn, steps, outgoing, generation, inner.version, now);
        inner.version += 1;
        inner.abandoned = 0;
        self.set_stalled(&mut inner, None);
        let counted = std::mem::replace(&mut inner.counts, !record.status.is_final());
        let counts = inner.counts;
        inner.due = record.due;
        inner.status = record.status;
        inner.suspending.take_if(|seq| record.consumed.contains(seq));
        if record.status == RuntimeStatus::Suspended {
            self.leave_messages(&mut inner);
        }
        let rows = record.activities.len() + record.outgoing.len();
        let change = Change::Turn(record);
        slot.share.wrote(rows + decisions / ROW_DECISIONS, change.bytes(), is_full);
        let (dispatcher, of) = (self.clone(), slot.clone());
        self.submit(slot, &mut inner, change, move |outcome| {
            if outcome.is_ok() {
                of.share.instance_changed(counted, counts);
                after.come_true(&dispatcher, &of);
            }
        });
        drop(active);
        if inner.status == RuntimeStatus::Suspended || inner.pending {
            inner.leave_in_store();
        }
        true
    }

    /// A turn is never refused, but it waits: no more writes are under way than the disk keeps up with. Where somebody simulates there is one
    /// thread, which must not wait for itself.
    fn wait_for_disk(&self) {
        if self.simulator.is_none() {
            self.shares.writes.wait_for_room();
        }
    }

    /// Says that a history has become large, in the turn in which it has; and counts those that have become too large.
    fn warn_of_size(&self, slot: &Slot, turn: &Turn) {
        if turn.steps.iter().any(Step::ends_for_its_size) {
            self.metrics().hit(Limit::History);
        }
        let limits = self.engine.limits();
        let (events, bytes) = (limits.history_warn_events, limits.history_warn_bytes);
        let (before, now) = (turn.history_before, turn.history);
        if before.events < events && now.events >= events || before.bytes < bytes && now.bytes >= bytes {
            tracing::warn!(
                instance = &*slot.id,
                "its history has {} events and {} bytes: one that goes on for long should use continue-as-new",
                now.events,
                now.bytes
            );
        }
    }

    /// A suspended instance reads nothing: what it was sent waits in the store; unless something there calls it back.
    fn leave_messages(&self, inner: &mut Inner) {
        if inner.inbox.has_call_back() {
            inner.status = RuntimeStatus::Running;
            inner.pending = true;
        }
        inner.inbox.take();
    }
}

/// What a turn lets loose when it is durable.
struct After {
    /// The execution that the turn belongs to.
    execution: Arc<str>,
    due: Option<Timestamp>,
    log: Vec<Line>,
    give_up: GiveUp,
    perform: Vec<Activity>,
    send: Vec<Sent>,
    /// Messages that it has taken, where somebody waits for that.
    taken: Vec<u64>,
    /// For them: what the instance shows then; none where that is to be read from the store.
    shown: Option<Arc<InstanceView>>,
}

/// Activities whose work is not needed any more.
enum GiveUp {
    Tasks(Vec<u32>),
    All,
}

impl After {
    /// `inner` is still that of the execution that the turn belongs to.
    fn new(slot: &Slot, inner: &Inner, turn: &Turn, outgoing: &[Outgoing], log: Vec<Line>) -> After {
        let perform = turn.activities.iter().map(|activity| Activity {
            key: slot.key,
            instance_id: slot.id.to_string(),
            execution: inner.execution.to_string(),
            module: inner.module.to_string(),
            task: activity.task,
            name: activity.name.clone(),
            input: activity.input.as_str().to_owned(),
            attempt: activity.attempt,
            timeout: activity.timeout.map(|span| span.0),
        });
        let send = outgoing.iter().map(|outgoing| Sent {
            seq: outgoing.seq,
            from: slot.key,
            from_id: slot.id.to_string(),
            to: outgoing.to.clone(),
            body: outgoing.body.clone(),
        });
        // One that returns lets go of what it called; what is terminated stops.
        let (perform, give_up) = match turn.status {
            RuntimeStatus::Terminated => (Vec::new(), GiveUp::All),
            _ => (perform.collect(), GiveUp::Tasks(turn.settled.clone())),
        };
        let (execution, due) = (inner.execution.clone(), turn.due);
        After { execution, due, log, give_up, perform, send: send.collect(), taken: Vec::new(), shown: None }
    }

    fn come_true(self, dispatcher: &Arc<Dispatcher>, slot: &Slot) {
        let (key, id) = (slot.key, &slot.id);
        if let Some(due) = self.due {
            dispatcher.timers.note(due, key, id);
        }
        for line in self.log {
            let (may_log, dropped) = slot.share.may_log(line.text().len());
            if dropped > 0 {
                tracing::warn!(
                    instance = &**id,
                    "{dropped} lines of log of its orchestrator were dropped: too many in a second"
                );
            }
            if may_log {
                line.write(id, &self.execution);
            } else {
                dispatcher.metrics().log_lines_dropped.inc();
                dispatcher.metrics().hit(Limit::LogRate);
            }
        }
        match self.give_up {
            GiveUp::Tasks(tasks) => tasks.into_iter().for_each(|task| dispatcher.give_up(key, Some(task))),
            GiveUp::All => dispatcher.give_up(key, None),
        }
        self.perform.into_iter().for_each(|activity| dispatcher.perform(activity));
        dispatcher.send(self.send);
        dispatcher.watchers.taken(key, &self.taken, self.shown.as_ref());
    }
}

/// When the instance last changed, after this turn.
fn updated(turn: &Turn, now: Timestamp) -> Timestamp {
    turn.steps.last().map_or(now, |step| step.at)
}

fn record(
    turn: Turn,
    steps: Option<String>,
    outgoing: Vec<Outgoing>,
    generation: Option<NewGeneration>,
    expected_version: u64,
    now: Timestamp,
) -> TurnRecord {
    let updated = updated(&turn, now);
    let custom_status = turn.steps.iter().rev().find_map(|step| step.custom_status.as_ref());
    let returned = turn.returned.iter().map(|message| StoredMessage {
        seq: message.seq,
        at: message.at,
        body: to_json(&message.body),
    });
    let activities = turn.activities.into_iter().map(|activity| NewActivity {
        task: activity.task,
        name: activity.name,
        input: activity.input.as_str().to_owned(),
        attempt: activity.attempt,
        timeout: activity.timeout.map(|span| span.0),
    });
    TurnRecord {
        expected_version,
        steps,
        consumed: turn.consumed,
        returned: returned.collect(),
        status: turn.status,
        updated,
        custom_status: custom_status.map(|status| status.as_str().to_owned()),
        activities: activities.collect(),
        settled: turn.settled,
        due: turn.due,
        waiting: turn.waiting,
        module: turn.module,
        outgoing,
        generation,
    }
}
