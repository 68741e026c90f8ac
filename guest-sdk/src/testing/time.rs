//! The time of a run.

use std::time::Duration;

use fermata_replay::{Failure as HostFailure, Outcome as HostOutcome, Timestamp as Instant, kind};

use super::{Run, convert};
use crate::Timestamp;

impl Run {
    /// What the clock shows.
    pub fn now(&self) -> Timestamp {
        convert::instant(self.instance.now)
    }

    /// Lets time pass. Whatever is due on the way happens at its own time, in order: timers, timeouts, next attempts.
    pub fn advance(&mut self, duration: Duration) {
        self.advance_to(self.instance.now + convert::span(duration));
    }

    /// Lets time pass until something is due, and tells how long that took; none where nothing is.
    pub fn skip_to_next_timer(&mut self) -> Option<Duration> {
        let before = self.instance.now;
        let due = self.next_due()?.max(before);
        self.pass(due);
        Some(convert::duration(due - before))
    }

    pub(super) fn advance_to(&mut self, end: Instant) {
        while let Some(due) = self.next_due().filter(|due| *due <= end) {
            self.pass(due);
        }
        self.instance.now = self.instance.now.max(end);
    }

    /// When something happens without anybody doing anything.
    fn next_due(&self) -> Option<Instant> {
        let deadline = self.life.world.borrow().state().next_due();
        let attempts = self.instance.activities.values().filter_map(|attempt| attempt.until);
        attempts.chain(deadline).min()
    }

    fn pass(&mut self, due: Instant) {
        self.instance.now = self.instance.now.max(due);
        let now = self.instance.now;
        let overdue =
            self.instance.activities.iter().find(|(_, attempt)| attempt.until.is_some_and(|until| until <= now));
        let Some((&task, attempt)) = overdue else {
            return self.go_on();
        };
        let message = format!("the attempt at activity `{}` took longer than it might", attempt.activity.name);
        let failure = HostOutcome::Failed(HostFailure::new(kind::TIMEOUT, message));
        self.end_activity(task, convert::outcome(failure));
    }
}
