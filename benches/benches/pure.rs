//! The pure pieces on the way of one event, each alone: time and allocations. `cargo bench --package benches`, or `cargo xtask bench micro`.
//!
//! HTTP is parsed by hyper, and routed by what the host keeps for itself: these are seen in `cargo xtask bench e2e`.

use std::hint::black_box;
use std::sync::Arc;

use divan::{AllocProfiler, Bencher};
use fermata::keys::{self, Key};
use fermata::store::partition_of;
use fermata_replay::{Execution, Message, MessageBody, Payload, Start, Step, TaskId, Timestamp, fold_name};
use mimalloc::MiMalloc;

/// As the host has it.
#[global_allocator]
static ALLOCATOR: AllocProfiler<MiMalloc> = AllocProfiler::new(MiMalloc);

fn main() {
    divan::main();
}

/// Steps of a history that is read.
const STEPS: [usize; 4] = [1, 10, 100, 1_000];
/// Bytes of a payload.
const BYTES: [usize; 3] = [4, 1 << 10, 100 << 10];

fn started() -> Message {
    let start = Start {
        name: "Collect".into(),
        input: Payload::null(),
        execution: "5f0c2f3a9d6b4c1e8a7d".into(),
        module: "ab".repeat(32),
        seed: "07".repeat(32),
        parent: None,
        generation: 0,
        carried: Vec::new(),
        limits: Default::default(),
    };
    Message { seq: 1, at: Timestamp(1_000_000), body: MessageBody::Started(Box::new(start)) }
}

fn event(seq: u64) -> Message {
    let body = MessageBody::EventRaised { name: "item".into(), input: Payload::string("ok") };
    Message { seq, at: Timestamp(1_000_000 + seq as i64), body }
}

/// A guest that takes one event after the other.
struct Collector {
    execution: Execution,
    waits_for: TaskId,
    seq: u64,
}

impl Collector {
    /// It has taken so many, and waits for one more.
    fn after(events: usize) -> Collector {
        let mut execution = Execution::new(Vec::new());
        execution.push(started());
        execution.begin().expect("it was started");
        let waits_for = wait(&mut execution);
        let mut collector = Collector { execution, waits_for, seq: 1 };
        (0..events).for_each(|_| collector.take());
        collector
    }

    fn take(&mut self) {
        self.seq += 1;
        self.execution.push(event(self.seq));
        assert!(self.execution.poll_task(self.waits_for).is_ready());
        self.waits_for = wait(&mut self.execution);
    }

    fn into_history(mut self) -> Vec<Step> {
        self.execution.take_turn().steps
    }
}

fn wait(execution: &mut Execution) -> TaskId {
    let task = execution.wait_external_event("item").expect("it may wait");
    assert!(execution.poll_task(task).is_pending());
    task
}

fn history(steps: usize) -> Vec<Step> {
    Collector::after(steps - 1).into_history()
}

fn object(bytes: usize) -> String {
    let member = |number: usize| format!(r#""member {number}": [{number}, true, "text"]"#);
    let members: Vec<String> = (0..bytes.div_ceil(35)).map(member).collect();
    if bytes < 35 { r#""ok""#.into() } else { format!("{{{}}}", members.join(", ")) }
}

mod history_of {
    use super::*;

    #[divan::bench(args = STEPS)]
    fn decode(bencher: Bencher, steps: usize) {
        let chunk = serde_json::to_string(&history(steps)).expect("steps are JSON");
        bencher.bench(|| serde_json::from_str::<Vec<Step>>(black_box(&chunk)));
    }

    /// What is true of the instance, without its guest.
    #[divan::bench(args = STEPS)]
    fn fold(bencher: Bencher, steps: usize) {
        let history = history(steps);
        bencher.bench(|| Execution::without_guest(black_box(&history)));
    }

    /// A guest that costs nothing is taken through it.
    #[divan::bench(args = STEPS)]
    fn replay(bencher: Bencher, steps: usize) {
        let history = history(steps);
        bencher.with_inputs(|| history.clone()).bench_values(|history| {
            let mut execution = Execution::new(history);
            execution.begin().expect("it was started");
            for _ in 1..steps {
                let task = execution.wait_external_event("item").expect("it is recorded");
                assert!(execution.poll_task(task).is_ready());
            }
            execution
        });
    }
}

mod step {
    use super::*;

    /// An event is applied, and the guest waits for the next.
    #[divan::bench]
    fn apply(bencher: Bencher) {
        bencher.with_inputs(|| Collector::after(1)).bench_refs(Collector::take);
    }

    #[divan::bench]
    fn take_turn(bencher: Bencher) {
        bencher.with_inputs(|| Collector::after(1)).bench_refs(|collector| collector.execution.take_turn());
    }

    #[divan::bench]
    fn encode(bencher: Bencher) {
        let mut collector = Collector::after(0);
        collector.execution.take_turn();
        collector.take();
        let steps = collector.execution.take_turn().steps;
        bencher.bench(|| serde_json::to_string(black_box(&steps)));
    }
}

mod message {
    use super::*;

    #[divan::bench]
    fn encode(bencher: Bencher) {
        let body = event(2).body;
        bencher.bench(|| serde_json::to_string(black_box(&body)));
    }

    #[divan::bench]
    fn decode(bencher: Bencher) {
        let text = serde_json::to_string(&event(2).body).expect("messages are JSON");
        bencher.bench(|| serde_json::from_str::<MessageBody>(black_box(&text)));
    }
}

mod payload {
    use super::*;

    #[divan::bench(args = BYTES)]
    fn parse(bencher: Bencher, bytes: usize) {
        let text = object(bytes);
        bencher.bench(|| Payload::parse(black_box(&text)));
    }

    /// As replay does, where the texts are alike.
    #[divan::bench(args = BYTES)]
    fn compare(bencher: Bencher, bytes: usize) {
        let [recorded, asked] = [(); 2].map(|()| Payload::parse(&object(bytes)).expect("it is JSON"));
        bencher.bench(|| black_box(&recorded).means_the_same(black_box(&asked)));
    }
}

mod request {
    use super::*;

    #[divan::bench]
    fn fold_event_name() -> String {
        fold_name(black_box("CityPlanningApproval"))
    }

    #[divan::bench]
    fn partition() -> u32 {
        partition_of(black_box("a1b2c3d4-0000-7000-8000-0123456789ab"))
    }

    #[divan::bench(args = [1, 100])]
    fn find_key(bencher: Bencher, keys: usize) {
        let made = (0..keys).map(|number| Key::new(format!("key {number}"), Vec::new(), Vec::new(), None));
        let (keys, secrets): (Vec<Arc<Key>>, Vec<String>) = made.map(|(key, secret)| (Arc::new(key), secret)).unzip();
        let last = secrets.last().expect("there is one");
        bencher.bench(|| keys::find(black_box(&keys), black_box(last)).is_some());
    }
}
