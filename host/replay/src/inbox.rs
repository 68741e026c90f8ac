use std::collections::VecDeque;

use crate::{Message, MessageBody, Timestamp};

/// Messages that wait to be applied, in the order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    messages: VecDeque<Message>,
    /// How many of them are urgent: most look-ups need not search for one.
    urgent: usize,
}

impl Inbox {
    pub fn push(&mut self, message: Message) {
        self.urgent += usize::from(message.body.is_urgent());
        self.messages.push_back(message);
    }

    pub fn has_urgent(&self) -> bool {
        self.urgent > 0
    }

    /// When the first one was accepted.
    pub fn next_at(&self) -> Option<Timestamp> {
        self.messages.front().map(|message| message.at)
    }

    pub fn pop(&mut self) -> Option<Message> {
        self.take(0)
    }

    pub fn take_urgent(&mut self) -> Option<Message> {
        self.take(self.messages.iter().position(|message| message.body.is_urgent())?)
    }

    /// In the order of arrival.
    pub fn urgent(&self) -> impl Iterator<Item = &MessageBody> {
        let any = if self.has_urgent() { usize::MAX } else { 0 };
        self.messages.iter().take(any).map(|message| &message.body).filter(|body| body.is_urgent())
    }

    /// What concerns a suspended instance: what resumes it, or suspends it once more.
    pub fn take_control(&mut self) -> Option<Message> {
        let is_control =
            |message: &Message| matches!(message.body, MessageBody::Suspended(_) | MessageBody::Resumed(_));
        self.take(self.messages.iter().position(is_control)?)
    }

    pub fn drain(&mut self) -> Vec<Message> {
        self.urgent = 0;
        self.messages.drain(..).collect()
    }

    fn take(&mut self, place: usize) -> Option<Message> {
        let message = self.messages.remove(place)?;
        self.urgent -= usize::from(message.body.is_urgent());
        Some(message)
    }
}
