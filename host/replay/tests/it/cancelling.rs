//! Giving tasks up.

use crate::guest::{json, list};
use crate::histories;
use crate::play::check;

#[test]
fn a_cancelled_wait_gets_no_event() {
    check(&histories::cancelled_wait(), async |ctx| {
        let (kept, given_up) = (ctx.wait("A")?, ctx.wait("A")?);
        assert!(ctx.cancel(given_up)?);
        assert!(!ctx.cancel(given_up)?, "given up already");
        ctx.get(kept).await
    });
}

#[test]
fn an_event_not_taken_goes_back_to_its_place() {
    check(&histories::event_goes_back(), async |ctx| {
        let given_up = ctx.wait("A")?;
        ctx.event("Go").await?;
        assert!(ctx.cancel(given_up)?);
        let (first, second) = (ctx.event("A").await?, ctx.event("A").await?);
        Ok(list(&[first, second]))
    });
}

#[test]
fn an_event_not_taken_goes_to_the_newest_other_wait() {
    check(&histories::event_goes_to_another_wait(), async |ctx| {
        let (oldest, newer, newest) = (ctx.wait("A")?, ctx.wait("a")?, ctx.wait("A")?);
        ctx.event("Go").await?;
        assert!(ctx.cancel(newest)?);
        assert_eq!(ctx.peek(oldest)?, None);
        ctx.get(newer).await
    });
}

#[test]
fn what_was_taken_can_not_be_given_up() {
    check(&histories::cancel_after_taking(), async |ctx| {
        let wait = ctx.wait("A")?;
        let taken = ctx.get(wait).await?;
        let cancelled = ctx.cancel(wait)?;
        assert_eq!(ctx.get(wait).await?, taken, "it is still there");
        Ok(json(&cancelled.to_string()))
    });
}
