//! Whether what is stored fits together, looked at while no host runs.

use std::path::Path;

use fermata::store::embedded::Embedded;
use fermata::store::{Filter, Store};
use fermata_replay::{RuntimeStatus, State, Step};

/// The status of every instance is what its history says.
pub fn stored(data: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        let store = Embedded::open(data).expect("the data can be opened");
        let mut filter = Filter { limit: 1_000, ..Filter::default() };
        loop {
            let page = store.list(filter.clone()).await.expect("instances can be listed");
            for instance in page.instances {
                let loaded = store.load(instance.key).await.expect("an instance can be read").expect("it is there");
                let pieces = loaded.history.iter().map(|piece| serde_json::from_str::<Vec<Step>>(piece));
                let pieces: Result<Vec<_>, _> = pieces.collect();
                let state = State::of(&pieces.expect("a history can be read").concat());
                let told = match state.runtime_status() {
                    // It has yet to begin, or its next generation has.
                    RuntimeStatus::Pending => instance.status,
                    status => status,
                };
                assert_eq!(told, instance.status, "{}: the status is not what the history says", instance.id);
            }
            match page.next {
                Some(next) => filter.after = Some(next),
                None => return,
            }
        }
    });
}
