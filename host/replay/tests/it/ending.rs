//! What becomes of messages and waits that are left at the end.

use fermata_replay::{BufferedEvent, RuntimeStatus, State};

use crate::guest::{Halt, json};
use crate::histories;
use crate::history::{History, application, started};
use crate::play::check;

fn buffered(history: &History) -> Vec<(u64, String, String)> {
    let shown = |event: BufferedEvent| (event.seq, event.name, event.input.as_str().to_owned());
    State::of(&history.steps).buffered_events().into_iter().map(shown).collect()
}

#[test]
fn events_after_the_end_stay_visible() {
    let expected = histories::events_after_the_end();
    check(&expected, async |ctx| {
        ctx.wait("A")?;
        ctx.event("Go").await?;
        Ok(json("null"))
    });
    assert_eq!(buffered(&expected), [(3, "A".into(), "1".into()), (4, "B".into(), "2".into())]);
    assert_eq!(State::of(&expected.steps).runtime_status(), RuntimeStatus::Completed);
}

#[test]
fn an_event_that_nobody_looked_at_stays_visible() {
    let expected = histories::event_left_in_a_wait();
    check(&expected, async |ctx| {
        ctx.wait("A")?;
        ctx.wait("A")?;
        ctx.event("Go").await?;
        Err(Halt::Failed(application("enough")))
    });
    assert_eq!(buffered(&expected), [(2, "A".into(), "1".into())]);
    assert_eq!(State::of(&expected.steps).runtime_status(), RuntimeStatus::Failed);
}

#[test]
fn an_orchestrator_may_end_at_once() {
    let expected = started().completed("1").event("A", "2").event("A", "3");
    check(&expected, async |_| Ok(json("1")));
    assert_eq!(buffered(&expected).len(), 2);
}
