//! Whether what is stored is true: what is derived from history must be what history gives, and rows must fit each other.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fermata_replay::{MessageBody, OpenKind, OutgoingBody, RuntimeStatus, State, Step, TaskId};
use serde::Serialize;

use crate::store::embedded::copy::Picture;
use crate::store::{Instance, InstanceKey, Loaded, StoreError, StoredMessage};

/// What was looked at, and what was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub instances: u64,
    pub steps: u64,
    pub problems: Vec<Problem>,
    /// What is not there, for it could not be copied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Problem>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The id of the instance; none where it concerns none, or where that can not be read.
    pub instance: Option<String>,
    pub what: String,
}

/// Reads everything. Takes as long as that takes, and no lock that anybody waits for.
pub fn verify(picture: &Picture) -> Report {
    let mut report = Report::default();
    picture.damage().into_iter().for_each(|what| report.add(None, what));
    let tasks = open_activities(picture)
        .inspect_err(|error| report.add(None, format!("activities can not be read: {error}")))
        .ok();
    match picture.keys() {
        Err(error) => report.add(None, format!("instances can not be listed: {error}")),
        Ok(keys) => {
            for key in keys {
                let tasks = tasks.as_ref().map(|tasks| tasks.get(&key).cloned().unwrap_or_default());
                report.look_at(picture, key, tasks);
            }
        }
    }
    match picture.outbox() {
        Err(error) => report.add(None, format!("the outbox can not be read: {error}")),
        Ok(outbox) => {
            for sent in outbox {
                if let Err(error) = serde_json::from_str::<OutgoingBody>(&sent.body) {
                    report.add(Some(sent.from_id), format!("message {} for {} is damaged: {error}", sent.seq, sent.to));
                }
            }
        }
    }
    report
}

type Tasks = BTreeSet<TaskId>;

/// By instance.
fn open_activities(picture: &Picture) -> Result<BTreeMap<InstanceKey, Tasks>, StoreError> {
    let mut tasks = BTreeMap::<InstanceKey, Tasks>::new();
    for activity in picture.open_activities()? {
        tasks.entry(activity.key).or_default().insert(activity.task);
    }
    Ok(tasks)
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    fn add(&mut self, instance: Option<String>, what: String) {
        self.problems.push(Problem { instance, what });
    }

    fn look_at(&mut self, picture: &Picture, key: InstanceKey, tasks: Option<Tasks>) {
        self.instances += 1;
        let Loaded { instance, history, unread } = match picture.load(key) {
            Ok(Some(loaded)) => loaded,
            Ok(None) => return self.add(None, format!("instance {key} is listed, and not there")),
            Err(error) => return self.add(None, format!("instance {key} can not be read: {error}")),
        };
        let id = Some(instance.id.clone());
        let steps: Result<Vec<Vec<Step>>, _> = history.iter().map(|chunk| serde_json::from_str(chunk)).collect();
        let steps = match steps {
            Ok(steps) => steps.concat(),
            Err(error) => return self.add(id, format!("its history is damaged: {error}")),
        };
        self.steps += steps.len() as u64;
        let state = match State::checked(&steps) {
            Ok(state) => state,
            Err(bad) => return self.add(id, bad.to_string()),
        };
        let derived = differences(&instance, &steps, &state);
        let inbox = in_inbox(&steps, &unread);
        let tasks = tasks.map(|tasks| of_activities(&state, &tasks)).unwrap_or_default();
        for what in derived.into_iter().chain(inbox).chain(tasks) {
            self.add(id.clone(), what);
        }
    }
}

/// Where the row of an instance says something else than its history.
fn differences(instance: &Instance, steps: &[Step], state: &State) -> Vec<String> {
    let mut all = Vec::new();
    let mut compare = |what: &str, stored: String, derived: String| {
        if stored != derived {
            all.push(format!("its {what} is {stored}, and by its history {derived}"));
        }
    };
    if steps.is_empty() {
        // It has not begun, or a generation has ended.
        let expected = if instance.version == 0 { RuntimeStatus::Pending } else { RuntimeStatus::Running };
        compare("status", instance.status.name().to_owned(), expected.name().to_owned());
        return all;
    }
    compare("status", instance.status.name().to_owned(), state.runtime_status().name().to_owned());
    compare("due time", format!("{:?}", instance.due), format!("{:?}", state.next_due()));
    compare("module", instance.module.clone(), state.module().to_owned());
    if let Some(start) = state.start() {
        compare("execution", instance.execution.clone(), start.execution.clone());
    }
    if let Some(waiting) = instance.waiting.as_ref() {
        let derived = if instance.status.is_final() { Some(BTreeSet::new()) } else { state.awaited_events() };
        compare("list of awaited events", format!("{waiting:?}"), format!("{:?}", derived.unwrap_or_default()));
    }
    // Of a generation before it stays; and of a step that was undone, where an older host did that.
    let set = steps.iter().rev().find_map(|step| step.custom_status.as_ref());
    if let Some(set) = set {
        let stored = instance.custom_status.as_deref().unwrap_or("none");
        compare("custom status", stored.to_owned(), set.as_str().to_owned());
    }
    if instance.version == 0 {
        all.push("it has a history, and no turn".to_owned());
    }
    if steps.windows(2).any(|pair| pair[0].at > pair[1].at) {
        all.push("its time goes backwards".to_owned());
    }
    all
}

/// Messages that are to be read, and were read before or can not be.
fn in_inbox(steps: &[Step], unread: &[StoredMessage]) -> Vec<String> {
    // What a rewind undoes is read again.
    let was_rewound = steps.iter().any(|step| matches!(step.message, MessageBody::Rewound(_)));
    let is_sent = |step: &&Step| !matches!(step.message, MessageBody::TimerFired { .. });
    let mut read = HashSet::new();
    let twice = steps.iter().filter(is_sent).map(|step| step.seq).filter(|seq| !read.insert(*seq)).collect::<Vec<_>>();
    let mut all = Vec::new();
    if !was_rewound {
        all.extend(twice.iter().map(|seq| format!("message {seq} was consumed twice")));
        let again = unread.iter().filter(|message| read.contains(&message.seq));
        all.extend(again.map(|message| format!("message {} was consumed, and is unread", message.seq)));
    }
    for message in unread {
        if let Err(error) = serde_json::from_str::<MessageBody>(&message.body) {
            all.push(format!("message {} is damaged: {error}", message.seq));
        }
    }
    all
}

/// Activities that nobody works on, and work for nobody.
fn of_activities(state: &State, tasks: &Tasks) -> Vec<String> {
    let open: BTreeMap<TaskId, bool> = state
        .open_tasks()
        .into_iter()
        .filter_map(|task| match task.kind {
            OpenKind::Activity { retry, .. } => Some((task.task, retry.is_some())),
            _ => None,
        })
        .collect();
    let forgotten = open.iter().filter(|(task, rests)| !**rests && !tasks.contains(task));
    let forgotten = forgotten.map(|(task, _)| format!("activity {task} is open, and nobody is to do it"));
    let needless = tasks.iter().filter(|task| !open.contains_key(task));
    forgotten.chain(needless.map(|task| format!("activity {task} is to be done, and is not open"))).collect()
}
