//! Clients and operators do anything to a few instances of every kind, while the store fails, the clock jumps and the owner changes.

use std::collections::HashSet;
use std::sync::Mutex;

use fermata::dispatcher::{ControlError, PurgeError, RaiseError, StartError};
use fermata::store::{Filter, InstanceKey, StoreError};
use fermata_replay::{Control, Span};

use super::clock::HandClock;
use super::invariants::{check, rest};
use super::*;

pub const OPERATIONS: u64 = 60;
/// Numbers of events begin here: orchestrators that raise events use lower ones.
pub const FIRST_EVENT: u64 = 1_000;

/// What may happen in a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// One write, one read in so many fails; 0: none.
    pub write_faults: u32,
    pub read_faults: u32,
    /// In the middle the dispatcher is closed and opened again; or another one takes the store over, and the first lives on.
    restart: bool,
    takeover: bool,
}

const CALM: Plan = Plan { write_faults: 0, read_faults: 0, restart: false, takeover: false };

#[tokio::test(flavor = "multi_thread")]
async fn anything_in_a_calm() {
    all("anything_in_a_calm", 8, CALM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_while_writes_fail() {
    all("anything_while_writes_fail", 3, Plan { write_faults: 40, ..CALM }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_while_writes_and_reads_fail() {
    all("anything_while_writes_and_reads_fail", 3, Plan { write_faults: 60, read_faults: 40, ..CALM }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_around_a_restart() {
    all("anything_around_a_restart", 5, Plan { restart: true, ..CALM }).await;
    all("anything_around_a_restart", 2, Plan { restart: true, write_faults: 60, ..CALM }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_around_a_takeover() {
    all("anything_around_a_takeover", 5, Plan { takeover: true, ..CALM }).await;
}

/// `FERMATA_RUNS` makes it other than so many, to look for what is rare.
async fn all(test: &str, runs: u64, plan: Plan) {
    let number = |name: &str| Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("{name} is a number")));
    let runs = number("FERMATA_RUNS").unwrap_or(runs);
    let seeds =
        number("FERMATA_SEED").map_or_else(|| (0..runs).map(|_| fastrand::u64(..)).collect(), |seed| vec![seed]);
    for seed in seeds {
        println!("{plan:?}; again with: FERMATA_SEED={seed} cargo nextest run -p tests --test dispatcher {test}");
        run(seed, plan).await;
    }
}

/// What a run is about, and what its clients were told.
pub struct World {
    pub plan: Plan,
    pub store: Arc<Shaky>,
    pub clock: Arc<HandClock>,
    owners: Mutex<Vec<Arc<Dispatcher>>>,
    pub told: Mutex<Told>,
}

#[derive(Default)]
pub struct Told {
    pub raised: Vec<Raised>,
    pub terminated: Vec<(String, InstanceKey)>,
    /// Instances that may have gone before their end was known.
    pub torn: HashSet<String>,
}

/// An event that was acknowledged.
pub struct Raised {
    pub event: u64,
    pub id: String,
    /// The instance that took it in; none where that was replaced meanwhile.
    pub key: Option<InstanceKey>,
}

async fn run(seed: u64, plan: Plan) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (store, clock) = (Shaky::new(rng.u64(..)), Arc::new(HandClock::new()));
    let residency =
        *rng.choice(&[Residency::Never, Residency::UpTo(1), Residency::UpTo(3), Residency::Always]).unwrap();
    let (workers, clients) = (rng.usize(1..=4), rng.u64(2..=8));
    if rng.bool() {
        store.lag(Duration::from_millis(rng.u64(1..10)));
    }
    let open = || open_with(&store, engine(), residency, workers, clock.clone());
    let first = open().await;
    let (owners, told) = (Mutex::new(vec![first.clone()]), Mutex::default());
    let world = Arc::new(World { plan, store: store.clone(), clock: clock.clone(), owners, told });

    store.fail_one_in(plan.write_faults, plan.read_faults);
    let work: Vec<_> = (0..clients)
        .map(|number| tokio::spawn(client(number, fastrand::Rng::with_seed(rng.u64(..)), world.clone())))
        .collect();
    if plan.restart || plan.takeover {
        tokio::time::sleep(Duration::from_millis(rng.u64(0..200))).await;
        store.fail_one_in(0, 0);
        if plan.takeover {
            store.take_away().await
        } else {
            first.close().await
        }
        let second = open().await;
        world.owners.lock().unwrap().push(second);
        store.fail_one_in(plan.write_faults, plan.read_faults);
    }
    for client in work {
        client.await.unwrap();
    }
    store.fail_one_in(0, 0);

    // Half of the time what is left is for the next owner.
    let mut last = world.owners.lock().unwrap().last().unwrap().clone();
    if rng.bool() {
        last.close().await;
        last = open().await;
    }
    rest(&world, &last).await;
    check(&world, &last).await;
    time_passes(&world, &last).await;
    all_is_over(&world, &last, &mut rng).await;
    last.close().await;
}

/// Nothing is suspended any more, and all that waits for a time goes on.
async fn time_passes(world: &World, dispatcher: &Arc<Dispatcher>) {
    for instance in world.instances().await {
        if instance.status == RuntimeStatus::Suspended {
            dispatcher.resume(&instance.id, Control::default()).await.unwrap();
        }
    }
    rest(world, dispatcher).await;
    for _ in 0..100 {
        if world.store.memory().due(None, 1).await.unwrap().is_empty() {
            break;
        }
        dispatcher.skip(Span(3_600_000_000));
        rest(world, dispatcher).await;
    }
    check(world, dispatcher).await;
    assert_eq!(world.store.memory().due(None, 1).await.unwrap(), [], "time does not run out");
}

async fn all_is_over(world: &World, dispatcher: &Arc<Dispatcher>, rng: &mut fastrand::Rng) {
    for instance in world.instances().await {
        if instance.status.is_final() {
            continue;
        }
        let control = Control { cascade: rng.bool(), ..Control::default() };
        match dispatcher.terminate(&instance.id, control).await {
            Ok(()) => {
                rest(world, dispatcher).await;
                let ended = world.store.find(&instance.id).await.unwrap().unwrap();
                assert_eq!(ended.status, RuntimeStatus::Terminated, "{}", instance.id);
            }
            // It was a child of one that was terminated before.
            Err(ControlError::Gone { .. }) => {}
            Err(other) => panic!("{}: {other}", instance.id),
        }
    }
    rest(world, dispatcher).await;
    check(world, dispatcher).await;
    let live = world.instances().await.into_iter().filter(|instance| !instance.status.is_final());
    assert_eq!(live.count(), 0);
    eventually("nothing is in memory", async || dispatcher.in_memory() == 0).await;
}

impl World {
    pub async fn instances(&self) -> Vec<fermata::store::Instance> {
        self.store.memory().list(Filter::default()).await.unwrap().instances
    }

    async fn key(&self, id: &str) -> Option<InstanceKey> {
        self.store.memory().find(id).await.unwrap().map(|instance| instance.key)
    }

    fn expected(&self, error: &StoreError) {
        let Plan { write_faults, read_faults, restart, takeover } = self.plan;
        let is_expected = match error {
            StoreError::Full => write_faults > 0,
            // A dispatcher that was closed says this, too.
            StoreError::Io(_) => write_faults > 0 || read_faults > 0 || restart,
            // The start that came just before failed.
            StoreError::Missing => write_faults > 0 || takeover || restart,
            StoreError::Fenced(_) => takeover || restart,
            _ => false,
        };
        assert!(is_expected, "{error}");
    }
}

async fn client(number: u64, mut rng: fastrand::Rng, world: Arc<World>) {
    for operation in 0..OPERATIONS {
        let dispatcher = rng.choice(&*world.owners.lock().unwrap()).unwrap().clone();
        let id = match rng.u32(0..10) {
            0..7 => format!("i{}", rng.u32(0..3)),
            _ => format!("c{}", rng.u32(0..2)),
        };
        let control = Control { cascade: rng.bool(), ..Control::default() };
        let asked = match rng.u32(0..100) {
            0..18 => {
                start(&world, &dispatcher, &id, &mut rng).await;
                Ok(())
            }
            18..52 => {
                raise(&world, &dispatcher, id, FIRST_EVENT + number * OPERATIONS + operation, &mut rng).await;
                Ok(())
            }
            52..63 => dispatcher.suspend(&id, control).await,
            63..75 => dispatcher.resume(&id, control).await,
            75..80 => terminate(&world, &dispatcher, &id, control).await,
            80..87 => dispatcher.rewind(&id, Control::default()).await,
            87..91 => {
                purge(&world, &dispatcher, &id, rng.bool()).await;
                Ok(())
            }
            91..93 => {
                started(&world, dispatcher.restart(&id, false).await.map(drop));
                Ok(())
            }
            93..94 => dispatcher.unpark(&id).await,
            _ => {
                dispatcher.skip(Span(rng.u64(0..5_000_000)));
                Ok(())
            }
        };
        match asked {
            Ok(()) | Err(ControlError::NotFound(_) | ControlError::Gone { .. } | ControlError::WrongState { .. }) => {}
            Err(ControlError::Busy) => {}
            Err(ControlError::Store(error)) => world.expected(&error),
        }
        match rng.u32(0..6) {
            0 => tokio::time::sleep(Duration::from_micros(rng.u64(0..3_000))).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

fn orchestrator(rng: &mut fastrand::Rng) -> (&'static str, String) {
    let mut number = |below: u32| rng.u32(0..below);
    match number(20) {
        0 => ("Collect", number(6).to_string()),
        1 => ("Ledger", number(4).to_string()),
        2 => ("Timer", number(20_000).to_string()),
        3 => ("Race", number(20_000).to_string()),
        4 => ("Timeout", number(20_000).to_string()),
        5 => {
            let (fail, attempts, interval) = (number(3), 1 + number(3), number(5_000));
            ("Tries", format!(r#"{{"fail":{fail},"max_attempts":{attempts},"interval":{interval}}}"#))
        }
        6 | 17 | 18 => {
            let (id, attempts) = (number(2), number(3));
            let child = format!(r#"{{"orchestrator":"Temper","id":"c{id}","input":null,"attempts":{attempts}}}"#);
            ("Parent", child)
        }
        7 | 8 => ("StrictParent", r#"{"orchestrator":"Temper","id":null,"input":null}"#.to_owned()),
        9 => ("Family", number(5).to_string()),
        10 => ("Sender", number(6).to_string()),
        11 => ("OneEach", format!(r#"{{"wanted":{},"taken":[]}}"#, 1 + number(5))),
        12 => ("OneEachAmongOthers", format!(r#"{{"wanted":{},"taken":[]}}"#, 1 + number(5))),
        13 => ("CountDown", number(40).to_string()),
        14 => ("Stages", ["[]", r#"["Tell","OutOfStock"]"#, r#"["Tell","Tell"]"#][number(3) as usize].to_owned()),
        15 => ("Rounds", format!("[{},{},{}]", number(5), number(3_000), number(4))),
        _ => ("Temper", "null".to_owned()),
    }
}

async fn start(world: &World, dispatcher: &Arc<Dispatcher>, id: &str, rng: &mut fastrand::Rng) {
    let (name, input) = orchestrator(rng);
    started(world, dispatcher.start(name, Some(id), payload(&input)).await.map(drop));
}

fn started(world: &World, outcome: Result<(), StartError>) {
    match outcome {
        Ok(()) | Err(StartError::Exists(_) | StartError::NotFound(_)) => {}
        Err(StartError::Store(error)) => world.expected(&error),
        Err(other) => panic!("{other}"),
    }
}

async fn raise(world: &World, dispatcher: &Arc<Dispatcher>, id: String, event: u64, rng: &mut fastrand::Rng) {
    let (mut id, mut name) = (id, *rng.choice(&["item", "item", "go", "mood", "amount", "noise"]).unwrap());
    if rng.u32(0..4) == 0 {
        // Children whose ids nobody chose.
        let tempers: Vec<_> = world.instances().await.into_iter().filter(|i| i.name == "Temper").collect();
        if let Some(temper) = rng.choice(&tempers) {
            (id, name) = (temper.id.clone(), "mood");
        }
    }
    let before = world.key(&id).await;
    match dispatcher.raise(&id, name, payload(&event.to_string())).await {
        Ok(_) => {
            let key = world.key(&id).await.filter(|key| before == Some(*key));
            world.told.lock().unwrap().raised.push(Raised { event, id, key });
        }
        Err(RaiseError::NotFound(_)) => {
            let same = before.is_some() && before == world.key(&id).await;
            assert!(!same, "{id} was there all the time, and is not found");
        }
        Err(RaiseError::Gone(_) | RaiseError::Busy(_) | RaiseError::Reused(_)) => {}
        Err(RaiseError::Store(error)) => world.expected(&error),
    }
}

async fn terminate(
    world: &World,
    dispatcher: &Arc<Dispatcher>,
    id: &str,
    control: Control,
) -> Result<(), ControlError> {
    let before = world.key(id).await;
    dispatcher.terminate(id, control).await?;
    if let Some(key) = world.key(id).await.filter(|key| before == Some(*key)) {
        world.told.lock().unwrap().terminated.push((id.to_owned(), key));
    }
    Ok(())
}

async fn purge(world: &World, dispatcher: &Arc<Dispatcher>, id: &str, force: bool) {
    if force {
        world.told.lock().unwrap().torn.insert(id.to_owned());
    }
    match dispatcher.purge(id, force).await {
        Ok(()) | Err(PurgeError::NotFound(_) | PurgeError::NotEnded { .. }) => {}
        Err(PurgeError::Store(error)) => world.expected(&error),
    }
}
