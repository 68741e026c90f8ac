//! What holds whenever nothing is left to do, whatever has happened; and that all comes to its end.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use fermata::dispatcher::Dispatcher;
use fermata::store::{Instance, InstanceKey, Store as _};
use fermata_replay::{Control, Decision, MessageBody, OpenKind, RuntimeStatus, Start, State, Step};
use futures_executor::block_on;

use super::clients::{Record, check_view, client_of};
use super::clock::HandClock;
use super::disk::Disk;
use super::fate::lock;
use super::modules;
use super::world::World;

const HOUR: i64 = 3_600_000_000;
/// Steps until all must have come to rest.
const PATIENCE: usize = 500_000;

/// Waits until nothing is left to do, and looks whether all is as it must be.
pub fn come_to_rest(world: &Arc<World>) {
    let mut looks = 0_usize;
    world.until("all comes to rest", |world| {
        looks += 1;
        if !looks.is_multiple_of(32) {
            return false;
        }
        let why = restless(&world.disk, &world.clock, world.owner().serving().as_deref());
        assert!(looks < PATIENCE, "it does not come to rest: {}", why.unwrap_or_default());
        why.is_none()
    });
    world.fate.note(format_args!("all rests"));
    check(world);
}

/// What there is to do still.
fn restless(disk: &Disk, clock: &HandClock, dispatcher: Option<&Dispatcher>) -> Option<String> {
    let Some(dispatcher) = dispatcher else { return Some("the host has yet to begin".into()) };
    let memory = disk.memory();
    if let Some(sent) = block_on(memory.outbox()).unwrap().first() {
        return Some(format!("a message is not delivered: {sent:?}"));
    }
    let instances = disk.instances();
    let is_suspended = |key: InstanceKey| {
        instances.iter().any(|instance| instance.key == key && instance.status == RuntimeStatus::Suspended)
    };
    for unread in block_on(memory.unread()).unwrap() {
        let loaded = block_on(memory.load(unread.key)).unwrap().expect("it has unread messages");
        let mut bodies = loaded.unread.iter().map(|message| serde_json::from_str(&message.body).unwrap());
        let calls_back = |body| {
            use MessageBody::{Migrated, Resumed, Terminated};
            matches!(body, Resumed(_) | Terminated(_) | Migrated { .. })
        };
        let is_called_back = bodies.any(calls_back);
        if is_called_back || !is_suspended(unread.key) {
            return Some(format!("messages are unread: {loaded:#?}"));
        }
    }
    // The outcomes of those of a suspended one may be unread.
    let open = block_on(memory.open_activities()).unwrap();
    if let Some(open) = open.iter().find(|activity| !is_suspended(activity.key)) {
        return Some(format!("an activity is open: {open:?}"));
    }
    let time = fermata::clock::Clock::now(clock);
    if let Some(due) = block_on(memory.due(None, 1)).unwrap().first().filter(|due| due.due <= time) {
        return Some(format!("a deadline has passed: {due:?}, it is {time:?}"));
    }
    let (slots, guests) = (dispatcher.in_memory(), dispatcher.resident());
    (slots != guests).then(|| format!("{slots} instances are in memory, and {guests} guests"))
}

/// Nothing is suspended any more, and all that waits for a time goes on.
pub fn let_time_pass(world: &Arc<World>) {
    for instance in world.disk.instances() {
        if instance.status == RuntimeStatus::Suspended {
            let dispatcher = world.owner().serving().expect("it serves");
            let id = instance.id.clone();
            let resume = async move { dispatcher.resume(&id, Control::default()).await };
            let resumed = world.done("it is resumed", resume);
            assert!(resumed.is_ok() || world.disk.find(&instance.id).is_none(), "{}: {resumed:?}", instance.id);
        }
    }
    come_to_rest(world);
    for _ in 0..100 {
        if block_on(world.disk.memory().due(None, 1)).unwrap().is_empty() {
            return;
        }
        world.clock.jump(HOUR);
        come_to_rest(world);
    }
    panic!("time does not run out");
}

