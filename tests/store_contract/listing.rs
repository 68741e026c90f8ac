//! Instances are listed in the order of creation, filtered, a page at a time.

use fermata::store::{Change, Filter, InstanceKey, NewInstance};
use fermata_replay::{RuntimeStatus, Timestamp};

use crate::kit::{World, message, on_every_back_end, turn};

const STATUSES: [RuntimeStatus; 3] = [RuntimeStatus::Running, RuntimeStatus::Completed, RuntimeStatus::Failed];

/// 30 instances, with keys 1,000 and up.
async fn fill(world: &World) {
    for number in 0..30 {
        let instance = NewInstance {
            id: format!("{}{number}", if number % 2 == 0 { "even-é" } else { "odd%_" }),
            name: format!("N{}", number % 5),
            module: "d".to_owned(),
            execution: String::new(),
            created: Timestamp(number as i64 * 10),
        };
        let change = Change::Create { instance, replaces: None, message: message(2_000 + number, "{}"), sent: None };
        world.write(1_000 + number, change).await.unwrap();
        let status = STATUSES[number as usize % 3];
        let record = fermata::store::TurnRecord { status, ..turn(0) };
        world.turn(1_000 + number, record).await.unwrap();
    }
}

async fn keys(world: &World, filter: Filter) -> Vec<InstanceKey> {
    let page = world.store.list(filter).await.unwrap();
    page.instances.iter().map(|instance| instance.key - 1_000).collect()
}

fn those(wanted: impl Fn(u64) -> bool) -> Vec<u64> {
    (0..30).filter(|number| wanted(*number)).collect()
}

on_every_back_end! {
    async fn filters_hold_together(world) {
        fill(&world).await;
        let none = Filter::default;
        assert_eq!(keys(&world, none()).await, those(|_| true), "an empty filter lists all");
        assert_eq!(keys(&world, Filter { name: Some("N2".to_owned()), ..none() }).await, those(|n| n % 5 == 2));
        assert_eq!(keys(&world, Filter { name: Some("N".to_owned()), ..none() }).await, those(|_| false));
        let prefix = |prefix: &str| Filter { id_prefix: Some(prefix.to_owned()), ..none() };
        assert_eq!(keys(&world, prefix("")).await, those(|_| true));
        assert_eq!(keys(&world, prefix("even-é")).await, those(|n| n % 2 == 0));
        assert_eq!(keys(&world, prefix("odd%_")).await, those(|n| n % 2 == 1));
        assert_eq!(keys(&world, prefix("odd__")).await, those(|_| false));
        assert_eq!(keys(&world, prefix("even-é1")).await, [10, 12, 14, 16, 18]);
        for statuses in [vec![STATUSES[1]], STATUSES[..2].to_vec(), vec![STATUSES[2], STATUSES[0], STATUSES[2]]] {
            let wanted = those(|n| statuses.contains(&STATUSES[n as usize % 3]));
            assert_eq!(keys(&world, Filter { statuses, ..none() }).await, wanted);
        }
        let span = Filter { created_from: Some(Timestamp(50)), created_to: Some(Timestamp(90)), ..none() };
        assert_eq!(keys(&world, span).await, [5, 6, 7, 8, 9]);
        let both = Filter { name: Some("N1".to_owned()), statuses: vec![STATUSES[0]], ..prefix("even") };
        assert_eq!(keys(&world, both).await, those(|n| n % 5 == 1 && n % 3 == 0 && n % 2 == 0));
    }
}

on_every_back_end! {
    async fn pages_follow_one_another(world) {
        fill(&world).await;
        for statuses in [Vec::new(), STATUSES[..2].to_vec()] {
            let all = keys(&world, Filter { statuses: statuses.clone(), ..Filter::default() }).await;
            for limit in [1, 7, all.len() - 1, all.len(), 100] {
                let mut filter = Filter { statuses: statuses.clone(), limit, ..Filter::default() };
                let mut seen = Vec::new();
                loop {
                    let page = world.store.list(filter.clone()).await.unwrap();
                    assert!(page.instances.len() <= limit);
                    seen.extend(page.instances.iter().map(|instance| instance.key - 1_000));
                    match page.next {
                        None => break,
                        next => {
                            assert_eq!(next, page.instances.last().map(|instance| instance.key));
                            filter.after = next;
                        }
                    }
                }
                assert_eq!(seen, all, "in pages of {limit}");
            }
            let last = Filter { limit: all.len(), statuses: statuses.clone(), ..Filter::default() };
            assert_eq!(world.store.list(last).await.unwrap().next, None, "a full last page is the last");
        }
    }
}
