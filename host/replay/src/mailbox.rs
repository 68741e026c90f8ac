use std::collections::{BTreeMap, HashMap};

use crate::{Payload, TaskId};

/// Folds an event name for comparison: names compare without regard to case, spelling is kept elsewhere.
pub fn fold_name(name: &str) -> String {
    if name.is_ascii() { name.to_ascii_lowercase() } else { name.to_lowercase() }
}

/// Where events and waits of each name meet. For one name, events and open waits are never both there: whichever came
/// second was matched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mailbox {
    /// Open waits by name, at least one of each: the newest last, which is also the order of their handles.
    open: HashMap<String, Vec<TaskId>>,
    /// Events that nobody waits for by name, at least one of each, by sequence.
    buffered: HashMap<String, BTreeMap<u64, Buffered>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Buffered {
    /// As the sender spelled it.
    pub name: String,
    pub input: Payload,
}

impl Mailbox {
    /// Takes the oldest buffered event for a new wait, or notes the wait as open.
    pub fn wait(&mut self, folded: &str, task: TaskId) -> Option<(u64, Buffered)> {
        if let Some(events) = self.buffered.get_mut(folded) {
            let oldest = events.pop_first();
            if events.is_empty() {
                self.buffered.remove(folded);
            }
            return oldest;
        }
        match self.open.get_mut(folded) {
            Some(waits) => waits.push(task),
            None => drop(self.open.insert(folded.to_owned(), vec![task])),
        }
        None
    }

    /// Takes the newest open wait for an event, or buffers the event at its place in the sequence.
    pub fn deliver(&mut self, folded: &str, seq: u64, event: Buffered) -> Result<(TaskId, Buffered), ()> {
        match self.open.get_mut(folded).and_then(Vec::pop) {
            Some(task) => {
                self.forget_if_empty(folded);
                Ok((task, event))
            }
            None => {
                self.buffered.entry(folded.to_owned()).or_default().insert(seq, event);
                Err(())
            }
        }
    }

    /// Closes an open wait.
    pub fn close(&mut self, folded: &str, task: TaskId) {
        if let Some(waits) = self.open.get_mut(folded) {
            if let Ok(at) = waits.binary_search(&task) {
                waits.remove(at);
            }
            self.forget_if_empty(folded);
        }
    }

    /// Closes all open waits.
    pub fn close_all(&mut self) {
        self.open.clear();
    }

    /// Buffered events of all names.
    pub fn buffered(&self) -> impl Iterator<Item = (u64, &Buffered)> {
        self.buffered.values().flat_map(|events| events.iter().map(|(seq, event)| (*seq, event)))
    }

    /// The names that somebody waits for, folded, each with its open waits in the order of their handles.
    pub fn open(&self) -> impl Iterator<Item = (&str, &[TaskId])> {
        self.open.iter().map(|(folded, waits)| (folded.as_str(), waits.as_slice()))
    }

    /// The open waits for a name, in the order of their handles.
    pub fn open_for(&self, folded: &str) -> &[TaskId] {
        self.open.get(folded).map_or(&[], Vec::as_slice)
    }

    fn forget_if_empty(&mut self, folded: &str) {
        if self.open.get(folded).is_some_and(Vec::is_empty) {
            self.open.remove(folded);
        }
    }
}
