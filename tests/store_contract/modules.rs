//! Modules are kept; the one deployed last is the active one.

use fermata::store::{Module, ModuleInfo};
use fermata_replay::Timestamp;

use crate::kit::{World, on_every_back_end};

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
