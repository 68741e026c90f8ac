//! Two who ask the same of an instance at once: one is accepted, and the other is told that it comes too late.

use fermata::dispatcher::{ControlError, Services};
use fermata_replay::Control;
use tests::endpoint::{Answer, Endpoint};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;

use super::shaky::Held;
use super::*;

#[derive(Clone, Copy, Debug)]
enum Ask {
    Suspend,
    Resume,
    Rewind,
}

async fn ask(dispatcher: &Arc<Dispatcher>, ask: Ask, id: &str) -> Result<(), ControlError> {
    match ask {
        Ask::Suspend => dispatcher.suspend(id, Control::default()).await,
        Ask::Resume => dispatcher.resume(id, Control::default()).await,
        Ask::Rewind => dispatcher.rewind(id, Control::default()).await,
    }
}

/// Asks twice at once.
async fn twice(dispatcher: &Arc<Dispatcher>, what: Ask, id: &str) {
    let barrier = Arc::new(Barrier::new(2));
    let asked = [(); 2].map(|()| {
        let (dispatcher, barrier, id) = (dispatcher.clone(), barrier.clone(), id.to_owned());
        tokio::spawn(async move {
            barrier.wait().await;
            ask(&dispatcher, what, &id).await
        })
    });
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap());
    }
    let accepted = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(ControlError::WrongState { .. }))).count();
    assert_eq!((accepted, refused), (1, 1), "{what:?} of {id}: {answers:?}");
}

fn spawn_twice(dispatcher: &Arc<Dispatcher>, what: Ask, id: &'static str) -> JoinHandle<()> {
    let dispatcher = dispatcher.clone();
    tokio::spawn(async move { twice(&dispatcher, what, id).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_suspend_or_resume_one_is_refused() {
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(1);
        let dispatcher = open(&store, engine(), residency, 2).await;
        for number in 0..100 {
            let id = format!("i{number}");
            dispatcher.start("W", Some(&id), payload("1")).await.unwrap();
            for what in [Ask::Suspend, Ask::Resume, Ask::Suspend, Ask::Resume] {
                twice(&dispatcher, what, &id).await;
            }
        }
        rests(&store, &dispatcher).await;
        dispatcher.close().await;
    }
}

/// A write that takes long keeps the instance from coming to rest.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_suspend_or_resume_a_busy_instance_one_is_refused() {
    let store = Shaky::new(2);
    let dispatcher = open(&store, engine(), Residency::Always, 2).await;
    dispatcher.start("Collect", Some("i"), payload("3")).await.unwrap();
    rests(&store, &dispatcher).await;
    for what in [Ask::Suspend, Ask::Resume] {
        store.let_pass(Some(0));
        let raised = tokio::spawn({
            let dispatcher = dispatcher.clone();
            async move { dispatcher.raise("i", "item", payload("1")).await }
        });
        let asked = spawn_twice(&dispatcher, what, "i");
        // Longer than they wait for it to come to rest.
        tokio::time::sleep(Duration::from_millis(700)).await;
        store.let_pass(None);
        raised.await.unwrap().unwrap();
        asked.await.unwrap();
    }
    rests(&store, &dispatcher).await;
    dispatcher.close().await;
}

/// It fails, and once it is rewound it waits for an endpoint. Both have found it before one of them is heard.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_rewind_one_is_refused() {
    let endpoint = Endpoint::start(|request| match request.header("fermata-attempt") {
        Some("1") => Answer::new(404, ""),
        _ => Answer::new(200, "1").after(PATIENCE),
    });
    let mut services = Services::default();
    services.serve(&format!("Remote={}", endpoint.url("/"))).unwrap();
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(3);
        let options = Options { residency, workers: 2, services: services.clone(), ..Options::default() };
        let dispatcher = open_as(&store, engine(), Arc::new(SystemClock), &options).await;
        for _ in 0..50 {
            dispatcher.start("CallOne", Some("i"), payload(r#"["Remote",1,1]"#)).await.unwrap();
            let failed = async || see(&dispatcher, "i").await.unwrap().status == RuntimeStatus::Failed;
            eventually("it fails", failed).await;
            eventually("it is in nobody's memory", async || dispatcher.in_memory() == 0).await;
            store.hold(Some(Held::Find("i")));
            let asked = spawn_twice(&dispatcher, Ask::Rewind, "i");
            eventually("both look for it", async || store.waiting() == 2).await;
            store.hold(None);
            asked.await.unwrap();
            dispatcher.purge("i", true).await.unwrap();
        }
        dispatcher.close().await;
    }
}
