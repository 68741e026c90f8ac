//! What an instance shows: read from durable state only, derived from history.

use std::sync::Arc;

use fermata_replay::{
    BufferedEvent, Decision, MessageBody, OpenTask, Payload, RuntimeStatus, Start, State, Step, Timestamp, Turn,
};

use super::Dispatcher;
use super::slot::{Inner, Slot};
use crate::limits;
use crate::store::{Filter, Instance, InstanceKey, Loaded, Page, Snapshot, StoreError, StoredMessage};

/// An instance as its owner knows it, durable at the time of reading.
#[derive(Clone, Debug)]
pub struct InstanceView {
    pub id: String,
    /// What tells it from others that have its id before or after it.
    pub key: InstanceKey,
    pub name: String,
    pub status: RuntimeStatus,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// The module that it runs, and the execution of its present generation.
    pub module: String,
    pub execution: String,
    /// Whose child it is.
    pub parent: Option<String>,
    /// How often it has continued as new.
    pub generation: u64,
    pub input: Option<Payload>,
    /// The result, or how it failed.
    pub output: Option<Output>,
    pub custom_status: Option<Payload>,
    /// Why the instance is stopped until somebody does something about it.
    pub parked: Option<String>,
    /// Why it is tried rarely: a step of it was given up again and again. Not durable.
    pub stalled: Option<Arc<str>>,
    /// Only where history was asked for.
    pub history: Option<HistoryView>,
}

#[derive(Clone, Debug)]
pub enum Output {
    Result(Payload),
    Failure(fermata_replay::Failure),
    /// Why it was terminated, where a reason was given.
    Terminated(Option<String>),
}

/// The whole history, and what it adds up to.
#[derive(Clone, Debug)]
pub struct HistoryView {
    pub steps: Vec<Step>,
    /// What would let the instance go on.
    pub waiting_for: Vec<OpenTask>,
    /// All that is under way.
    pub open_tasks: Vec<OpenTask>,
    /// Events that were accepted and that no wait has taken, those included that are unread.
    pub buffered: Vec<BufferedEvent>,
}

/// What history says of an instance that its row and its last turn do not.
pub(super) struct Shown {
    name: String,
    input: Payload,
    parent: Option<String>,
    generation: u64,
    custom_status: Option<Payload>,
}

impl Shown {
    /// None where the custom status may be that of a former generation, which its history does not know.
    pub(super) fn of(state: &State) -> Option<Shown> {
        let (start, custom_status) = (state.start()?, state.custom_status());
        (start.generation == 0 || custom_status.is_some()).then(|| Shown {
            name: start.name.clone(),
            input: start.input.clone(),
            parent: start.parent.as_ref().map(|parent| parent.instance.clone()),
            generation: start.generation,
            custom_status: custom_status.cloned(),
        })
    }

    /// What the instance shows once this turn, its last, is durable. `inner` is still that of the execution that the turn belongs to.
    pub(super) fn after(self, slot: &Slot, inner: &Inner, turn: &Turn, updated: Timestamp) -> InstanceView {
        let Shown { name, input, parent, generation, custom_status } = self;
        InstanceView {
            id: slot.id.to_string(),
            key: slot.key,
            name,
            status: turn.status,
            created: slot.created,
            updated,
            module: inner.module.to_string(),
            execution: inner.execution.to_string(),
            parent,
            generation,
            input: Some(input),
            output: turn.status.is_final().then(|| output_of(&turn.steps)).flatten(),
            custom_status,
            parked: None,
            stalled: None,
            history: None,
        }
    }
}

impl Dispatcher {
    /// What is durable of an instance; with its whole history if asked.
    pub async fn view(&self, id: &str, history: bool) -> Result<Option<InstanceView>, StoreError> {
        let mut view = self.durable_view(id, history).await?;
        if let Some(view) = &mut view {
            view.stalled = self.stalled(id, view.key);
        }
        Ok(view)
    }

    async fn durable_view(&self, id: &str, history: bool) -> Result<Option<InstanceView>, StoreError> {
        if !history {
            return self.store.snapshot(id).await?.map(view).transpose();
        }
        // The instance may be replaced between the two reads: then there is another to be found.
        while let Some(found) = self.store.find(id).await? {
            if let Some(loaded) = self.store.load(found.key).await? {
                return view_with_history(loaded).map(Some);
            }
        }
        Ok(None)
    }

    /// The name of the orchestrator that an instance runs; none where there is no such instance.
    pub async fn orchestrator_of(&self, id: &str) -> Result<Option<String>, StoreError> {
        Ok(self.store.find(id).await?.map(|instance| instance.name))
    }

    /// Instances in the order of creation, without input, output and history. A page may end before it is full, see [`Page`].
    pub async fn list(&self, filter: Filter) -> Result<Page, StoreError> {
        let awaited = filter.waiting_for.clone();
        let page = self.store.list(filter).await?;
        match awaited {
            Some(name) => self.those_that_wait(page, &name).await,
            None => Ok(page),
        }
    }

