//! What an operator may do to a run.

use fermata_replay::{Control, MessageBody};

use super::Run;

impl Run {
    /// Suspends the instance: events and results are kept for when it is [resumed](Self::resume), and no timer is due.
    ///
    /// # Panics
    /// Where the orchestrator has ended.
    pub fn suspend(&mut self) {
        self.control("suspended", MessageBody::Suspended(Control::default()));
    }

    /// Resumes the instance: what has come in between happens now, in order. Does nothing where it is not suspended.
    ///
    /// # Panics
    /// Where the orchestrator has ended.
    pub fn resume(&mut self) {
        self.control("resumed", MessageBody::Resumed(Control::default()));
    }

    /// Ends the instance at once, without asking the orchestrator. Its [`output`](Self::output) is a failure of the kind `terminated`.
    ///
    /// # Panics
    /// Where the orchestrator has ended.
    pub fn terminate(&mut self, reason: &str) {
        let control = Control { reason: Some(reason.to_owned()), ..Control::default() };
        self.control("terminated", MessageBody::Terminated(control));
    }

    /// Has an instance that failed go on before the failure: the activity or sub-orchestration that failed it is open again.
    ///
    /// # Panics
    /// Where the orchestrator has not failed.
    pub fn rewind(&mut self) {
        let message = self.instance.number(MessageBody::Rewound(Control::default()));
        let turn = fermata_replay::rewind(&self.instance.history, &message);
        let name = &self.instance.orchestrator;
        let turn = turn.unwrap_or_else(|| panic!("orchestrator `{name}` has not failed: it cannot be rewound"));
        self.instance.enter(turn);
        self.life = self.instance.revive();
        self.go_on();
    }

    fn control(&mut self, what: &str, body: MessageBody) {
        assert!(self.is_running(), "orchestrator `{}` has ended: it cannot be {what}", self.instance.orchestrator);
        self.deliver(body);
    }
}
