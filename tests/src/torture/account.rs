//! What the outside knows of one instance that it started: what it asked of it, and what of that was answered.

use serde::Serialize;

/// Whether something took effect, as far as who asked for it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    No,
    /// It was asked for, and no answer came.
    Maybe,
    Yes,
}

/// How an errand is done; see the orchestrator `Errands` of the test guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum How {
    Keep,
    Double,
    Spread,
    Remote,
    Delegate,
    /// Milliseconds.
    Wait(u64),
    Tell,
    Renew,
}

/// An event for an instance.
#[derive(Clone, Debug)]
pub struct Errand {
    /// No two errands have the same; of one instance, the later one has the higher.
    pub number: u64,
    pub how: How,
    /// Sent with its number as `Idempotency-Key`: again, until there is an answer.
    pub keyed: bool,
    pub accepted: Known,
}

/// An instance of `Errands`.
#[derive(Debug)]
pub struct Account {
    pub id: String,
    /// How many errands it takes until it ends.
    pub wanted: usize,
    /// How many of them are sent before it is terminated, where it is to be.
    pub doomed: Option<usize>,
    /// Its start is sent with an `Idempotency-Key`.
    pub keyed: bool,
    pub started: Known,
    pub errands: Vec<Errand>,
    pub suspended: Known,
    pub terminated: Known,
    /// It refused something because it had ended.
    pub refused: bool,
    /// It has ended, and all was as it must be.
    pub settled: bool,
}

impl Account {
    pub fn draw(id: String, random: &mut fastrand::Rng) -> Account {
        let wanted = random.usize(1..9);
        Account {
            id,
            wanted,
            doomed: (random.u8(..16) == 0).then(|| random.usize(..wanted)),
            keyed: random.bool(),
            started: Known::No,
            errands: Vec::new(),
            suspended: Known::No,
            terminated: Known::No,
            refused: false,
            settled: false,
        }
    }

    fn count(&self, accepted: Known) -> usize {
        self.errands.iter().filter(|errand| errand.accepted == accepted).count()
    }

    /// Whether all was sent that it needs to end.
    pub fn is_served(&self) -> bool {
        self.refused || self.terminated == Known::Yes || self.count(Known::Yes) >= self.wanted
    }

    /// Whether it may have completed, for all that the outside knows.
    pub fn may_have_completed(&self) -> bool {
        self.count(Known::Yes) + self.count(Known::Maybe) >= self.wanted
    }

    pub fn may_have_ended(&self) -> bool {
        self.terminated != Known::No || self.may_have_completed()
    }

    /// The errand of this number.
    pub fn errand(&self, number: u64) -> Option<&Errand> {
        self.errands.iter().find(|errand| errand.number == number)
    }

    /// The numbers that went, or may have gone, to the mailbox.
    pub fn told(&self) -> impl Iterator<Item = u64> {
        self.errands.iter().filter(|errand| errand.how == How::Tell).map(|errand| errand.number)
    }

    /// Nothing that was not sent, nothing twice, and all in the order in which it was sent.
    pub fn check_received(&self, received: &[u64]) {
        assert!(received.is_sorted_by(|a, b| a < b), "twice, or out of order: {received:?} of {self:#?}");
        let stranger = received.iter().find(|number| self.errand(**number).is_none());
        assert_eq!(stranger, None, "nobody sent it: {received:?} of {self:#?}");
    }

    /// All that was acknowledged is there.
    pub fn check_complete(&self, received: &[u64]) {
        let mut acknowledged = self.errands.iter().filter(|errand| errand.accepted == Known::Yes);
        let lost = acknowledged.find(|errand| !received.contains(&errand.number));
        assert!(lost.is_none(), "acknowledged and lost: {lost:?}; received: {received:?} of {self:#?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Errands with the numbers 1, 2, 3, of which the second had no answer; it takes two.
    fn account() -> Account {
        let errand = |number, accepted| Errand { number, how: How::Keep, keyed: false, accepted };
        let errands = vec![errand(1, Known::Yes), errand(2, Known::Maybe), errand(3, Known::Yes)];
        let drawn = Account::draw("id".into(), &mut fastrand::Rng::with_seed(1));
        Account { wanted: 2, doomed: None, started: Known::Yes, errands, ..drawn }
    }

    fn passes(received: &[u64]) -> bool {
        let check = || {
            account().check_received(received);
            account().check_complete(received);
        };
        std::panic::catch_unwind(check).is_ok()
    }

    #[test]
    fn what_had_no_answer_is_there_once_or_not_at_all() {
        assert!(passes(&[1, 3]) && passes(&[1, 2, 3]));
    }

    #[test]
    fn what_is_lost_or_came_twice_late_or_from_nowhere_is_found() {
        for wrong in [&[1, 2][..], &[3], &[], &[1, 1, 3], &[1, 2, 2, 3], &[1, 3, 2], &[1, 3, 4]] {
            assert!(!passes(wrong), "{wrong:?}");
        }
    }
}
