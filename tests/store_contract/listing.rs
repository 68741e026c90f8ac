//! Instances are listed in the order of creation, filtered, a page at a time.

use fermata::store::{Change, Filter, InstanceKey, NewInstance, TurnRecord};
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
        let change =
            Change::Create { instance, replaces: None, message: message(2_000 + number, "{}"), sent: None, once: None };
        world.write(1_000 + number, change).await.unwrap();
        let status = STATUSES[number as usize % 3];
        let waiting = (number % 7 != 0).then(|| (0..number % 4).map(|name| format!("name {name}")).collect());
        let record = TurnRecord { status, waiting, ..turn(0) };
        world.turn(1_000 + number, record).await.unwrap();
    }
}

async fn keys(world: &World, filter: Filter) -> Vec<InstanceKey> {
    let page = world.store.list(filter).await.unwrap();
    page.instances.iter().map(|instance| instance.key - 1_000).collect()
}

/// From page to page to the end: what each holds.
async fn pages(world: &World, mut filter: Filter) -> Vec<Vec<InstanceKey>> {
    let mut pages = Vec::new();
    loop {
        let page = world.store.list(filter.clone()).await.unwrap();
        pages.push(page.instances.iter().map(|instance| instance.key - 1_000).collect());
        match page.next {
            None => return pages,
            next => {
                assert!(next > filter.after && next >= page.instances.last().map(|instance| instance.key));
                filter.after = next;
            }
        }
    }
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
    async fn what_instances_wait_for_is_a_filter(world) {
        fill(&world).await;
        let waiting = |name: &str| Filter { waiting_for: Some(name.to_owned()), ..Filter::default() };
        // Those that have ended wait for nothing, whatever their last turn said; of each seventh of the others it is not known.
        assert_eq!(keys(&world, waiting("name 1")).await, those(|n| n % 3 == 0 && (n % 7 == 0 || n % 4 >= 2)));

        let wait = async |number: u64, version: u64, names: Option<&[&str]>| {
            let waiting = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            world.turn(1_000 + number, TurnRecord { waiting, ..turn(version) }).await.unwrap();
        };
        let unlike = [",", "\"", "\",\"", "\\", "a,b", "ä\n", "[]", ""];
        wait(3, 1, Some(&["paid", "shipped"])).await;
        wait(6, 1, Some(&["pai"])).await;
        wait(9, 1, Some(&unlike)).await;
        wait(12, 1, Some(&["\"paid\"", "unpaid"])).await;
        wait(15, 1, Some(&["a", "b"])).await;
        let unknown = those(|n| n % 21 == 0);
        let known = async |name: &str| {
            let found = keys(&world, waiting(name)).await;
            assert!(unknown.iter().all(|number| found.contains(number)), "what is not known may be");
            found.into_iter().filter(|number| !unknown.contains(number)).collect::<Vec<_>>()
        };
        assert_eq!(known("paid").await, [3]);
        assert_eq!(known("pai").await, [6]);
        assert_eq!(known("Paid").await, [0u64; 0], "names are folded before");
        assert_eq!(known("nobody").await, [0u64; 0]);
        for name in unlike {
            assert_eq!(known(name).await, [9], "{name:?}");
        }
        // The latest turn counts, and what is not known any more may be anything.
        wait(3, 2, Some(&["cancelled"])).await;
        assert_eq!((known("paid").await, known("cancelled").await), (vec![], vec![3]));
        wait(3, 3, None).await;
        assert!(keys(&world, waiting("nobody")).await.contains(&3));
        world.turn(1_003, TurnRecord { status: RuntimeStatus::Completed, ..turn(4) }).await.unwrap();
        assert_eq!(world.load(1_003).await.instance.waiting, Some(Default::default()));
        // To be parked is no turn.
        world.write(1_006, Change::Park { reason: Some("why".to_owned()) }).await.unwrap();
        assert_eq!(known("pai").await, [6]);
        let both = Filter { statuses: vec![RuntimeStatus::Running], limit: 2, ..waiting("a") };
        assert_eq!(keys(&world, both).await, [0, 15]);
    }
}

