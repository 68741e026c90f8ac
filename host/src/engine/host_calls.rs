//! The imports of `wit/orchestration.wit`, interface `host`: each is a call of [`Execution`].

use std::future::poll_fn;
use std::task::Poll;

use fermata_replay::{Execution, Failure, Outcome, Payload, RetryPolicy, Span, Start, Stop, TaskId, Timestamp};
use wasmtime::component::{ComponentType, Lift, Linker, Lower};
use wasmtime::{Result, StoreContextMut};

use super::world::{Passed, Role, Unable, Waits, World, meter};
use crate::callback::{Callback, Expiry};
use crate::limits::{self, Limit};

pub const HOST: &str = "fermata:orchestration/host@1.0.0";

/// What a task in a list to wait for is counted as: it is looked at each time that a list is.
const TASK_BYTES: usize = 16;

/// What a callback URL is counted as besides its names.
const CALLBACK_URL_BYTES: usize = 256;

/// `failure` of the contract.
#[derive(Clone, Debug, ComponentType, Lift, Lower)]
#[component(record)]
pub struct WitFailure {
    kind: String,
    message: String,
    #[component(name = "error-type")]
    error_type: String,
    details: String,
    #[component(name = "non-retryable")]
    non_retryable: bool,
}

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "made by lifting from the guest")]
enum WitLevel {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// `retry-policy` of the contract.
#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
struct WitRetryPolicy {
    #[component(name = "max-attempts")]
    max_attempts: u32,
    #[component(name = "first-interval")]
    first_interval: f64,
    #[component(name = "backoff-coefficient")]
    backoff_coefficient: f64,
    #[component(name = "max-interval")]
    max_interval: Option<f64>,
    timeout: Option<f64>,
    #[component(name = "attempt-timeout")]
    attempt_timeout: Option<f64>,
    #[component(name = "non-retryable")]
    non_retryable: Vec<String>,
}

type WitOutcome = std::result::Result<String, WitFailure>;
type Call<'a> = StoreContextMut<'a, World>;

pub fn add_to_linker(linker: &mut Linker<World>) -> Result<()> {
    let mut host = linker.instance(HOST)?;

    host.func_wrap("wait-external-event", |mut call: Call<'_>, (name,): (String,)| {
        check_name(&call, "an event", &name)?;
        spend_on_task(&mut call, name.len())?;
        Ok((ask(&mut call, |execution| execution.wait_external_event(&name))?,))
    })?;
    host.func_wrap("call-activity", |mut call: Call<'_>, (name, input): (String, String)| {
        check_name(&call, "an activity", &name)?;
        let input = payload(&call, &input)?;
        spend_on_task(&mut call, name.len() + input.as_str().len())?;
        Ok((ask(&mut call, |execution| execution.call_activity(&name, input))?,))
    })?;

    host.func_wrap(
        "call-sub-orchestrator",
        |mut call: Call<'_>, (name, input, id): (String, String, Option<String>)| {
            check_depth(&mut call)?;
            let (input, bytes) = start_of(&mut call, &name, &input, id.as_deref())?;
            spend_on_task(&mut call, bytes)?;
            Ok((ask(&mut call, |execution| execution.call_sub_orchestrator(&name, id.as_deref(), input))?,))
        },
    )?;
    host.func_wrap("create-timer", |mut call: Call<'_>, (due,): (f64,)| {
        let due = instant(due)?;
        spend_on_task(&mut call, 0)?;
        Ok((ask(&mut call, |execution| execution.create_timer(due))?,))
    })?;

    host.func_wrap("set-retry", |mut call: Call<'_>, (task, policy): (TaskId, WitRetryPolicy)| {
        let policy = RetryPolicy::try_from(policy)?;
        spend(&mut call, policy.non_retryable.iter().map(String::len).sum())?;
        ask(&mut call, |execution| execution.set_retry(task, policy))
    })?;
    host.func_wrap("set-timeout", |mut call: Call<'_>, (task, due, default): (TaskId, f64, Option<String>)| {
        let due = instant(due)?;
        let default = default.map(|default| payload(&call, &default)).transpose()?;
        spend(&mut call, default.as_ref().map_or(0, |default| default.as_str().len()))?;
        ask(&mut call, |execution| execution.set_timeout(task, due, default))
    })?;

    host.func_wrap("start-orchestrator", |mut call: Call<'_>, (name, input, id): (String, String, Option<String>)| {
        let (input, bytes) = start_of(&mut call, &name, &input, id.as_deref())?;
        spend(&mut call, bytes)?;
        Ok((ask(&mut call, |execution| execution.start_orchestrator(&name, id.as_deref(), input))?,))
    })?;
    host.func_wrap("raise-event", |mut call: Call<'_>, (id, name, input): (String, String, String)| {
        check_id(&id)?;
        check_name(&call, "an event", &name)?;
        let input = payload(&call, &input)?;
        spend(&mut call, id.len() + name.len() + input.as_str().len())?;
        ask(&mut call, |execution| execution.raise_event(&id, &name, input))
    })?;

    host.func_wrap_async("await-task", |call: Call<'_>, (task,): (TaskId,)| {
        Box::new(async move {
            let moved = call.data().log.moved().clone();
            let outcome = wait(call, |execution| execution.poll_task(task)).await?;
            moved.add(bytes_of(&outcome));
            Ok((lower(outcome),))
        })
    })?;
    host.func_wrap_async("task-any", |call: Call<'_>, (tasks,): (Vec<TaskId>,)| {
        Box::new(async move {
            call.data().log.moved().add(TASK_BYTES * tasks.len());
            Ok((wait(call, |execution| execution.poll_any(&tasks)).await?,))
        })
    })?;
    host.func_wrap_async("task-all", |call: Call<'_>, (tasks,): (Vec<TaskId>,)| {
        Box::new(async move {
            let moved = call.data().log.moved().clone();
            moved.add(TASK_BYTES * tasks.len());
            let results = wait(call, |execution| execution.poll_all(&tasks)).await?;
            if let Ok(payloads) = &results {
                moved.add(payloads.iter().map(|payload| payload.as_str().len()).sum());
            }
            Ok((match results {
                Ok(payloads) => Ok(payloads.iter().map(|payload| payload.as_str().to_owned()).collect::<Vec<_>>()),
                Err(failure) => Err(WitFailure::from(failure)),
            },))
        })
    })?;
    host.func_wrap_async("next-completed", |call: Call<'_>, (): ()| {
        Box::new(async move { Ok((wait(call, Execution::poll_next).await?,)) })
    })?;

    host.func_wrap("task-result", |mut call: Call<'_>, (task,): (TaskId,)| {
        let outcome = ask(&mut call, |execution| execution.task_result(task))?;
        call.data().log.moved().add(outcome.as_ref().map_or(0, bytes_of));
        Ok((outcome.map(lower),))
    })?;
    host.func_wrap("cancel-task", |mut call: Call<'_>, (task,): (TaskId,)| {
        Ok((ask(&mut call, |execution| execution.cancel(task))?,))
    })?;

    host.func_wrap("instance-id", |call: Call<'_>, (): ()| Ok((call.data().instance_id.to_string(),)))?;
    host.func_wrap("parent-instance-id", |mut call: Call<'_>, (): ()| {
        Ok((of_start(&mut call, |start| start.parent.as_ref().map(|parent| parent.instance.clone()))?,))
    })?;
    host.func_wrap("execution-id", |mut call: Call<'_>, (): ()| {
        Ok((of_start(&mut call, |start| start.execution.clone())?,))
    })?;
    host.func_wrap("orchestrator-name", |mut call: Call<'_>, (): ()| {
        Ok((of_start(&mut call, |start| start.name.clone())?,))
    })?;
    host.func_wrap("module-digest", |mut call: Call<'_>, (): ()| {
        Ok((ask(&mut call, |execution| Ok(execution.state().module().to_owned()))?,))
    })?;
    host.func_wrap("callback-url", |mut call: Call<'_>, (event, expires): (String, f64)| {
        check_name(&call, "an event", &event)?;
        let expires = instant(expires)?;
        let instance = call.data().instance_id.clone();
        // What may be encoded, takes three times the room.
        spend(&mut call, CALLBACK_URL_BYTES + 3 * (instance.len() + event.len()))?;
        let (callbacks, run) = call.data_mut().orchestrator().map(|world| (world.callbacks.clone(), world.key))?;
        let (nonce, until) = (rand::random(), Expiry::at(expires));
        let callback = Callback { instance: &instance, run, event: &event, nonce, expires: until };
        let made = ask(&mut call, |execution| execution.callback_url(&event, expires, || callbacks.url(&callback)))?;
        Ok((made.map_err(|error| Unable(error.into()))?,))
    })?;
    host.func_wrap("current-utc-time", |mut call: Call<'_>, (): ()| {
        Ok((ask(&mut call, |execution| Ok(execution.state().now().as_millis_f64()))?,))
    })?;
    host.func_wrap("new-guid", |mut call: Call<'_>, (): ()| {
        let execution = of_start(&mut call, |start| start.execution.clone())?;
        let orchestrator = call.data_mut().orchestrator()?;
        orchestrator.guids += 1;
        let count = orchestrator.guids.to_string();
        let namespace = uuid::Uuid::parse_str(&execution).unwrap_or_default();
        Ok((uuid::Uuid::new_v5(&namespace, count.as_bytes()).to_string(),))
    })?;
    host.func_wrap("is-replaying", |call: Call<'_>, (): ()| match &call.data().role {
        Role::Orchestrator(orchestrator) => {
            Ok((orchestrator.shared.lock().expect("no panic while it is held").execution.is_replaying(),))
        }
        Role::Activity(_) | Role::Describing => Ok((false,)),
    })?;
    host.func_wrap("set-custom-status", |mut call: Call<'_>, (status,): (String,)| {
        let limit = call.data().limits.custom_status_bytes;
        if status.len() > limit {
            let message = format!("a custom status of {} bytes passes the limit of {limit}", status.len());
            return Err(Passed::error(Limit::CustomStatus, message));
        }
        let status = payload(&call, &status)?;
        ask(&mut call, |execution| {
            execution.set_custom_status(status);
            Ok(())
        })
    })?;
    host.func_wrap("log", |call: Call<'_>, (level, message): (WitLevel, String)| {
        call.data().log.line(level.into(), &message);
        Ok(())
    })?;

    host.func_wrap_async("continue-as-new", |mut call: Call<'_>, (input, same_module): (String, bool)| {
        Box::new(async move {
            let input = payload(&call, &input)?;
            ask(&mut call, |execution| execution.continue_as_new(input, same_module))?;
            let shared = call.data_mut().orchestrator()?.shared.clone();
            shared.lock().expect("no panic while it is held").waits = Waits::ItsEnd;
            // The guest ends here: it is dropped while it waits for this.
            std::future::pending::<Result<()>>().await
        })
    })
}