/// What goes on still is terminated, and nothing is left in memory.
pub fn end_all(world: &Arc<World>) {
    for instance in world.disk.instances() {
        let Some(live) = world.disk.find(&instance.id).filter(|live| !live.status.is_final()) else { continue };
        let dispatcher = world.owner().serving().expect("it serves");
        let control = Control { cascade: world.fate.draw(|rng| rng.bool()), ..Control::default() };
        let ended = world.done("it is terminated", async move { dispatcher.terminate(&live.id, control).await });
        assert_eq!(ended, Ok(()), "{}", instance.id);
        come_to_rest(world);
        let ended = world.disk.find(&instance.id).map(|ended| ended.status);
        assert!(ended.is_none_or(|status| status == RuntimeStatus::Terminated), "{}: {ended:?}", instance.id);
    }
    come_to_rest(world);
    assert!(world.disk.instances().iter().all(|instance| instance.status.is_final()));
    let dispatcher = world.owner().serving().expect("it serves");
    assert_eq!(dispatcher.in_memory(), 0, "what has ended is in nobody's memory");
}

/// One instance, as it is stored.
struct Found {
    instance: Instance,
    start: Start,
    state: State,
    /// The steps that count: without those that were undone.
    steps: Vec<Step>,
    rewound: bool,
    unread: Vec<MessageBody>,
}

fn check(world: &World) {
    world.disk.check();
    let dispatcher = world.owner().serving().expect("it serves");
    let mut all = BTreeMap::new();
    for instance in world.disk.instances() {
        let found = find(&world.disk, &dispatcher, instance);
        all.insert(found.instance.id.clone(), found);
    }
    let record = lock(&world.record);
    let is_troubled = world.fate.is_troubled();
    for found in all.values() {
        check_state(found);
        check_tasks(&record, &all, found);
        check_events(&record, found, is_troubled);
    }
    for (id, key) in &record.terminated {
        if let Some(found) = all.get(id).filter(|found| found.instance.key == *key && !found.rewound) {
            assert!(found.instance.status.is_final(), "{id} was terminated, and is {:?}", found.instance.status);
        }
    }
}

fn find(disk: &Disk, dispatcher: &Dispatcher, instance: Instance) -> Found {
    let view = block_on(dispatcher.view(&instance.id, true)).unwrap().expect("it is there");
    check_view(&view);
    let output = view.output.clone();
    assert_eq!(view.status, instance.status, "{}", instance.id);
    let history = view.history.expect("it was asked for").steps;
    let loaded = block_on(disk.memory().load(instance.key)).unwrap().expect("it is there");
    let unread = loaded.unread.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
    let state = State::of(&history);
    let start = state.start().cloned().unwrap_or_else(|| panic!("{} has not begun", instance.id));
    let mut steps: Vec<Step> = Vec::new();
    let mut rewound = false;
    for step in history {
        if let Some(Decision::Undone { from, .. }) = step.decisions.first() {
            rewound = true;
            steps.truncate(*from);
            if *from == 0 {
                continue;
            }
        }
        steps.push(step);
    }
    modules::check(&instance, &state, &steps, output.as_ref());
    Found { instance, start, state, steps, rewound, unread }
}

fn check_state(found: &Found) {
    let Found { instance, state, unread, .. } = found;
    let id = &instance.id;
    assert_eq!(instance.parked, None, "{id}");
    assert_eq!(instance.execution, found.start.execution, "{id}");
    assert!(!state.is_runnable(), "{id} could go on");
    assert_eq!(instance.ended.is_some(), instance.status.is_final(), "{id}");
    assert_eq!(instance.due, state.next_due(), "{id}");
    assert_eq!(instance.waiting, state.awaited_events(), "{id}");
    assert!(unread.is_empty() || instance.status == RuntimeStatus::Suspended, "{id}: {unread:?}");
}

