//! Which event reaches which wait, and what becomes of those that are given up.

use fermata_guest::*;
use futures::FutureExt;

#[orchestrator]
async fn two_waits_for_one_name(ctx: Context) -> Result<[u32; 2]> {
    if ctx.input()? {
        ctx.wait_external_event::<()>("Go").await?;
    }
    let (first, second) = (ctx.wait_external_event("N"), ctx.wait_external_event("n"));
    Ok([first.await?, second.await?])
}

#[test]
fn the_newest_open_wait_gets_the_event_and_the_oldest_event_is_taken_first() {
    for (after, expected) in [(false, [2, 1]), (true, [1, 2])] {
        let mut run = testing::start("two_waits_for_one_name", after);
        run.raise("N", 1);
        run.raise("N", 2);
        run.raise("Go", ());
        assert_eq!(run.output::<[u32; 2]>().unwrap(), expected);
        run.check_replay();
    }
}

#[orchestrator]
async fn drops_its_wait(ctx: Context) -> Result<(u32, u32)> {
    let dropped = ctx.wait_external_event::<u32>("N");
    let polled = ctx.wait_external_event::<u32>("Other");
    // Both events are here when the first of them wakes the orchestrator, for it waits for `Go` alone.
    ctx.wait_external_event::<()>("Go").await?;
    drop(dropped);
    assert!(polled.cancel());
    Ok((ctx.wait_external_event("N").await?, ctx.wait_external_event("Other").await?))
}

#[test]
fn the_event_of_a_wait_that_was_dropped_goes_back_to_its_place() {
    let mut run = testing::start("drops_its_wait", ());
    run.raise("N", 1);
    run.raise("N", 2);
    run.raise("Other", 3);
    run.raise("Go", ());
    assert_eq!(run.output::<(u32, u32)>().unwrap(), (1, 3));
    run.check_replay();
}

#[orchestrator]
async fn cancels_too_late(ctx: Context) -> Result<(bool, bool)> {
    let mut event = ctx.wait_external_event::<u32>("N");
    (&mut event).await?;
    let mut polled = ctx.wait_external_event::<u32>("Never");
    assert!((&mut polled).now_or_never().is_none());
    Ok((event.cancel(), polled.cancel()))
}

#[test]
fn an_event_that_was_taken_is_not_given_back() {
    let mut run = testing::start("cancels_too_late", ());
    run.raise("N", 1);
    assert_eq!(run.output::<(bool, bool)>().unwrap(), (false, true));
    run.check_replay();
}

#[orchestrator]
async fn detaches(ctx: Context) -> Result<u32> {
    drop(ctx.call_activity::<()>("notify", &"all"));
    let other = ctx.call_activity::<()>("notify", &"none");
    assert!(other.cancel());
    let (a, b) = (ctx.wait_external_event::<u32>("A"), ctx.wait_external_event::<u32>("B"));
    ctx.task_any((&a, &b)).await;
    b.await
}

#[test]
fn an_activity_whose_task_is_dropped_goes_on_and_wakes_nobody() {
    let mut run = testing::start("detaches", ());
    assert_eq!(run.open_activities().len(), 1, "the one that was not cancelled");
    run.complete("notify", ());
    assert!(run.is_running());
    run.raise("A", 1);
    run.raise("B", 2);
    assert_eq!(run.output::<u32>().unwrap(), 2);
    run.check_replay();
}

#[orchestrator]
async fn loses_a_single_any(ctx: Context) -> Result<u32> {
    let only = ctx.wait_external_event::<u32>("N");
    ctx.task_any([&only]).await;
    drop(only);
    ctx.wait_external_event("N").await
}

#[test]
fn to_win_is_not_to_take() {
    let mut run = testing::start("loses_a_single_any", ());
    run.raise("N", 1);
    assert_eq!(run.output::<u32>().unwrap(), 1);
    run.check_replay();
}

#[orchestrator]
async fn looks_around(ctx: Context) -> Result<(String, bool, bool)> {
    let (before, guid) = (ctx.current_utc_time(), ctx.new_guid());
    ctx.set_custom_status(("waiting", 1));
    ctx.info("about to wait");
    ctx.wait_external_event::<()>("N").await?;
    let elapsed = ctx.current_utc_time().since(before);
    Ok((ctx.instance_id(), ctx.new_guid() != guid, elapsed.as_secs() == 60))
}

#[test]
fn time_guids_status_and_log_are_the_hosts() {
    let mut run = testing::start("looks_around", ());
    run.advance(std::time::Duration::from_secs(60));
    run.raise("N", ());
    assert_eq!(run.output::<(String, bool, bool)>().unwrap(), ("test-instance".to_owned(), true, true));
    assert_eq!(run.custom_status().unwrap(), r#"["waiting",1]"#);
    assert_eq!(run.logged(), ["info: about to wait"]);
    assert!(run.replay().logged().is_empty());
}
