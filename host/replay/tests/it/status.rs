//! The custom status.

use fermata_replay::State;

use crate::guest::json;
use crate::histories;
use crate::history::started;
use crate::play::check;

#[test]
fn the_status_set_last_in_a_step_is_kept_and_lasts() {
    let expected = histories::status_of_steps();
    check(&expected, async |ctx| {
        ctx.status(r#""zero""#);
        ctx.status(r#""one""#);
        ctx.event("A").await?;
        ctx.status(r#""three""#);
        ctx.event("A").await?;
        Ok(json("null"))
    });
    for (steps, status) in [(1, r#""one""#), (2, r#""one""#), (3, r#""three""#), (4, r#""three""#)] {
        assert_eq!(State::of(&expected.steps[..steps]).custom_status(), Some(&json(status)));
    }
}

#[test]
fn null_is_a_status() {
    let expected = started().status("1").wait("A").block(0).event("A", "2").status("null").completed("2");
    check(&expected, async |ctx| {
        ctx.status("1");
        let event = ctx.event("A").await?;
        ctx.status("null");
        Ok(event)
    });
}
