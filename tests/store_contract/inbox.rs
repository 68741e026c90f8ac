//! A message is there, in its place, from its acceptance until a turn consumes it.

use fermata::store::{Change, StoreError, TurnRecord, UnreadInstance};

use crate::kit::{message, on_every_back_end, turn};

on_every_back_end! {
    async fn nobody_accepts_for_an_instance_that_is_not_there(world) {
        assert_eq!(world.accept(77).await, Err(StoreError::Missing));
        assert_eq!(world.store.unread().await, Ok(Vec::new()));
    }
}

on_every_back_end! {
    async fn messages_are_in_the_order_of_their_sequence(world) {
        let key = world.create("a", None).await.unwrap();
        let start = world.unread(key).await[0];
        for seq in [900, 700, 800] {
            let message = message(seq, &format!("{{\"n\":{seq}}}"));
            world.write(key, Change::Accept { message, sent: None, once: None }).await.unwrap();
        }
        let unread = world.load(key).await.unread;
        assert_eq!(unread.iter().map(|message| message.seq).collect::<Vec<_>>(), [start, 700, 800, 900]);
        assert_eq!(unread[1], message(700, "{\"n\":700}"));
    }
}

on_every_back_end! {
    async fn a_sequence_is_taken_once(world) {
        let key = world.create("a", None).await.unwrap();
        let other = world.create("b", None).await.unwrap();
        world.write(key, Change::Accept { message: message(900, "1"), sent: None, once: None }).await.unwrap();
        for key in [key, other] {
            let again = Change::Accept { message: message(900, "2"), sent: None, once: None };
            assert_eq!(world.write(key, again).await, Err(StoreError::Conflict));
        }
        assert_eq!(world.load(key).await.unread[1].body, "1");
    }
}

on_every_back_end! {
    async fn what_a_turn_consumes_is_gone_and_the_rest_stays(world) {
        let key = world.create("a", None).await.unwrap();
        let start = world.unread(key).await[0];
        let first = world.accept(key).await.unwrap();
        let second = world.accept(key).await.unwrap();
        let all = vec![UnreadInstance { key, id: "a".to_owned() }];
        assert_eq!(world.store.unread().await.unwrap(), all);

        world.turn(key, TurnRecord { consumed: vec![second, start], ..turn(0) }).await.unwrap();
        assert_eq!(world.unread(key).await, [first]);
        assert_eq!(world.store.unread().await.unwrap(), all);
        assert_eq!(world.turn(key, TurnRecord { consumed: vec![second], ..turn(1) }).await, Err(StoreError::Conflict));

        world.turn(key, TurnRecord { consumed: vec![first], ..turn(1) }).await.unwrap();
        assert_eq!(world.store.unread().await, Ok(Vec::new()));
    }
}