on_every_back_end! {
    async fn only_names_that_are_allowed(world) {
        fill(&world).await;
        let allowed = |patterns: &[&str]| Filter {
            allowed: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
            ..Filter::default()
        };
        assert_eq!(keys(&world, allowed(&[])).await, those(|_| true));
        assert_eq!(keys(&world, allowed(&["N1"])).await, those(|n| n % 5 == 1));
        assert_eq!(keys(&world, allowed(&["*2", "N0"])).await, those(|n| n % 5 == 0 || n % 5 == 2));
        assert_eq!(keys(&world, allowed(&["n*", "N"])).await, those(|_| false));
        let both = Filter { name: Some("N3".to_owned()), ..allowed(&["N2", "N3"]) };
        assert_eq!(keys(&world, both).await, those(|n| n % 5 == 3));
        let neither = Filter { name: Some("N4".to_owned()), ..allowed(&["N2", "N3"]) };
        assert_eq!(keys(&world, neither).await, those(|_| false));
    }
}

on_every_back_end! {
    async fn a_page_looks_at_so_many_rows_and_no_instance_is_lost(world) {
        fill(&world).await;
        let filters = [
            Filter::default(),
            Filter { id_prefix: Some("even-é2".to_owned()), ..Filter::default() },
            Filter { id_prefix: Some("odd".to_owned()), name: Some("N3".to_owned()), ..Filter::default() },
            Filter { name: Some("N1".to_owned()), statuses: STATUSES[1..].to_vec(), ..Filter::default() },
            Filter { statuses: STATUSES.to_vec(), created_to: Some(Timestamp(250)), ..Filter::default() },
            Filter { created_from: Some(Timestamp(200)), created_to: Some(Timestamp(220)), ..Filter::default() },
            Filter { allowed: vec!["*4".parse().unwrap()], ..Filter::default() },
            Filter { waiting_for: Some("name 1".to_owned()), ..Filter::default() },
        ];
        for filter in filters {
            let all = keys(&world, filter.clone()).await;
            assert!(!all.is_empty(), "{filter:?}");
            for (look_at, limit) in (0..=31).flat_map(|look_at| [0, 1, 3].map(|limit| (look_at, limit))) {
                let filter = Filter { look_at, limit, ..filter.clone() };
                let found = pages(&world, filter.clone()).await;
                assert_eq!(found.concat(), all, "{filter:?}");
                let most = if limit == 0 { look_at.max(1) } else { limit.min(look_at.max(1)) };
                assert!(found.iter().all(|page| page.len() <= most), "{filter:?}");
            }
        }
        let nothing = Filter { created_from: Some(Timestamp(1_000)), look_at: 7, ..Filter::default() };
        let page = world.store.list(nothing.clone()).await.unwrap();
        assert_eq!((page.instances.len(), page.next), (0, Some(1_006)), "an empty page that leads on");
        assert_eq!(pages(&world, nothing).await.len(), 5);
    }
}

on_every_back_end! {
    async fn pages_follow_one_another(world) {
        fill(&world).await;
        for statuses in [Vec::new(), STATUSES[..2].to_vec()] {
            let all = keys(&world, Filter { statuses: statuses.clone(), ..Filter::default() }).await;
            for limit in [1, 7, all.len() - 1, all.len(), 100] {
                let found = pages(&world, Filter { statuses: statuses.clone(), limit, ..Filter::default() }).await;
                let (last, full) = found.split_last().unwrap();
                assert!(last.len() <= limit && full.iter().all(|page| page.len() == limit));
                assert_eq!(found.concat(), all, "in pages of {limit}");
            }
            let last = Filter { limit: all.len(), statuses: statuses.clone(), ..Filter::default() };
            assert_eq!(world.store.list(last).await.unwrap().next, None, "a full last page is the last");
        }
    }
}
