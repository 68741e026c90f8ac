//! Several clients at a time do anything to a few instances, while the store fails now and then.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use fermata::dispatcher::{RaiseError, StartError};
use fermata::store::StoreError;

use super::*;

const OPERATIONS: u64 = 60;

/// What may happen in a run.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// One write, one read in so many fails; 0: none.
    write_faults: u32,
    read_faults: u32,
    /// A finished instance is started again.
    again: bool,
    /// In the middle, another dispatcher takes the store over, and the first lives on.
    takeover: bool,
}

const CALM: Plan = Plan { write_faults: 0, read_faults: 0, again: false, takeover: false };

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_well() {
    all("a_store_that_is_well", 12, CALM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_writes_fail() {
    all("a_store_whose_writes_fail", 6, Plan { write_faults: 20, ..CALM }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_writes_and_reads_fail() {
    all("a_store_whose_writes_and_reads_fail", 4, Plan { write_faults: 40, read_faults: 40, ..CALM }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_are_started_again() {
    all("instances_that_are_started_again", 6, Plan { again: true, ..CALM }).await;
    all("instances_that_are_started_again", 4, Plan { again: true, write_faults: 40, ..CALM }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_while_the_old_one_lives() {
    all("a_new_owner_while_the_old_one_lives", 6, Plan { takeover: true, ..CALM }).await;
}

async fn all(test: &str, runs: u64, plan: Plan) {
    let seeds =
        tests::number("FERMATA_SEED").map_or_else(|| (0..runs).map(|_| fastrand::u64(..)).collect(), |seed| vec![seed]);
    for seed in seeds {
        println!("{plan:?}; again with: FERMATA_SEED={seed} cargo nextest run -p tests --test dispatcher {test}");
        run(seed, plan).await;
    }
}

/// What the clients were told.
#[derive(Default)]
struct Told {
    /// Counts what happens, so that before and after can be told.
    now: AtomicU64,
    /// By instance: when its latest start was acknowledged.
    started: Mutex<HashMap<String, u64>>,
    /// By instance: the acknowledged events, and when each was raised.
    raised: Mutex<HashMap<String, Vec<(u64, u64)>>>,
}

impl Told {
    fn tick(&self) -> u64 {
        self.now.fetch_add(1, Ordering::SeqCst)
    }
}

async fn run(seed: u64, plan: Plan) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let store = Shaky::new(rng.u64(..));
    let residency =
        *rng.choice(&[Residency::Never, Residency::UpTo(1), Residency::UpTo(3), Residency::Always]).unwrap();
    let (workers, clients, ids) = (rng.usize(1..=4), rng.u64(2..=8), rng.usize(1..=5));
    let open = || open(&store, engine(), residency, workers);
    let first = open().await;
    let owners = Arc::new(Mutex::new(vec![first.clone()]));
    store.fail_one_in(plan.write_faults, plan.read_faults);

    let told = Arc::new(Told::default());
    let work: Vec<_> = (0..clients)
        .map(|number| {
            let rng = fastrand::Rng::with_seed(rng.u64(..));
            tokio::spawn(client(number, rng, ids, plan, store.clone(), owners.clone(), told.clone()))
        })
        .collect();
    if plan.takeover {
        tokio::time::sleep(Duration::from_millis(rng.u64(0..60))).await;
        store.take_away().await;
        let second = open().await;
        owners.lock().unwrap().push(second);
    }
    for client in work {
        client.await.unwrap();
    }
    store.fail_one_in(0, 0);
    // Half of the time what is left is for the next owner.
    let mut last = owners.lock().unwrap().last().unwrap().clone();
    if rng.bool() {
        last.close().await;
        last = open().await;
    }
    rests(&store, &last).await;
    let (started, raised) = (told.started.lock().unwrap().clone(), told.raised.lock().unwrap().clone());
    for (id, raised) in &raised {
        check(&last, id, plan, started[id], raised).await;
    }
    if plan.takeover {
        // It has nothing to say any more, and keeps nothing.
        first.close().await;
        eventually("the former owner keeps no more than its guests", async || first.in_memory() == first.resident())
            .await;
    }
    last.close().await;
}

/// Everything that was acknowledged is there once, in the order of its sender, and nothing else; the orchestrator took it in that order.
async fn check(dispatcher: &Dispatcher, id: &str, plan: Plan, began: u64, raised: &[(u64, u64)]) {
    let view = look(dispatcher, id).await.unwrap();
    let found = events(&view);
    let unique: HashSet<u64> = found.iter().copied().collect();
    assert_eq!(unique.len(), found.len(), "{id}: twice in {found:?}");
    for (at, event) in raised {
        // Of an instance that was started again, events of before may be gone with the former one.
        assert!(unique.contains(event) || plan.again && *at < began, "{id}: {event} is lost, there are {found:?}");
    }
    for (at, event) in found.iter().enumerate() {
        assert!(raised.iter().any(|(_, known)| known == event), "{id}: {event} was never acknowledged");
        let in_order = found[..at].iter().all(|before| before / OPERATIONS != event / OPERATIONS || before < event);
        assert!(in_order, "{id}: {event} came late in {found:?}");
    }
    let wanted: usize = view.input.as_ref().unwrap().as_str().parse().unwrap();
    let name = if view.name == "Collect" { "item" } else { "amount" };
    let steps = &view.history.as_ref().unwrap().steps;
    let mine = |message: &MessageBody| match message {
        MessageBody::EventRaised { name: event, input } if event == name => {
            Some(input.as_str().parse::<u64>().unwrap())
        }
        _ => None,
    };
    let taken: Vec<u64> = steps.iter().filter_map(|step| mine(&step.message)).take(wanted).collect();
    let factor = if view.name == "Collect" { 1 } else { 2 };
    match &view.output {
        Some(fermata::dispatcher::Output::Result(output)) => {
            let output: Vec<u64> = serde_json::from_str(output.as_str()).unwrap();
            assert_eq!(output, taken.iter().map(|event| event * factor).collect::<Vec<_>>(), "{id}");
        }
        None => assert!(taken.len() < wanted, "{id}: {} has {taken:?} and goes not on", view.name),
        other => panic!("{id}: {other:?}"),
    }
}

async fn client(
    number: u64,
    mut rng: fastrand::Rng,
    ids: usize,
    plan: Plan,
    store: Arc<Shaky>,
    owners: Arc<Mutex<Vec<Arc<Dispatcher>>>>,
    told: Arc<Told>,
) {
    for operation in 0..OPERATIONS {
        let dispatcher = {
            let owners = owners.lock().unwrap();
            rng.choice(&*owners).unwrap().clone()
        };
        let id = format!("i{}", rng.usize(0..ids));
        match rng.u32(0..10) {
            0 | 1 => start(&dispatcher, &id, plan, &mut rng, &told).await,
            2 => drop(look(&dispatcher, &id).await),
            _ => raise(&dispatcher, &id, number * OPERATIONS + operation, plan, &mut rng, &store, &told).await,
        }
        match rng.u32(0..8) {
            0 => tokio::time::sleep(Duration::from_micros(rng.u64(0..2_000))).await,
            1 => tokio::task::yield_now().await,
            _ => {}
        }
    }
}

async fn start(dispatcher: &Arc<Dispatcher>, id: &str, plan: Plan, rng: &mut fastrand::Rng, told: &Told) {
    let (name, wanted) = (*rng.choice(&["Collect", "Ledger"]).unwrap(), rng.u32(0..12));
    // Without `again` none ends before the clients do.
    let wanted = if plan.again { wanted } else { wanted + 10_000 };
    match dispatcher.start(name, Some(id), payload(&wanted.to_string())).await {
        Ok(_) => {
            let now = told.tick();
            let before = told.started.lock().unwrap().insert(id.to_owned(), now);
            assert!(before.is_none() || plan.again, "{id} was started twice");
        }
        Err(StartError::Exists(_)) => {
            assert!(look(dispatcher, id).await.is_some(), "{id} is said to exist, and is not durable");
        }
        Err(StartError::Store(error)) => expected(&error, plan),
        Err(other) => panic!("{other}"),
    }
}

async fn raise(
    dispatcher: &Arc<Dispatcher>,
    id: &str,
    event: u64,
    plan: Plan,
    rng: &mut fastrand::Rng,
    store: &Shaky,
    told: &Told,
) {
    let name = *rng.choice(&["item", "amount", "noise"]).unwrap();
    let (now, known) = (told.tick(), told.started.lock().unwrap().contains_key(id));
    match dispatcher.raise(id, name, payload(&event.to_string())).await {
        Ok(_) => {
            told.raised.lock().unwrap().entry(id.to_owned()).or_default().push((now, event));
            if !plan.again && plan.read_faults == 0 {
                let key = store.find(id).await.unwrap().unwrap().key;
                let loaded = store.load(key).await.unwrap().unwrap();
                let event = format!(r#"{{"EventRaised":{{"name":"{name}","input":{event}}}}}"#);
                let kept = loaded.unread.iter().map(|message| &message.body).chain(&loaded.history);
                assert_eq!(kept.filter(|kept| kept.contains(&event)).count(), 1, "{id}: {event} is not durable");
            }
        }
        Err(RaiseError::NotFound(_)) => assert!(!known, "{id} was acknowledged, and is not found"),
        Err(RaiseError::Gone(_)) => assert!(plan.again, "{id} can not have ended"),
        Err(RaiseError::Busy(_) | RaiseError::Reused(_)) => {}
        Err(RaiseError::Store(error)) => expected(&error, plan),
    }
}

fn expected(error: &StoreError, plan: Plan) {
    let is_expected = match error {
        StoreError::Full | StoreError::Io(_) => plan.write_faults > 0 || plan.read_faults > 0,
        // The start that came just before failed.
        StoreError::Missing => plan.write_faults > 0 || plan.takeover,
        StoreError::Fenced(_) => plan.takeover,
        _ => false,
    };
    assert!(is_expected, "{error}");
}
