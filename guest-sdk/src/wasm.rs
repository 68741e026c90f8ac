//! The side of the seam that is the host itself: the imports and exports of the contract, and the loop that blocks.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

use crate::activity::{ActivityContext, ActivityTask};
use crate::error::Error;
use crate::executor::{Executor, Step};
use crate::host::{Answer, Block, Handle, Host, Outcome};
use crate::{Failure, Level, RetryPolicy, Timestamp, registry};

use bindings::exports::fermata::orchestration::guest;
use bindings::fermata::orchestration::{host, types};

/// What wit-bindgen makes of the contract.
#[allow(unsafe_code)] // to lift and lower at the edge of the module is pointer work; all of it is generated
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "orchestrator" });

    export!(Module with_types_in self);
    use super::Module;
}

struct Module;

impl guest::Guest for Module {
    fn describe() -> guest::Manifest {
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        guest::Manifest { orchestrators: owned(registry::orchestrators()), activities: owned(registry::activities()) }
    }

    fn run_orchestrator(name: String, input: String) -> Result<String, types::Failure> {
        report_panics();
        run(&name, input).map_err(Into::into)
    }

    fn run_activity(name: String, input: String, context: guest::ActivityContext) -> Result<String, types::Failure> {
        report_panics();
        let Some(entry) = registry::activity(&name) else {
            return Err(Failure::new("", format!("this module holds no activity `{name}`")).into());
        };
        let guest::ActivityContext { task_key, instance_id, attempt } = context;
        let activity = Rc::new(ActivityTask { name, input, task_key, instance_id, attempt });
        let context = ActivityContext { host: Rc::new(RefCell::new(Imports)), activity };
        (entry.run)(context).map_err(Error::into_outgoing).map_err(Into::into)
    }
}

fn run(name: &str, input: String) -> Result<String, Failure> {
    let mut executor = Executor::start(name, input, Box::new(Imports))?;
    loop {
        match executor.step() {
            Step::Done(result) => return result,
            Step::Blocked(block) => {
                let answer = wait(&block);
                executor.resume(block, answer);
            }
            Step::ContinuedAsNew(next) => {
                host::continue_as_new(&next.input, next.same_module);
                unreachable!("the host goes on without this guest");
            }
        }
    }
}

fn wait(block: &Block) -> Answer {
    let boxed = |failure: types::Failure| Box::new(Failure::from(failure));
    match block {
        Block::Await(task) => Answer::Outcome(host::await_task(*task).map_err(boxed)),
        Block::Any(_, tasks) => Answer::Task(host::task_any(tasks)),
        Block::All(_, tasks) => Answer::Payloads(host::task_all(tasks).map_err(boxed)),
        Block::Next => Answer::Task(host::next_completed()),
    }
}

/// Before the guest traps, tell its log why: of a trap the host sees only where it happened.
///
/// `describe` may call nothing of the host, and leaves a panic to the hook of std, which prints it.
fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|panic| host::log(host::LogLevel::Error, &sentence(panic)))));
}

fn sentence(panic: &PanicHookInfo<'_>) -> String {
    let message = panic.payload_as_str().unwrap_or("the guest panicked");
    let Some(location) = panic.location() else {
        return message.to_owned();
    };
    let file = location.file();
    // `block_on` of the futures crate, and whatever else parks the only thread there is.
    let hint = if file.contains("futures-executor") || file.contains("condvar") {
        " (an orchestrator must not run an executor of its own or block the thread: await the future instead)"
    } else {
        ""
    };
    format!("panicked at {location}: {message}{hint}")
}

/// The host, as a guest reaches it.
struct Imports;

impl Host for Imports {
    fn wait_external_event(&mut self, name: &str) -> Handle {
        host::wait_external_event(name)
    }

    fn call_activity(&mut self, name: &str, input: &str) -> Handle {
        host::call_activity(name, input)
    }

    fn call_sub_orchestrator(&mut self, name: &str, input: &str, instance_id: Option<&str>) -> Handle {
        host::call_sub_orchestrator(name, input, instance_id)
    }

    fn create_timer(&mut self, due: Timestamp) -> Handle {
        host::create_timer(due.as_millis())
    }

    fn set_retry(&mut self, task: Handle, policy: &RetryPolicy) {
        host::set_retry(task, &policy.into());
    }

    fn set_timeout(&mut self, task: Handle, due: Timestamp, default: Option<&str>) {
        host::set_timeout(task, due.as_millis(), default);
    }

    fn start_orchestrator(&mut self, name: &str, input: &str, instance_id: Option<&str>) -> String {
        host::start_orchestrator(name, input, instance_id)
    }

    fn raise_event(&mut self, instance_id: &str, name: &str, payload: &str) {
        host::raise_event(instance_id, name, payload);
    }

    fn task_any(&mut self, tasks: &[Handle]) -> Handle {
        host::task_any(tasks)
    }

    fn task_result(&mut self, task: Handle) -> Option<Outcome> {
        host::task_result(task).map(|result| result.map_err(|failure| Box::new(failure.into())))
    }

    fn cancel_task(&mut self, task: Handle) -> bool {
        host::cancel_task(task)
    }

    fn instance_id(&mut self) -> String {
        host::instance_id()
    }

    fn parent_instance_id(&mut self) -> Option<String> {
        host::parent_instance_id()
    }

    fn execution_id(&mut self) -> String {
        host::execution_id()
    }

    fn orchestrator_name(&mut self) -> String {
        host::orchestrator_name()
    }

    fn module_digest(&mut self) -> String {
        host::module_digest()
    }

    fn callback_url(&mut self, event: &str, expires: Timestamp) -> String {
        host::callback_url(event, expires.as_millis())
    }

    fn current_utc_time(&mut self) -> Timestamp {
        Timestamp::from_millis(host::current_utc_time())
    }

    fn new_guid(&mut self) -> String {
        host::new_guid()
    }

    fn is_replaying(&mut self) -> bool {
        host::is_replaying()
    }

    fn set_custom_status(&mut self, status: &str) {
        host::set_custom_status(status);
    }

    fn log(&mut self, level: Level, message: &str) {
        host::log(level.into(), message);
    }
}

impl From<Level> for host::LogLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Trace => Self::Trace,
            Level::Debug => Self::Debug,
            Level::Info => Self::Info,
            Level::Warn => Self::Warn,
            Level::Error => Self::Error,
        }
    }
}

impl From<&RetryPolicy> for types::RetryPolicy {
    fn from(policy: &RetryPolicy) -> Self {
        let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
        Self {
            max_attempts: policy.max_attempts,
            first_interval: millis(policy.first_interval),
            backoff_coefficient: policy.backoff_coefficient,
            max_interval: policy.max_interval.map(millis),
            timeout: policy.timeout.map(millis),
            attempt_timeout: policy.attempt_timeout.map(millis),
            non_retryable: policy.non_retryable.clone(),
        }
    }
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        let types::Failure { kind, message, error_type, details, non_retryable } = failure;
        Self { kind, message, error_type, details, non_retryable }
    }
}

impl From<Failure> for types::Failure {
    fn from(failure: Failure) -> Self {
        let Failure { kind, message, error_type, details, non_retryable } = failure;
        Self { kind, message, error_type, details, non_retryable }
    }
}
