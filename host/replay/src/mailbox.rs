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
    slots: HashMap<String, Slot>,
}

#[derive(Clone, Debug, Default)]
struct Slot {
    /// Open waits, the newest last, which is also the order of their handles.
    open: Vec<TaskId>,
    /// Events that nobody waits for, by sequence.
    buffered: BTreeMap<u64, Buffered>,
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
        if let Some(slot) = self.slots.get_mut(folded) {
            if let Some(event) = slot.buffered.pop_first() {
                self.forget_if_empty(folded);
                return Some(event);
            }
            slot.open.push(task);
        } else {
            self.slots.insert(folded.to_owned(), Slot { open: vec![task], ..Slot::default() });
        }
        None
    }

    /// Takes the newest open wait for an event, or buffers the event at its place in the sequence.
    pub fn deliver(&mut self, folded: &str, seq: u64, event: Buffered) -> Result<(TaskId, Buffered), ()> {
        match self.slots.get_mut(folded).and_then(|slot| slot.open.pop()) {
            Some(task) => {
                self.forget_if_empty(folded);
                Ok((task, event))
            }
            None => {
                self.slots.entry(folded.to_owned()).or_default().buffered.insert(seq, event);
                Err(())
            }
        }
    }

    /// Closes an open wait.
    pub fn close(&mut self, folded: &str, task: TaskId) {
        if let Some(slot) = self.slots.get_mut(folded) {
            if let Ok(at) = slot.open.binary_search(&task) {
                slot.open.remove(at);
            }
            self.forget_if_empty(folded);
        }
    }

    /// Closes all open waits.
    pub fn close_all(&mut self) {
        self.slots.retain(|_, slot| {
            slot.open.clear();
            !slot.buffered.is_empty()
        });
    }

    /// Buffered events of all names.
    pub fn buffered(&self) -> impl Iterator<Item = (u64, &Buffered)> {
        self.slots.values().flat_map(|slot| slot.buffered.iter().map(|(seq, event)| (*seq, event)))
    }

    fn forget_if_empty(&mut self, folded: &str) {
        if self.slots.get(folded).is_some_and(|slot| slot.open.is_empty() && slot.buffered.is_empty()) {
            self.slots.remove(folded);
        }
    }
}