/// A call that never blocks.
fn ask<R>(call: &mut Call<'_>, question: impl FnOnce(&mut Execution) -> Result<R, Stop>) -> Result<R> {
    let orchestrator = call.data_mut().orchestrator()?;
    let mut shared = orchestrator.shared.lock().expect("no panic while it is held");
    question(&mut shared.execution).map_err(|stop| {
        shared.stop = Some(stop.clone());
        wasmtime::Error::new(stop)
    })
}

/// What the execution was started with.
fn of_start<R>(call: &mut Call<'_>, read: impl FnOnce(&Start) -> R) -> Result<R> {
    ask(call, |execution| Ok(read(execution.state().start().expect("a guest runs in an execution that has started"))))
}

/// Checks what starts another instance; with its bytes.
fn start_of(call: &mut Call<'_>, name: &str, input: &str, id: Option<&str>) -> Result<(Payload, usize)> {
    check_name(call, "an orchestrator", name)?;
    id.map_or(Ok(()), check_id)?;
    let input = payload(call, input)?;
    let bytes = name.len() + id.map_or(0, str::len) + input.as_str().len();
    Ok((input, bytes))
}

/// A call that blocks until there is an answer; meanwhile the guest is suspended, and may be dropped.
async fn wait<R>(mut call: Call<'_>, question: impl Fn(&mut Execution) -> Poll<Result<R, Stop>>) -> Result<R> {
    let shared = call.data_mut().orchestrator()?.shared.clone();
    let answer = poll_fn(|_| {
        let mut shared = shared.lock().expect("no panic while it is held");
        let answer = question(&mut shared.execution);
        shared.waits = if answer.is_pending() { Waits::Message } else { Waits::Nothing };
        if let Poll::Ready(Err(stop)) = &answer {
            shared.stop = Some(stop.clone());
        }
        answer
    })
    .await?;
    meter(&mut call)?;
    Ok(answer)
}

