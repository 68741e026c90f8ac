//! What holds whenever nothing is left to do, whatever has happened.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use fermata::store::{Instance, InstanceKey};
use fermata_replay::{Decision, OpenKind, Start, Step};

use super::chaos::{FIRST_EVENT, OPERATIONS, World};
use super::*;

/// Waits until nothing is left to do.
pub async fn rest(world: &World, dispatcher: &Dispatcher) {
    let begun = Instant::now();
    while let Some(why) = restless(world, dispatcher).await {
        assert!(begun.elapsed() < PATIENCE, "it does not come to rest: {why}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What there is to do still.
async fn restless(world: &World, dispatcher: &Dispatcher) -> Option<String> {
    let memory = world.store.memory();
    let suspended: HashSet<InstanceKey> =
        world.instances().await.iter().filter(|i| i.status == RuntimeStatus::Suspended).map(|i| i.key).collect();
    if let Some(sent) = memory.outbox().await.unwrap().first() {
        return Some(format!("a message is not delivered: {sent:?}"));
    }
    for unread in memory.unread().await.unwrap() {
        let Some(loaded) = memory.load(unread.key).await.unwrap() else { continue };
        let mut bodies = loaded.unread.iter().map(|message| serde_json::from_str(&message.body).unwrap());
        let is_called_back = bodies.any(|body| matches!(body, MessageBody::Resumed(_) | MessageBody::Terminated(_)));
        if is_called_back || !suspended.contains(&unread.key) {
            return Some(format!("messages are unread: {loaded:#?}"));
        }
    }
    // The outcomes of these may be unread.
    let open = memory.open_activities().await.unwrap();
    if let Some(open) = open.iter().find(|activity| !suspended.contains(&activity.key)) {
        return Some(format!("an activity is open: {open:?}"));
    }
    let now = world.clock.now();
    if let Some(due) = memory.due(None, 1).await.unwrap().first().filter(|due| due.due <= now) {
        return Some(format!("a deadline has passed: {due:?}, it is {now:?}"));
    }
    let (slots, guests) = (dispatcher.in_memory(), dispatcher.resident());
    (slots != guests).then(|| format!("{slots} instances are in memory, and {guests} guests"))
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

pub async fn check(world: &World, dispatcher: &Dispatcher) {
    let mut all = BTreeMap::new();
    for instance in world.instances().await {
        let found = find(world, dispatcher, instance).await;
        all.insert(found.instance.id.clone(), found);
    }
    for found in all.values() {
        check_state(found);
        check_tasks(world, &all, found);
        check_events(world, found);
    }
    check_due(world, &all).await;
    let told = world.told.lock().unwrap();
    for (id, key) in &told.terminated {
        if let Some(found) = all.get(id).filter(|found| found.instance.key == *key && !found.rewound) {
            assert!(found.instance.status.is_final(), "{id} was terminated, and is {:?}", found.instance.status);
        }
    }
}

async fn find(world: &World, dispatcher: &Dispatcher, instance: Instance) -> Found {
    let view = see(dispatcher, &instance.id).await.unwrap();
    assert_eq!(view.status, instance.status, "{}", instance.id);
    let history = view.history.unwrap().steps;
    let loaded = world.store.memory().load(instance.key).await.unwrap().unwrap();
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
fn check_tasks(world: &World, all: &BTreeMap<String, Found>, found: &Found) {
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
            OpenKind::Child { instance, retry: None, .. } if !world.told.lock().unwrap().torn.contains(&instance) => {
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

fn check_events(world: &World, found: &Found) {
    let id = &found.instance.id;
    let events = events_of(found);
    let unique: BTreeSet<u64> = events.iter().map(|(_, event)| *event).collect();
    assert_eq!(unique.len(), events.len(), "{id}: twice in {events:?}");

    let told = world.told.lock().unwrap();
    for raised in told.raised.iter().filter(|raised| raised.key == Some(found.instance.key)) {
        assert!(unique.contains(&raised.event), "{id}: {} is lost, there are {events:?}", raised.event);
    }
    let acknowledged: HashSet<u64> =
        told.raised.iter().filter(|raised| raised.id == *id).map(|raised| raised.event).collect();
    let mut latest = BTreeMap::new();
    for (name, event) in &events {
        if *event < FIRST_EVENT {
            continue;
        }
        assert!(acknowledged.contains(event), "{id}: {event} was never acknowledged");
        let client = (event - FIRST_EVENT) / OPERATIONS;
        let before = latest.insert((client, name), event);
        assert!(before.is_none_or(|before| before < event), "{id}: {event} came late in {events:?}");
    }
    // One that was raised by another instance comes once, too.
    if found.instance.name == "Collect" && id.contains(':') {
        let mut sent: Vec<u64> = events.iter().map(|(_, event)| *event).collect();
        if world.plan.write_faults > 0 {
            // The one that failed is sent again after the one that followed on it.
            sent.sort_unstable();
        }
        let wanted: u64 = found.start.input.as_str().parse().unwrap();
        assert_eq!(sent, (0..wanted).collect::<Vec<_>>(), "{id}");
    }
}

/// Names and numbers of all events that an instance has got, in order.
fn events_of(found: &Found) -> Vec<(String, u64)> {
    let number = |input: &Payload| input.as_str().parse::<u64>().unwrap();
    let mut events = Vec::new();
    if found.instance.name.starts_with("OneEach") {
        // What former generations took.
        let input: serde_json::Value = serde_json::from_str(found.start.input.as_str()).unwrap();
        let taken = input["taken"].as_array().unwrap();
        events.extend(taken.iter().map(|taken| ("item".to_owned(), taken.as_u64().unwrap())));
    }
    events.extend(found.start.carried.iter().map(|event| (event.name.clone(), number(&event.input))));
    for message in found.steps.iter().map(|step| &step.message).chain(&found.unread) {
        if let MessageBody::EventRaised { name, input } = message {
            events.push((name.clone(), number(input)));
        }
    }
    events
}

/// The store knows when each instance must run next.
async fn check_due(world: &World, all: &BTreeMap<String, Found>) {
    let due = world.store.memory().due(None, usize::MAX).await.unwrap();
    let due: BTreeSet<_> = due.into_iter().map(|due| (due.due, due.id)).collect();
    let expected = all.values().filter_map(|found| Some((found.state.next_due()?, found.instance.id.clone())));
    assert_eq!(due, expected.collect());
}
