//! Some instances that do errands, and the mailbox that all of them write to.

use std::collections::BTreeMap;

use super::account::{Account, Known};

#[derive(Debug)]
pub struct Group {
    /// The id of its mailbox, an instance of `Mailbox`, and how the ids of the others begin.
    pub mailbox: String,
    pub started: Known,
    pub closed: Known,
    pub accounts: Vec<Account>,
    /// Letters of instances that have ended, by number.
    pub letters: BTreeMap<u64, Letter>,
}

#[derive(Clone, Copy, Debug)]
pub struct Letter {
    /// Which of the accounts wrote it.
    pub from: usize,
    /// It was written for certain. What a terminated instance did last nobody was told.
    pub certain: bool,
}

impl Group {
    pub fn draw(name: &str, random: &mut fastrand::Rng) -> Group {
        let count = random.usize(1..6);
        let accounts = (0..count).map(|number| Account::draw(format!("{name}-{number}"), random)).collect();
        Group { mailbox: name.to_owned(), started: Known::No, closed: Known::No, accounts, letters: BTreeMap::new() }
    }

    /// Notes the letters of one that has ended, having done these errands for certain.
    pub fn settle(&mut self, account: usize, done: &[u64]) {
        let told = self.accounts[account].told().map(|number| (number, done.contains(&number)));
        self.letters.extend(told.map(|(number, certain)| (number, Letter { from: account, certain })));
        self.accounts[account].settled = true;
    }

    /// Whether the mailbox has all that it must get.
    pub fn has_all(&self, received: &[u64]) -> bool {
        self.letters.iter().all(|(number, letter)| !letter.certain || received.contains(number))
    }

    /// Each letter is there once, those of one sender in order.
    pub fn check_received(&self, received: &[u64]) {
        assert!(self.has_all(received), "a letter is lost: {received:?} of {self:#?}");
        let mut latest = BTreeMap::new();
        for number in received {
            let letter = self.letters.get(number);
            let letter = letter.unwrap_or_else(|| panic!("nobody wrote {number}: {received:?} of {self:#?}"));
            let before = latest.insert(letter.from, number);
            assert!(
                before.is_none_or(|before| before < number),
                "{number} came twice or late: {received:?} of {self:#?}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two senders, of whom the second was terminated before anybody knew whether it wrote its letter.
    fn passes(received: &[u64]) -> bool {
        let letter = |from, certain| Letter { from, certain };
        let letters = [(1, letter(0, true)), (2, letter(1, false)), (3, letter(0, true))].into();
        let group = Group { letters, ..Group::draw("group", &mut fastrand::Rng::with_seed(1)) };
        std::panic::catch_unwind(|| group.check_received(received)).is_ok()
    }

    #[test]
    fn letters_come_once_and_those_of_one_sender_in_order() {
        assert!(passes(&[1, 3]) && passes(&[2, 1, 3]) && passes(&[1, 3, 2]));
        for wrong in [&[1][..], &[1, 2], &[3, 1], &[1, 1, 3], &[1, 3, 4]] {
            assert!(!passes(wrong), "{wrong:?}");
        }
    }
}
