use std::cell::OnceCell;

use crate::BlockedOn;

/// What the guest is blocked on, and how far the question whether it may go on has been answered.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub on: BlockedOn,
    /// Completions before this index have been looked at.
    pub seen: usize,
    /// For `All`: the tasks before this place in the list are complete.
    pub complete_before: usize,
    /// Whether each task is in the list of `Any` or `All`. Worked out when that is first asked.
    is_among: OnceCell<Vec<bool>>,
}

impl Blocked {
    pub fn on(on: BlockedOn, seen: usize) -> Blocked {
        Blocked { on, seen, complete_before: 0, is_among: OnceCell::new() }
    }

    /// Of so many tasks, all there are: whether each is in the list that the guest is blocked on. None is created while it is.
    pub fn is_among(&self, tasks: usize) -> &[bool] {
        self.is_among.get_or_init(|| {
            let mut is_among = vec![false; tasks];
            if let BlockedOn::Any(list) | BlockedOn::All(list) = &self.on {
                let known = list.iter().filter(|task| (**task as usize) < tasks);
                known.for_each(|task| is_among[*task as usize] = true);
            }
            is_among
        })
    }
}