/// What an instance waits for can come: work that is under way, or an event, or a time.
fn check_tasks(record: &Record, all: &BTreeMap<String, Found>, found: &Found) {
    let Found { instance, start, state, .. } = found;
    let id = &instance.id;
    let mut ended = HashSet::new();
    for step in &found.steps {
        if let MessageBody::ChildEnded(child) = &step.message {
            assert!(ended.insert((child.task, child.attempt)), "{id} heard twice of its child {}", child.task);
        }
    }
    if instance.status == RuntimeStatus::Suspended {
        return;
    }
    for open in state.open_tasks() {
        match open.kind {
            OpenKind::Activity { name, retry, .. } => assert!(retry.is_some(), "{id} waits for {name} in vain"),
            OpenKind::Child { instance, retry: None, .. } if !record.torn.contains(&instance) => {
                let child =
                    all.get(&instance).unwrap_or_else(|| panic!("{id} waits for {instance}, which is not there"));
                let parent = child.start.parent.as_ref().map(|parent| (&parent.caller.execution, parent.caller.task));
                assert_eq!(parent, Some((&start.execution, open.task)), "{id} waits for {instance} of another");
                assert!(!child.instance.status.is_final(), "{id} has not heard of the end of {instance}");
            }
            _ => {}
        }
    }
    // What nobody but orchestrators knows of goes through; unless it is terminated with its parent.
    match (&*instance.name, id.contains(':')) {
        ("Collect", true) => assert_eq!(instance.status, RuntimeStatus::Completed, "{id}"),
        ("Echo", true) => assert!(instance.status.is_final(), "{id}"),
        _ => {}
    }
}

/// What was acknowledged is there once, in the order of its sender, and nothing else.
fn check_events(record: &Record, found: &Found, is_troubled: bool) {
    let id = &found.instance.id;
    let events = events_of(found);
    let unique: BTreeSet<u64> = events.iter().map(|(_, event)| *event).collect();
    assert_eq!(unique.len(), events.len(), "{id}: twice in {events:?}");
    for raised in record.raised.iter().filter(|raised| raised.key == found.instance.key) {
        assert!(unique.contains(&raised.event), "{id}: {} is lost, there are {events:?}", raised.event);
    }
    let mut latest = BTreeMap::new();
    for (name, event) in &events {
        if let Some(client) = client_of(*event) {
            let before = latest.insert((client, name), event);
            assert!(before.is_none_or(|before| before < event), "{id}: {event} came late in {events:?}");
        }
    }
    // One that was raised by another instance comes once, too.
    if found.instance.name == "Collect" && id.contains(':') {
        let mut sent: Vec<u64> = events.iter().map(|(_, event)| *event).collect();
        if is_troubled {
            // One that failed is sent again after the one that followed on it.
            sent.sort_unstable();
        }
        let wanted: u64 = found.start.input.as_str().parse().unwrap();
        assert_eq!(sent, (0..wanted).collect::<Vec<_>>(), "{id}");
    }
}

/// Names and numbers of all events that an instance has got, in order, but for those without a number.
fn events_of(found: &Found) -> Vec<(String, u64)> {
    let number = |input: &fermata_replay::Payload| input.as_str().parse::<u64>().ok();
    let mut events = Vec::new();
    if found.instance.name.starts_with("OneEach") {
        // What former generations took.
        let input: serde_json::Value = serde_json::from_str(found.start.input.as_str()).unwrap();
        let taken = input["taken"].as_array().unwrap();
        events.extend(taken.iter().map(|taken| ("item".to_owned(), taken.as_u64().unwrap())));
    }
    let carried = found.start.carried.iter();
    events.extend(carried.filter_map(|event| Some((event.name.clone(), number(&event.input)?))));
    for message in found.steps.iter().map(|step| &step.message).chain(&found.unread) {
        if let MessageBody::EventRaised { name, input } = message {
            events.extend(number(input).map(|number| (name.clone(), number)));
        }
    }
    events
}
