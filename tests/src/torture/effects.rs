//! The activity that is served outside of the host: what it did is noted where no kill reaches it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::endpoint::{Answer, Endpoint, Request};

/// Serves `Remote`, which returns its input.
pub struct Effects {
    endpoint: Endpoint,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Default)]
struct Noted {
    /// By the number of the errand.
    tasks: HashMap<u64, Task>,
    /// What must not be, in words.
    wrong: Vec<String>,
    deliveries: u64,
    repeated: u64,
}

/// What was heard of one task.
struct Task {
    key: String,
    attempt: u32,
    succeeded: bool,
}

impl Effects {
    pub fn serve() -> Effects {
        let noted = Arc::<Mutex<Noted>>::default();
        let notes = noted.clone();
        Effects { endpoint: Endpoint::start(move |request| notes.lock().unwrap().note(request)), noted }
    }

    /// The argument of `fermata serve --activity`.
    pub fn service(&self) -> String {
        format!("Remote={}", self.endpoint.url("/remote"))
    }

    /// When the host is gone: waits until all that it still sent is noted, and fails where something was wrong.
    pub fn check(&self) {
        self.endpoint.drain();
        let wrong = std::mem::take(&mut self.noted.lock().unwrap().wrong);
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(self.endpoint.stayed(), 0, "an attempt went on beside a later one");
    }

    /// Whether the errand of this number was done; after that it is forgotten.
    pub fn settle(&self, number: u64) -> bool {
        self.noted.lock().unwrap().tasks.remove(&number).is_some_and(|task| task.succeeded)
    }

    /// How many calls came, and how many of them had come before: of work that a kill interrupted.
    pub fn counts(&self) -> (u64, u64) {
        let noted = self.noted.lock().unwrap();
        (noted.deliveries, noted.repeated)
    }
}

impl Noted {
    fn note(&mut self, request: &Request) -> Answer {
        let number: u64 = request.body.parse().unwrap_or_default();
        let key = request.header("idempotency-key").unwrap_or_default();
        let attempt: u32 = request.header("fermata-attempt").and_then(|text| text.parse().ok()).unwrap_or_default();
        let new = || Task { key: key.to_owned(), attempt: 0, succeeded: false };
        let task = self.tasks.entry(number).or_insert_with(new);
        if task.key != key || key.is_empty() {
            self.wrong.push(format!("errand {number} came with the key {key:?} after {:?}", task.key));
        }
        self.deliveries += 1;
        if (1..task.attempt).contains(&attempt) {
            // Calls are heard in any order. This one was stopped before the next attempt began, as a result of it is there from before the kill.
            self.repeated += 1;
            return Answer::to_nobody();
        }
        if attempt != task.attempt && attempt != task.attempt + 1 || attempt == 0 {
            self.wrong.push(format!("attempt {attempt} of errand {number} came after {}", task.attempt));
        }
        self.repeated += u64::from(attempt == task.attempt);
        task.attempt = attempt;
        let is_failure = attempt == 1 && number.is_multiple_of(4);
        task.succeeded |= !is_failure;
        let answer = if is_failure { Answer::new(500, "{}") } else { Answer::new(200, &request.body) };
        // Some are under way when the host is killed.
        answer.after(Duration::from_millis(number % 5 * 5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(calls: &[(&str, u32)]) -> usize {
        let mut noted = Noted::default();
        for (key, attempt) in calls {
            let headers = [("idempotency-key", (*key).to_owned()), ("fermata-attempt", attempt.to_string())];
            let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
            noted.note(&Request { line: String::new(), headers, body: "7".into() });
        }
        noted.wrong.len()
    }

    #[test]
    fn a_task_keeps_its_key_and_counts_its_attempts() {
        assert_eq!(wrong(&[("a", 1), ("a", 1), ("a", 2), ("a", 2), ("a", 1), ("a", 3)]), 0);
        for calls in [&[("a", 1), ("b", 1)][..], &[("a", 1), ("a", 3)], &[("a", 2)], &[("a", 1), ("a", 0)], &[("", 1)]]
        {
            assert_eq!(wrong(calls), 1, "{calls:?}");
        }
    }
}