fn check_name(call: &Call<'_>, what: &str, name: &str) -> Result<()> {
    let limit = call.data().limits.name_bytes;
    let wrong = || format!("the name of {what} must be 1 to {limit} bytes long, this one is {}", name.len());
    match name.len() {
        0 => Err(wasmtime::Error::msg(wrong())),
        length if length > limit => Err(Passed::error(Limit::Name, wrong())),
        _ => Ok(()),
    }
}

fn check_id(id: &str) -> Result<()> {
    limits::check_instance_id(id).map_err(|why| wasmtime::Error::msg(format!("the instance id {id:?} {why}")))
}

fn instant(millis: f64) -> Result<Timestamp> {
    Timestamp::from_millis_f64(millis).ok_or_else(|| wasmtime::Error::msg("an instant must be a number"))
}

/// Counts what is about to be recorded for good: the host keeps it, whatever the guest does with it.
fn spend(call: &mut Call<'_>, bytes: usize) -> Result<()> {
    let limits = call.data().limits;
    call.data().log.moved().add(bytes);
    let orchestrator = call.data_mut().orchestrator()?;
    orchestrator.created.tasks += 1;
    orchestrator.created.bytes += bytes;
    let (tasks, bytes) = (limits.tasks_per_step, limits.task_bytes_per_step);
    let within = orchestrator.created.tasks <= tasks && orchestrator.created.bytes <= bytes;
    if within || was_within(&orchestrator.shared.lock().expect("no panic while it is held").execution) {
        return Ok(());
    }
    let message =
        format!("a step may ask for {tasks} tasks, messages and changes of these, with {bytes} bytes, and no more");
    Err(Passed::error(Limit::TasksPerStep, message))
}

