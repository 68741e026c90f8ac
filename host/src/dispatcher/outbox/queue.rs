//! What is to be delivered: to each receiver in the order in which it was sent. Receivers are served in turn, and those who send take turns: one that
//! sends to thousands at once holds up nobody else's messages, and there are never so many writes under way that others wait long for theirs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::store::{InstanceKey, Sent};

/// Receivers that are delivered to at a time.
const CARRIERS: usize = 64;
/// Messages under way to the store at a time, over all receivers; each receiver that is delivered to may have one in any case.
const UNDER_WAY: usize = 512;
/// Messages to one receiver that may be under way at a time.
const AT_ONCE: usize = 256;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Queue {
    receivers: HashMap<String, Receiver>,
    /// Receivers that nobody delivers to yet, by who sent their first message; none of the lists is empty.
    waiting: HashMap<InstanceKey, VecDeque<String>>,
    /// The senders of these, in turn.
    senders: VecDeque<InstanceKey>,
    /// How many receivers wait.
    waiting_count: usize,
    carriers: usize,
    under_way: usize,
}

/// Stands in the queue as long as there is something for it, what is under way included.
#[derive(Default)]
struct Receiver {
    messages: VecDeque<Sent>,
    under_way: usize,
    /// Since something was last delivered.
    failures: u32,
}

impl Queue {
    pub fn add(&mut self, sent: Sent) {
        match self.receivers.get_mut(&sent.to) {
            Some(receiver) => receiver.messages.push_back(sent),
            None => {
                let to = sent.to.clone();
                self.receivers.entry(to.clone()).or_default().messages.push_back(sent);
                self.line_up(to);
            }
        }
    }

    /// How many more tasks are to take batches; each does until there is [none](Queue::next).
    #[must_use]
    pub fn hire(&mut self) -> usize {
        let more = self.waiting_count.min(CARRIERS - self.carriers);
        self.carriers += more;
        more
    }

    /// The next receiver, and its next messages. None where there are no more: whoever asked is let go.
    pub fn next(&mut self) -> Option<(String, Vec<Sent>)> {
        let Some(to) = self.next_receiver() else {
            self.carriers -= 1;
            return None;
        };
        let receiver = self.receivers.get_mut(&to).expect("who waits is there");
        let room = UNDER_WAY.saturating_sub(self.under_way).max(1);
        let batch: Vec<Sent> = receiver.messages.drain(..receiver.messages.len().min(AT_ONCE).min(room)).collect();
        receiver.under_way = batch.len();
        self.under_way += batch.len();
        Some((to, batch))
    }

    /// A batch has arrived, but for what is left of it.
    pub fn delivered(&mut self, to: &str, left: Vec<Sent>) {
        if let Some(receiver) = self.returned(to, left) {
            receiver.failures = 0;
            self.line_up_again(to);
        }
    }

    /// Delivering failed: how long to wait before the receiver [waits](Queue::line_up_again) again.
    pub fn failed(&mut self, to: &str, left: Vec<Sent>) -> Duration {
        let Some(receiver) = self.returned(to, left) else { return FIRST_DELAY };
        receiver.failures += 1;
        FIRST_DELAY.saturating_mul(1 << (receiver.failures - 1).min(16)).min(LAST_DELAY)
    }

    /// Drops all that is for a receiver.
    pub fn forget(&mut self, to: &str) {
        self.returned(to, Vec::new());
        self.receivers.remove(to);
    }

    /// A receiver waits for its turn; where there is nothing for it, it is gone.
    pub fn line_up_again(&mut self, to: &str) {
        match self.receivers.get(to).is_some_and(|receiver| !receiver.messages.is_empty()) {
            true => self.line_up(to.to_owned()),
            false => drop(self.receivers.remove(to)),
        }
    }

    fn returned(&mut self, to: &str, left: Vec<Sent>) -> Option<&mut Receiver> {
        let receiver = self.receivers.get_mut(to)?;
        self.under_way -= std::mem::take(&mut receiver.under_way);
        left.into_iter().rev().for_each(|sent| receiver.messages.push_front(sent));
        Some(receiver)
    }

    fn line_up(&mut self, to: String) {
        let Some(first) = self.receivers.get(&to).and_then(|receiver| receiver.messages.front()) else { return };
        let sender = first.from;
        let waiting = self.waiting.entry(sender).or_default();
        if waiting.is_empty() {
            self.senders.push_back(sender);
        }
        waiting.push_back(to);
        self.waiting_count += 1;
    }

