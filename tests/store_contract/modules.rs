//! Modules are kept; the one deployed last is the active one.

use fermata::store::{Change, Module, ModuleInfo, StoreError, TurnRecord};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{World, message, on_every_back_end, turn};

fn module(digest: &str, at: i64) -> Module {
    Module {
        digest: digest.to_owned(),
        bytes: digest.repeat(1_000).into_bytes().into(),
        orchestrators: vec!["One".to_owned(), "T\"wo".to_owned()],
        activities: Vec::new(),
        deployed: Timestamp(at),
    }
}

async fn deployed(world: &World) -> Vec<(String, i64)> {
    let modules = world.store.modules().await.unwrap();
    assert!(modules.windows(2).all(|pair| pair[0].deployment > pair[1].deployment));
    modules.into_iter().map(|module| (module.digest, module.deployed.0)).collect()
}

on_every_back_end! {
    async fn the_latest_deployed_comes_first(world) {
        assert_eq!(deployed(&world).await, []);
        for (digest, at) in [("aa", 1), ("bb", 2), ("cc", 3)] {
            world.store.deploy(module(digest, at)).await.unwrap();
        }
        let newest = world.store.modules().await.unwrap()[0].deployment;
        world.store.deploy(module("aa", 4)).await.unwrap();
        assert_eq!(deployed(&world).await, [("aa".to_owned(), 4), ("cc".to_owned(), 3), ("bb".to_owned(), 2)]);

        let again = world.store.modules().await.unwrap()[0].clone();
        let expected = ModuleInfo {
            digest: "aa".to_owned(),
            size: 2_000,
            orchestrators: vec!["One".to_owned(), "T\"wo".to_owned()],
            activities: Vec::new(),
            deployed: Timestamp(4),
            deployment: again.deployment,
        };
        assert!(again.deployment > newest);
        assert_eq!(again, expected);
    }
}

on_every_back_end! {
    async fn the_bytes_are_kept(world) {
        world.store.deploy(module("aa", 1)).await.unwrap();
        assert_eq!(world.store.module_bytes("aa").await.unwrap().as_deref(), Some(&module("aa", 1).bytes[..]));
        assert_eq!(world.store.module_bytes("bb").await, Ok(None));
    }
}

on_every_back_end! {
    async fn a_module_goes_when_nobody_needs_it(world) {
        assert_eq!(world.store.delete_module("d1", "to d1").await, Err(StoreError::Missing));
        for digest in ["d1", "d2"] {
            world.store.deploy(module(digest, 1)).await.unwrap();
        }
        // One for each way to end, and two that have not.
        let mut keys = Vec::new();
        for status in RuntimeStatus::ALL.into_iter().filter(|status| status.is_final()) {
            let key = world.create(status.name(), None).await.unwrap();
            world.turn(key, TurnRecord { status, ..turn(0) }).await.unwrap();
            keys.push((key, status));
        }
        let pending = world.create("pending", None).await.unwrap();
        let running = world.create("running", None).await.unwrap();
        world.turn(running, TurnRecord { status: RuntimeStatus::Suspended, ..turn(0) }).await.unwrap();
        assert_eq!(world.store.delete_module("d1", "to d1").await, Ok(3), "those that have not ended, and the one that failed");
        assert!(world.store.module_bytes("d1").await.unwrap().is_some());

        world.turn(running, TurnRecord { status: RuntimeStatus::Completed, ..turn(1) }).await.unwrap();
        world.turn(pending, TurnRecord { module: Some("d2".to_owned()), ..turn(0) }).await.unwrap();
        let failed = keys.iter().find(|(_, status)| *status == RuntimeStatus::Failed).unwrap().0;
        world.turn(failed, TurnRecord { status: RuntimeStatus::Terminated, ..turn(1) }).await.unwrap();
        assert_eq!(world.load(pending).await.instance.module, "d2");
        assert_eq!(world.store.delete_module("d2", "to d2").await, Ok(1));

        let (seq, move_to) = (world.number().await, "to d1");
        let accept = Change::Accept { message: message(seq, move_to), sent: None, once: None };
        world.write(pending, accept).await.unwrap();
        assert_eq!(world.store.delete_module("d1", move_to).await, Ok(1), "what is unread needs it");
        world.turn(pending, TurnRecord { consumed: vec![seq], ..turn(1) }).await.unwrap();
        assert_eq!(world.store.delete_module("d1", "to d1").await, Ok(0));
        assert_eq!(world.store.module_bytes("d1").await, Ok(None));
        assert_eq!(deployed(&world).await, [("d2".to_owned(), 1)]);
        assert_eq!(world.store.delete_module("d1", "to d1").await, Err(StoreError::Missing));
    }
}