/// Whether history says that the guest passed no limit here.
fn was_within(execution: &Execution) -> bool {
    execution.is_replaying() && !execution.must_fail_now()
}

/// The same, and a task: as many may be open as limits say.
fn spend_on_task(call: &mut Call<'_>, bytes: usize) -> Result<()> {
    spend(call, bytes)?;
    let most = call.data().limits.open_tasks;
    let orchestrator = call.data_mut().orchestrator()?;
    let shared = orchestrator.shared.lock().expect("no panic while it is held");
    if shared.execution.state().open() < most || was_within(&shared.execution) {
        return Ok(());
    }
    Err(Passed::error(Limit::OpenTasks, format!("an orchestrator may have {most} tasks open at a time, and no more")))
}

/// An instance may have only so many ancestors.
fn check_depth(call: &mut Call<'_>) -> Result<()> {
    let most = call.data().limits.depth;
    let depth = of_start(call, |start| start.depth())?;
    let orchestrator = call.data_mut().orchestrator()?;
    if depth < most || was_within(&orchestrator.shared.lock().expect("no panic while it is held").execution) {
        return Ok(());
    }
    Err(Passed::error(Limit::Depth, format!("a sub-orchestration may have {most} ancestors, and no more")))
}

fn payload(call: &Call<'_>, text: &str) -> Result<Payload> {
    let limit = call.data().limits.payload_bytes;
    call.data().log.moved().add(text.len());
    if text.len() > limit {
        let message = format!("a payload of {} bytes passes the limit of {limit}", text.len());
        return Err(Passed::error(Limit::Payload, message));
    }
    Payload::parse(text).map_err(|error| wasmtime::Error::msg(format!("the guest's payload is {error}")))
}

fn bytes_of(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Succeeded(payload) => payload.as_str().len(),
        Outcome::Failed(failure) => failure.message.len() + failure.details.len(),
    }
}

fn lower(outcome: Outcome) -> WitOutcome {
    match outcome {
        Outcome::Succeeded(payload) => Ok(payload.as_str().to_owned()),
        Outcome::Failed(failure) => Err(failure.into()),
    }
}

impl From<Failure> for WitFailure {
    fn from(failure: Failure) -> WitFailure {
        let Failure { kind, message, error_type, details, non_retryable } = failure;
        WitFailure { kind, message, error_type, details, non_retryable }
    }
}

impl From<WitFailure> for Failure {
    fn from(failure: WitFailure) -> Failure {
        let WitFailure { kind, message, error_type, details, non_retryable } = failure;
        Failure { kind, message, error_type, details, non_retryable }
    }
}

impl TryFrom<WitRetryPolicy> for RetryPolicy {
    type Error = wasmtime::Error;

    fn try_from(policy: WitRetryPolicy) -> Result<RetryPolicy> {
        let span = |what: &str, millis: f64| {
            let wrong = || wasmtime::Error::msg(format!("the {what} of a retry policy can not be {millis} ms"));
            Span::from_millis_f64(millis).ok_or_else(wrong)
        };
        if policy.max_attempts == 0 {
            return Err(wasmtime::Error::msg("a retry policy makes at least one attempt"));
        }
        // A history could not be read again: JSON has no such numbers.
        if !policy.backoff_coefficient.is_finite() {
            let wrong = format!("the backoff coefficient of a retry policy can not be {}", policy.backoff_coefficient);
            return Err(wasmtime::Error::msg(wrong));
        }
        Ok(RetryPolicy {
            max_attempts: policy.max_attempts,
            first_interval: span("first interval", policy.first_interval)?,
            backoff_coefficient: policy.backoff_coefficient,
            max_interval: policy.max_interval.map(|millis| span("longest interval", millis)).transpose()?,
            timeout: policy.timeout.map(|millis| span("timeout", millis)).transpose()?,
            attempt_timeout: policy.attempt_timeout.map(|millis| span("timeout of an attempt", millis)).transpose()?,
            non_retryable: policy.non_retryable,
        })
    }
}

impl From<WitLevel> for tracing::Level {
    fn from(level: WitLevel) -> tracing::Level {
        match level {
            WitLevel::Trace => tracing::Level::TRACE,
            WitLevel::Debug => tracing::Level::DEBUG,
            WitLevel::Info => tracing::Level::INFO,
            WitLevel::Warn => tracing::Level::WARN,
            WitLevel::Error => tracing::Level::ERROR,
        }
    }
}