    fn next_receiver(&mut self) -> Option<String> {
        let sender = self.senders.pop_front()?;
        let waiting = self.waiting.get_mut(&sender)?;
        let to = waiting.pop_front();
        match waiting.is_empty() {
            true => drop(self.waiting.remove(&sender)),
            false => self.senders.push_back(sender),
        }
        self.waiting_count -= 1;
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(from: InstanceKey, to: &str, seq: u64) -> Sent {
        Sent { seq, from, from_id: from.to_string(), to: to.into(), body: String::new() }
    }

    fn numbers(batch: &[Sent]) -> Vec<u64> {
        batch.iter().map(|sent| sent.seq).collect()
    }

    #[test]
    fn who_sends_to_thousands_holds_nobody_up() {
        let mut queue = Queue::default();
        (0..10_000).for_each(|number| queue.add(sent(1, &format!("many-{number}"), number)));
        queue.add(sent(2, "one", 10_000));
        assert_eq!(queue.hire(), CARRIERS);
        assert_eq!(queue.hire(), 0, "there are enough");
        let (first, second) = (queue.next().unwrap(), queue.next().unwrap());
        assert_eq!((&*first.0, &*second.0), ("many-0", "one"));
    }

    #[test]
    fn messages_to_one_receiver_stay_in_order_and_one_batch_at_a_time() {
        let mut queue = Queue::default();
        (0..1_000).for_each(|number| queue.add(sent(number % 3, "one", number)));
        assert_eq!(queue.hire(), 1);
        let (_, mut batch) = queue.next().unwrap();
        assert_eq!(numbers(&batch), Vec::from_iter(0..AT_ONCE as u64));
        assert!(queue.next().is_none(), "it is delivered to");
        queue.add(sent(1, "one", 1_000));
        assert_eq!(queue.hire(), 0);
        queue.delivered("one", batch.split_off(10));
        assert_eq!(queue.hire(), 1);
        assert_eq!(numbers(&queue.next().unwrap().1)[..3], [10, 11, 12], "what was left comes first");
    }

    #[test]
    fn no_more_is_under_way_than_may_be() {
        let mut queue = Queue::default();
        (0..20_000).for_each(|number| queue.add(sent(1, &format!("to-{}", number % 50), number)));
        assert_eq!(queue.hire(), 50);
        let batches: Vec<_> = (0..50).map(|_| queue.next().unwrap()).collect();
        let under_way: usize = batches.iter().map(|(_, batch)| batch.len()).sum();
        assert!((UNDER_WAY..UNDER_WAY + CARRIERS).contains(&under_way), "{under_way}");
        batches.into_iter().for_each(|(to, _)| queue.delivered(&to, Vec::new()));
        assert_eq!(queue.under_way, 0);
    }

    #[test]
    fn who_can_not_be_delivered_to_is_tried_again_ever_more_rarely() {
        let mut queue = Queue::default();
        queue.add(sent(1, "one", 1));
        let mut delays = Vec::new();
        for _ in 0..12 {
            assert_eq!(queue.hire(), 1);
            let (to, batch) = queue.next().unwrap();
            delays.push(queue.failed(&to, batch));
            assert!(queue.next().is_none(), "it does not wait for its turn meanwhile");
            queue.line_up_again(&to);
        }
        assert_eq!((delays[0], delays[1], delays[11]), (FIRST_DELAY, 2 * FIRST_DELAY, LAST_DELAY));
        assert_eq!(queue.hire(), 1);
        let (to, batch) = queue.next().unwrap();
        assert_eq!(numbers(&batch), [1]);
        queue.delivered(&to, Vec::new());
        assert!(queue.next().is_none() && queue.receivers.is_empty() && queue.waiting.is_empty());
    }

    #[test]
    fn what_is_forgotten_is_gone() {
        let mut queue = Queue::default();
        (0..600).for_each(|number| queue.add(sent(1, "one", number)));
        assert_eq!(queue.hire(), 1);
        queue.next().unwrap();
        queue.forget("one");
        assert!(queue.next().is_none() && queue.receivers.is_empty());
        assert_eq!((queue.carriers, queue.under_way), (0, 0));
    }
}
