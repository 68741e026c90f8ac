//! One orchestrator's wasm instance, from its beginning to its end. Blocked, it is *resident*: a pending future that owns everything. To evict
//! it, drop it; to bring it back, start a new one with the history.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use fermata_replay::{
    Execution, Failure, Message, Mismatch, Outcome, Payload, Start, State, Stop, Timestamp, Turn, kind,
};
use wasmtime::{AsContextMut, Store, Trap, WasmBacktrace};

use super::host_calls::WitFailure;
use super::log::{GuestLog, Line};
use super::wasi::{StepClock, virtual_world};
use super::world::{Created, Orchestrator, Role, Shared, Usage, Waits, World, fault_of_host, meter, passed, store};
use super::{Engine, Module};
use crate::limits::{ExecutionLimits, Limit};
use crate::metrics::Metrics;

/// A running orchestrator. Dropping it runs none of the guest's code.
pub struct Guest {
    run: Pin<Box<dyn Future<Output = wasmtime::Result<Returned>> + Send>>,
    shared: Arc<Mutex<Shared>>,
    engine: Arc<Engine>,
    log: GuestLog,
    usage: Arc<Usage>,
    limits: ExecutionLimits,
    memories: usize,
}

pub type Returned = Result<String, WitFailure>;

/// Where a guest stands after it ran.
#[derive(Debug)]
pub enum Progress {
    /// It waits for a message that is not there; every message there was has been applied. Deadlines that have passed may be left, where the turn is
    /// [full](Turn::is_full).
    Blocked,
    Ended(End),
}

/// How a guest ended.
#[derive(Debug)]
pub enum End {
    /// It returned, failed or crashed, and that is recorded in its execution.
    Recorded,
    /// It does not fit its history. Nothing of this turn may be committed.
    Mismatch(Box<Mismatch>),
    /// The host gave up on it, for a reason that says nothing about the guest's outcome: to be tried again from history.
    Abandoned(String),
}

impl Engine {
    /// A guest for an execution, which must hold at least the start message; nothing runs yet. `key`: what tells the instance from others
    /// that have its id before or after it.
    pub fn guest(
        self: &Arc<Self>,
        module: &Arc<Module>,
        instance_id: &str,
        key: u64,
        mut execution: Execution,
    ) -> Guest {
        let start = execution.begin().expect("an execution with a guest has been started");
        let log = GuestLog::gathering(instance_id, &self.limits, &self.metrics);
        let shared = Shared { execution, waits: Waits::Nothing, stop: None, metered_step: 0, turn_begins: true };
        let shared = Arc::new(Mutex::new(shared));
        let (memories, usage) = (module.memories(), Arc::<Usage>::default());
        let world = {
            let clock = StepClock::default();
            let wasi = virtual_world(&seed_bytes(&start.seed), &clock, &log);
            let role = Role::Orchestrator(Box::new(Orchestrator {
                shared: shared.clone(),
                key,
                callbacks: self.callbacks.clone(),
                clock,
                guids: 0,
                step_ticks: self.ticks(),
                ticks_left: self.ticks(),
                created: Created::default(),
            }));
            World::new(self, role, instance_id.into(), log.clone(), wasi, start.limits).counting(usage.clone())
        };
        self.metrics.guests_started.inc();
        let limits = start.limits;
        let run = run(self.clone(), module.clone(), start, world);
        Guest { run: Box::pin(run), shared, engine: self.clone(), log, usage, limits, memories }
    }
}

async fn run(engine: Arc<Engine>, module: Arc<Module>, start: Start, world: World) -> wasmtime::Result<Returned> {
    let mut store: Store<World> = store(&engine, world)?;
    meter(&mut store.as_context_mut())?;
    let (name, input) = (start.name.as_str(), start.input.as_str());
    module.run_orchestrator(&mut store, name, input).await
}

impl Guest {
    /// Lets the guest run on with these messages, now that it is `now`, until it blocks or ends.
    pub fn resume(&mut self, messages: impl IntoIterator<Item = Message>, now: Timestamp) -> Progress {
        let mut progress = self.resume_for_a_while(messages, now);
        loop {
            match progress {
                Some(progress) => return progress,
                None => progress = self.go_on(),
            }
        }
    }

    /// The same, for as long as others may have to wait; none where it then is in the middle of a step, and is to [go on](Guest::go_on).
    pub fn resume_for_a_while(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
        now: Timestamp,
    ) -> Option<Progress> {
        {
            let mut shared = self.shared();
            shared.execution.tick(now);
            messages.into_iter().for_each(|message| shared.execution.push(message));
        }
        self.go_on()
    }

    /// Lets one go on that is in the middle of a step.
    pub fn go_on(&mut self) -> Option<Progress> {
        {
            let mut shared = self.shared();
            (shared.waits, shared.turn_begins) = (Waits::Nothing, true);
        }
        let polled = {
            let _running = self.engine.epoch.run();
            self.run.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        };
        if polled.is_pending() && self.shared().waits == Waits::Turn {
            return None;
        }
        Some(match polled {
            Poll::Pending => self.pending(),
            Poll::Ready(Ok(returned)) => {
                let outcome = outcome("orchestrator", returned, &self.limits, &self.engine.metrics);
                self.record(outcome)
            }
            Poll::Ready(Err(error)) => self.crashed(error),
        })
    }

    /// How many linear memories it takes.
    pub fn memories(&self) -> usize {
        self.memories
    }

    /// Whether it has taken much memory.
    pub fn is_large(&self) -> bool {
        self.usage.is_large()
    }

