//! Events that are raised at any moment of an orchestrator that takes one and continues as new: the window in which others of this
//! family lose them (Azure/azure-functions-durable-extension 67 and 1676, Azure/durabletask 509, microsoft/durabletask-dotnet 387).

use super::*;

const INSTANCES: u64 = 100;
const EVENTS: u64 = 100;

/// 10,000 events, each at a random moment of the generation that is to take it.
#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_taken_once_and_in_order_whatever_generation_it_meets() {
    let seed = tests::seed("each_event_is_taken_once_and_in_order_whatever_generation_it_meets");
    for residency in [Residency::Never, Residency::Always] {
        let store = Shaky::new(seed);
        let dispatcher = open(&store, engine(), residency, 2).await;
        let raised = (0..INSTANCES).map(|instance| {
            let dispatcher = dispatcher.clone();
            let mut random = fastrand::Rng::with_seed(seed ^ instance);
            tokio::spawn(async move {
                let id = format!("i{instance}");
                let orchestrator = ["OneEach", "OneEachAmongOthers"][instance as usize % 2];
                let input = payload(&format!(r#"{{"wanted":{EVENTS},"taken":[]}}"#));
                dispatcher.start(orchestrator, Some(&id), input).await.unwrap();
                for number in 0..EVENTS {
                    if random.u8(0..3) == 0 {
                        tokio::time::sleep(Duration::from_micros(random.u64(0..800))).await;
                    }
                    dispatcher.raise(&id, "item", payload(&number.to_string())).await.unwrap();
                }
            })
        });
        for raised in raised.collect::<Vec<_>>() {
            raised.await.unwrap();
        }
        let expected: Vec<u64> = (0..EVENTS).collect();
        let expected = Payload::parse(&format!("{expected:?}").replace(' ', "")).unwrap();
        for instance in 0..INSTANCES {
            let id = format!("i{instance}");
            let ended = async || dispatcher.view(&id, false).await.unwrap().unwrap().status == RuntimeStatus::Completed;
            eventually(&format!("{id} has taken all"), ended).await;
            let view = dispatcher.view(&id, true).await.unwrap().unwrap();
            assert_eq!(view.generation, EVENTS - 1);
            assert!(
                matches!(&view.output, Some(fermata::dispatcher::Output::Result(taken)) if *taken == expected),
                "{view:?}"
            );
        }
        rests(&store, &dispatcher).await;
        dispatcher.close().await;
    }
}
