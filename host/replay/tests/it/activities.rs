//! Results of activities, and what a turn tells the host about them.

use fermata_replay::{ScheduledActivity, TaskId};

use crate::guest::{Life, guest, json, list};
use crate::histories;
use crate::history::{application, started};
use crate::play::check;

#[test]
fn results_that_come_late_or_twice_change_nothing() {
    check(&histories::ignored_results(), async |ctx| {
        let (p, given_up, wait) = (ctx.call("p", "0")?, ctx.call("p", "1")?, ctx.wait("A")?);
        ctx.call("p", "3")?;
        ctx.cancel(given_up)?;
        let result = ctx.get(p).await?;
        Ok(list(&[result, ctx.get(wait).await?]))
    });
}

#[test]
fn a_failure_is_the_orchestrators_where_it_lets_it_pass() {
    let expected = started().call("p", "0").block(0).failure(0, "no").failed(application("no"));
    check(&expected, async |ctx| ctx.get(ctx.call("p", "0")?).await);
}

#[test]
fn a_turn_starts_activities_and_settles_them() {
    let history = started().event("Go", "1").result(0, "2");
    let guest = guest(async |ctx| {
        let (kept, given_up, wait) = (ctx.call("p", "[0]")?, ctx.call("q", "1")?, ctx.wait("A")?);
        ctx.event("Go").await?;
        ctx.cancel(given_up)?;
        ctx.cancel(wait)?;
        ctx.get(kept).await
    });
    let activity = |task, name: &str, input| ScheduledActivity {
        task,
        name: name.into(),
        input: json(input),
        attempt: 1,
        timeout: None,
    };
    let [start, go, result] = &history.messages[..] else { panic!("three messages") };

    let mut life = Life::new(&guest, Vec::new());
    let mut resume = |messages: &[_]| life.resume(messages.iter().cloned()).expect("the guest fits");
    let first = resume(std::slice::from_ref(start));
    assert_eq!(first.activities, [activity(0, "p", "[0]"), activity(1, "q", "1")]);
    assert_eq!(first.settled, [] as [TaskId; 0]);
    let second = resume(std::slice::from_ref(go));
    assert_eq!((second.activities, second.settled), (vec![], vec![1]), "a wait is no activity");
    assert_eq!(resume(std::slice::from_ref(result)).settled, [0]);

    let at_once = Life::new(&guest, Vec::new()).resume([start.clone(), go.clone()]).expect("the guest fits");
    assert_eq!(at_once.activities, [activity(0, "p", "[0]")], "one given up in the same turn never starts");
}
