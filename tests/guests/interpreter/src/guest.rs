//! The host as a program sees it: each method is a call of the contract, and tells the log what the guest was told.

use std::fmt::Debug;

use fermata_replay::{Failure, Outcome, Payload, RetryPolicy, Span, TaskId, Timestamp};

use crate::bindings::fermata::orchestration::{host, types};

pub struct Ctx(Payload);

/// Why a program ends without a result. A misuse traps.
pub enum Halt {
    Failed(Failure),
    Continued(Payload),
}

pub type Ended = Result<Payload, Halt>;

pub fn json(text: &str) -> Payload {
    Payload::parse(text).expect("the host hands out JSON")
}

impl Ctx {
    /// Of a program with this input.
    pub fn new(input: &str) -> Ctx {
        Ctx(json(input))
    }

    pub fn input(&self) -> Payload {
        self.0.clone()
    }

    pub fn wait(&self, name: &str) -> Result<TaskId, Halt> {
        told("wait", name, host::wait_external_event(name))
    }

    pub fn call(&self, name: &str, input: &str) -> Result<TaskId, Halt> {
        told("call", name, host::call_activity(name, input))
    }

    pub fn timer_at(&self, due: Timestamp) -> Result<TaskId, Halt> {
        told("timer", due, host::create_timer(due.as_millis_f64()))
    }

    pub fn child(&self, name: &str, instance: Option<&str>, input: &str) -> Result<TaskId, Halt> {
        told("child", name, host::call_sub_orchestrator(name, input, instance))
    }

    pub fn retry(&self, task: TaskId, policy: &RetryPolicy) -> Result<(), Halt> {
        let millis = |span: Span| span.0 as f64 / 1_000.0;
        let policy = types::RetryPolicy {
            max_attempts: policy.max_attempts,
            first_interval: millis(policy.first_interval),
            backoff_coefficient: policy.backoff_coefficient,
            max_interval: policy.max_interval.map(millis),
            timeout: policy.timeout.map(millis),
            attempt_timeout: policy.attempt_timeout.map(millis),
            non_retryable: policy.non_retryable.clone(),
        };
        told("retry", task, host::set_retry(task, &policy))
    }

    pub fn timeout_at(&self, task: TaskId, due: Timestamp, default: Option<&str>) -> Result<(), Halt> {
        told("timeout", task, host::set_timeout(task, due.as_millis_f64(), default))
    }

    pub fn start(&self, name: &str, instance: Option<&str>, input: &str) -> Result<String, Halt> {
        told("start", name, host::start_orchestrator(name, input, instance))
    }

    pub fn raise(&self, instance: &str, name: &str, input: &str) -> Result<(), Halt> {
        told("raise", name, host::raise_event(instance, name, input))
    }

    pub fn callback_url(&self, event: &str, expires: Timestamp) -> Result<String, Halt> {
        let url = host::callback_url(event, expires.as_millis_f64());
        // Another host makes other URLs, so that they are not noted.
        told("callback", event, ())?;
        Ok(url)
    }

    pub fn cancel(&self, task: TaskId) -> Result<bool, Halt> {
        told("cancel", task, host::cancel_task(task))
    }

    pub fn peek(&self, task: TaskId) -> Result<Option<Outcome>, Halt> {
        told("peek", task, host::task_result(task).map(outcome))
    }

    pub fn status(&self, status: &str) {
        host::set_custom_status(status);
    }

    /// Each generation's execution is named after the one before, with one more `+`.
    pub fn generation(&self) -> u64 {
        host::execution_id().matches('+').count() as u64
    }

    pub async fn outcome(&self, task: TaskId) -> Result<Outcome, Halt> {
        told("await", task, outcome(host::await_task(task)))
    }

    pub async fn get(&self, task: TaskId) -> Ended {
        match self.outcome(task).await? {
            Outcome::Succeeded(result) => Ok(result),
            Outcome::Failed(failure) => Err(Halt::Failed(failure)),
        }
    }

    pub async fn any(&self, tasks: &[TaskId]) -> Result<TaskId, Halt> {
        told("any", tasks, host::task_any(tasks))
    }

    pub async fn all(&self, tasks: &[TaskId]) -> Result<Result<Vec<Payload>, Failure>, Halt> {
        let results = host::task_all(tasks).map(|results| results.iter().map(|result| json(result)).collect());
        told("all", tasks, results.map_err(from_wit))
    }

    pub async fn next(&self) -> Result<TaskId, Halt> {
        told("next", "", host::next_completed())
    }
}

/// Logs an answer as a guest in Rust notes it, where it could have been a refusal too.
fn told<R: Debug>(what: &str, of: impl Debug, answer: R) -> Result<R, Halt> {
    let now = host::current_utc_time();
    host::log(host::LogLevel::Info, &format!("{now}: {what} {of:?} → Ok({answer:?})"));
    Ok(answer)
}

fn outcome(result: Result<String, types::Failure>) -> Outcome {
    match result {
        Ok(result) => Outcome::Succeeded(json(&result)),
        Err(failure) => Outcome::Failed(from_wit(failure)),
    }
}

fn from_wit(failure: types::Failure) -> Failure {
    let types::Failure { kind, message, error_type, details, non_retryable } = failure;
    Failure { kind, message, error_type, details, non_retryable }
}

pub fn to_wit(failure: Failure) -> types::Failure {
    let Failure { kind, message, error_type, details, non_retryable } = failure;
    types::Failure { kind, message, error_type, details, non_retryable }
}