    /// What the guest has logged in steps that are to be committed.
    pub fn take_log(&self) -> Vec<Line> {
        self.log.take()
    }

    /// The messages that were not applied: those for the next generation, or those that wait while the instance is suspended.
    pub fn take_inbox(&mut self) -> Vec<Message> {
        self.shared().execution.take_inbox()
    }

    /// Applies messages to a guest that has ended: events stay visible as buffered.
    pub fn absorb(&mut self, messages: impl IntoIterator<Item = Message>) {
        let mut shared = self.shared();
        messages.into_iter().for_each(|message| shared.execution.push(message));
        shared.execution.absorb().expect("an ended guest decides nothing");
    }

    /// What there is to commit.
    pub fn take_turn(&mut self) -> Option<Turn> {
        let mut shared = self.shared();
        shared.execution.has_turn().then(|| shared.execution.take_turn())
    }

    /// Reads the state of the execution.
    pub fn state<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(self.shared().execution.state())
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().expect("no panic while it is held")
    }

    fn pending(&mut self) -> Progress {
        let (waits, has_ended) = {
            let shared = self.shared();
            (shared.waits, shared.execution.state().end().is_some())
        };
        match waits {
            // It was terminated.
            Waits::Message if has_ended => Progress::Ended(End::Recorded),
            Waits::Message => Progress::Blocked,
            Waits::ItsEnd => Progress::Ended(End::Recorded),
            Waits::Nothing | Waits::Turn => self.record(Outcome::Failed(Failure::new(
                kind::TRAP,
                "the orchestrator waited for the outside world (a sleep, or a blocking read): it may wait for tasks only; \
                 `create_timer` makes one that is due after a time",
            ))),
        }
    }

    fn record(&mut self, outcome: Outcome) -> Progress {
        let ended = self.shared().execution.end(outcome);
        Progress::Ended(match ended {
            Ok(()) => End::Recorded,
            Err(Stop::Mismatch(mismatch)) => End::Mismatch(mismatch),
            Err(Stop::Misuse(reason)) => End::Abandoned(reason),
        })
    }

    fn crashed(&mut self, error: wasmtime::Error) -> Progress {
        if let Some(reason) = fault_of_host(&error) {
            return Progress::Ended(End::Abandoned(reason));
        }
        let stop = self.shared().stop.take();
        match (stop, error.downcast_ref::<Trap>()) {
            (Some(Stop::Mismatch(mismatch)), _) => Progress::Ended(End::Mismatch(mismatch)),
            (None, Some(Trap::Interrupt)) => {
                self.engine.metrics.hit(Limit::WallTime);
                Progress::Ended(End::Abandoned("a step took longer than its wall time".into()))
            }
            (None, _) if let Some((limit, failure)) = passed(&error, &self.usage, || self.log.last_error()) => {
                if !self.shared().execution.is_replaying() {
                    self.engine.metrics.hit(limit);
                }
                tracing::warn!(target: "guest", instance = self.log.instance(), limit = limit.name(), "the orchestrator passed a limit: {}", failure.message);
                self.record(Outcome::Failed(Failure { details: backtrace(&error), ..failure }))
            }
            (stop, _) => {
                // A panic is an `unreachable` after a line of log that says more.
                let said = self.log.last_error();
                let message = stop.map(|stop| stop.to_string()).or(said).unwrap_or(error.root_cause().to_string());
                tracing::warn!(target: "guest", instance = self.log.instance(), "the orchestrator crashed: {}", with_backtrace(&error));
                let details = backtrace(&error);
                self.record(Outcome::Failed(Failure { details, ..Failure::new(kind::TRAP, message) }))
            }
        }
    }
}

/// What a guest came to that returned; it may be as large as any other payload.
pub fn outcome(what: &str, returned: Returned, limits: &ExecutionLimits, metrics: &Metrics) -> Outcome {
    let most = limits.payload_bytes;
    let too_large = |bytes: usize| {
        let message = || format!("what the {what} returned has {bytes} bytes, which passes the limit of {most}");
        (bytes > most).then(|| {
            metrics.hit(Limit::Payload);
            Outcome::Failed(Limit::Payload.failure(message()))
        })
    };
    match returned {
        Ok(output) => too_large(output.len()).unwrap_or_else(|| match Payload::parse(&output) {
            Ok(output) => Outcome::Succeeded(output),
            Err(error) => Outcome::Failed(Failure::new(kind::TRAP, format!("the {what}'s output is {error}"))),
        }),
        Err(failure) => {
            let failure = Failure::from(failure);
            let bytes = failure.message.len() + failure.details.len() + failure.error_type.len() + failure.kind.len();
            too_large(bytes).unwrap_or(Outcome::Failed(failure))
        }
    }
}

/// What happened to a guest, and where in its code.
pub fn with_backtrace(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<WasmBacktrace>() {
        Some(backtrace) => format!("{}\n{backtrace}", error.root_cause()),
        None => format!("{error:#}"),
    }
}

/// Where in its code a guest crashed, function by function; empty where that is not known.
pub fn backtrace(error: &wasmtime::Error) -> String {
    error.downcast_ref::<WasmBacktrace>().map(|backtrace| backtrace.to_string()).unwrap_or_default()
}

/// 64 hex digits, as recorded at the start.
fn seed_bytes(hex: &str) -> [u8; 32] {
    let mut seed = [0; 32];
    for (byte, digits) in seed.iter_mut().zip(hex.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).unwrap_or("0");
        *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
    }
    seed
}
