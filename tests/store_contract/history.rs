//! History is kept to the byte and in order, however long it grows, and reads in few pieces.

use fermata::store::{Change, TurnRecord};
use fermata_replay::RuntimeStatus;

use crate::kit::{on_every_back_end, steps, turn};

/// Steps of different sizes, with text that could be taken for structure, and numbers that no parser keeps.
fn step(number: u64) -> String {
    let filler = "[,]\\\"é".repeat((number * 7919 % 23) as usize);
    format!("{{\"n\":{number}, \"big\":1.{number:030}e400,\"text\":\"{}\"}}", filler.replace('"', "\\\""))
}

on_every_back_end! {
    async fn ten_thousand_turns_keep_every_byte_and_order(world) {
        const TURNS: u64 = 10_000;
        let key = world.create("a", None).await.unwrap();
        let outcomes: Vec<_> = (0..TURNS)
            .map(|version| {
                let record = TurnRecord { steps: Some(format!("[{}]", step(version))), ..turn(version) };
                world.queue(world.leases[0], key, Change::Turn(record))
            })
            .collect();
        for outcome in outcomes {
            assert_eq!(outcome.await.unwrap(), Ok(()));
        }

        let history = world.load(key).await.history;
        let inner: Vec<&str> = history.iter().map(|array| &array[1..array.len() - 1]).collect();
        let expected: Vec<String> = (0..TURNS).map(step).collect();
        assert!(inner.join(",") == expected.join(","), "the history differs from what was written");
        assert_eq!(history[0], format!("[{}]", step(0)), "the first turn stands alone");
        if world.name == "embedded" {
            println!("{} rows: {:?}", history.len(), history.iter().map(String::len).collect::<Vec<_>>());
            assert!(history.len() <= 20, "{} rows", history.len());
        }

        // The last turn stands alone too.
        let record = TurnRecord { steps: Some("[\"end\"]".to_owned()), status: RuntimeStatus::Completed, ..turn(TURNS) };
        world.turn(key, record).await.unwrap();
        let snapshot = world.store.snapshot("a").await.unwrap().unwrap();
        assert_eq!(snapshot.first, Some(format!("[{}]", step(0))));
        assert_eq!(snapshot.last.as_deref(), Some("[\"end\"]"));
    }
}

on_every_back_end! {
    async fn arrays_of_any_shape_can_be_joined(world) {
        let key = world.create("a", None).await.unwrap();
        let shapes = ["[]", " [ 1 , 2 ] ", "[\n[3]\n]", "[\"]\"]", "[{}]"];
        let mut expected = Vec::new();
        for version in 0..100 {
            let shape = shapes[version as usize % shapes.len()].to_owned();
            expected.extend(steps(std::slice::from_ref(&shape)));
            world.turn(key, TurnRecord { steps: Some(shape), ..turn(version) }).await.unwrap();
        }
        assert_eq!(steps(&world.load(key).await.history), expected);
    }
}