    /// Leaves out the instances of a page of which only their history knows that they do not wait for this event. The page ends where that
    /// has been enough to read.
    async fn those_that_wait(&self, page: Page, name: &str) -> Result<Page, StoreError> {
        let (mut instances, mut bytes) = (Vec::new(), 0);
        for instance in page.instances {
            let key = instance.key;
            if instance.waiting.is_some() {
                instances.push(instance);
            } else if let Some(loaded) = self.store.load(key).await? {
                bytes += loaded.history.iter().map(String::len).sum::<usize>();
                if waits_for(loaded, name.to_owned()).await? {
                    instances.push(instance);
                }
            }
            if bytes >= limits::LIST_HISTORY_BYTES {
                return Ok(Page { instances, next: Some(key) });
            }
        }
        Ok(Page { instances, next: page.next })
    }
}

async fn waits_for(loaded: Loaded, name: String) -> Result<bool, StoreError> {
    // What can not be read is the trouble of that instance, not of the list.
    let waits = move || all_steps(&loaded.history).is_ok_and(|(_, state)| state.awaits_event(&name));
    tokio::task::spawn_blocking(waits).await.map_err(|error| StoreError::Io(error.to_string().into()))
}

fn view(snapshot: Snapshot) -> Result<InstanceView, StoreError> {
    let Snapshot { instance, first, last, unread } = snapshot;
    let start = match first.as_deref().map(first_step_of).transpose()?.flatten() {
        Some(step) => start_of(step.message),
        None => unread_start(&unread)?,
    };
    let last = last.or(first).filter(|_| instance.status.is_final()).as_deref().map(steps_of).transpose()?;
    let output = last.and_then(|steps| output_of(&steps));
    let Instance { key, id, name, module, execution, status, created, updated, custom_status, parked, .. } = instance;
    let custom_status = custom_status
        .map(|text| Payload::parse(&text).map_err(|error| StoreError::Damaged(error.to_string())))
        .transpose()?;
    let (input, parent, generation) = start
        .map(|start| (start.input, start.parent.map(|parent| parent.instance), start.generation))
        .map_or((None, None, 0), |(input, parent, generation)| (Some(input), parent, generation));
    Ok(InstanceView {
        id,
        key,
        name,
        status,
        created,
        updated,
        module,
        execution,
        parent,
        generation,
        input,
        output,
        custom_status,
        parked,
        stalled: None,
        history: None,
    })
}

/// One picture: the status is that of this very history.
fn view_with_history(loaded: Loaded) -> Result<InstanceView, StoreError> {
    let Loaded { instance, history, unread } = loaded;
    let (steps, state) = all_steps(&history)?;
    let mut chunks = history.into_iter();
    let (first, last) = (chunks.next(), chunks.next_back());
    let mut buffered = state.buffered_events();
    for message in &unread {
        buffered.extend(unread_event(message)?);
    }
    buffered.sort_by_key(|event| event.seq);
    let mut view = view(Snapshot { instance, first, last, unread })?;
    let (waiting_for, open_tasks) = (state.waiting_for(), state.open_tasks());
    view.history = Some(HistoryView { waiting_for, open_tasks, buffered, steps });
    Ok(view)
}

/// An event that was accepted, and that the instance has not read: it is suspended or parked, or about to.
fn unread_event(message: &StoredMessage) -> Result<Option<BufferedEvent>, StoreError> {
    Ok(match serde_json::from_str(&message.body).map_err(damaged)? {
        MessageBody::EventRaised { name, input } => Some(BufferedEvent { seq: message.seq, name, input }),
        _ => None,
    })
}

/// A whole history, and what it adds up to.
fn all_steps(history: &[String]) -> Result<(Vec<Step>, State), StoreError> {
    let mut steps = Vec::new();
    for chunk in history {
        steps.extend(steps_of(chunk)?);
    }
    let state = State::checked(&steps).map_err(|bad| StoreError::Damaged(bad.to_string()))?;
    Ok((steps, state))
}

fn steps_of(chunk: &str) -> Result<Vec<Step>, StoreError> {
    serde_json::from_str(chunk).map_err(damaged)
}

/// Without a look at those behind it, which may be many.
fn first_step_of(chunk: &str) -> Result<Option<Step>, StoreError> {
    let inner = chunk
        .trim_start()
        .strip_prefix('[')
        .ok_or_else(|| StoreError::Damaged("a row of history is no array".into()))?;
    if inner.trim_start().starts_with(']') {
        return Ok(None);
    }
    serde_json::Deserializer::from_str(inner).into_iter().next().transpose().map_err(damaged)
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Damaged(error.to_string())
}

/// The start of an execution that has not begun. Messages that were left to it may stand before it.
fn unread_start(unread: &[StoredMessage]) -> Result<Option<Start>, StoreError> {
    for message in unread {
        if let Some(start) = start_of(serde_json::from_str(&message.body).map_err(damaged)?) {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

fn start_of(message: MessageBody) -> Option<Start> {
    match message {
        MessageBody::Started(start) => Some(*start),
        _ => None,
    }
}

fn output_of(steps: &[Step]) -> Option<Output> {
    steps.iter().rev().find_map(|step| {
        let decided = step.decisions.iter().rev().find_map(|decision| match decision {
            Decision::Completed { output } => Some(Output::Result(output.clone())),
            Decision::Failed { failure } => Some(Output::Failure(failure.clone())),
            _ => None,
        });
        decided.or_else(|| match &step.message {
            MessageBody::Terminated(control) => Some(Output::Terminated(control.reason.clone())),
            _ => None,
        })
    })
}
