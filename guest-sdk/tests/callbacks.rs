//! Callback URLs.

use std::time::Duration;

use fermata_guest::*;

const HOUR: Duration = Duration::from_secs(3600);

/// Asks for a vote, continues as new, and asks whether there is a veto.
#[orchestrator("votes")]
async fn votes(ctx: Context, is_asked: bool) -> Result<(bool, String)> {
    if !is_asked {
        ctx.callback_url("Vote");
        return ctx.continue_as_new(&true).await;
    }
    ctx.callback_url_until("Veto", ctx.current_utc_time() + HOUR);
    let veto = ctx.wait_external_event::<String>("veto");
    let vote = ctx.wait_external_event::<bool>("Vote").await?;
    Ok((vote, veto.await?))
}

#[test]
fn whoever_has_a_url_answers() {
    let mut run = testing::start("votes", false);
    let urls = run.callback_urls();
    assert_eq!(urls.iter().map(|(event, _)| &**event).collect::<Vec<_>>(), ["Vote", "Veto"]);
    assert!(urls[0].1.starts_with("https://fermata.test/callbacks/test-instance/Vote?nonce="), "{urls:?}");
    assert_eq!(run.calls(), ["callback Veto, expires in 3600s", "0 = wait veto", "1 = wait Vote", "next"]);
    assert!(run.history()[0].contains(" → callback Veto, expires in 3600s; "), "{:?}", run.history());
    run.advance(HOUR / 2);
    run.answer(&urls[1].1, "no");
    run.answer(&urls[0].1, true);
    assert_eq!(run.output::<(bool, String)>().unwrap(), (true, "no".to_owned()));
    run.check_replay();
}

#[test]
#[should_panic(expected = "has expired")]
fn a_url_expires() {
    let mut run = testing::start("votes", false);
    let (_, veto) = run.callback_urls().pop().unwrap();
    run.advance(HOUR);
    run.answer(&veto, "no");
}

#[test]
fn a_url_lasts_a_week_where_nothing_is_said() {
    let mut run = testing::start("votes", false);
    let (_, vote) = run.callback_urls().remove(0);
    run.advance(7 * 24 * HOUR - Duration::from_secs(1));
    run.answer(&vote, true);
    assert_eq!(run.waiting_for(), ["event veto"]);
}

#[test]
#[should_panic(expected = "has asked for no URL")]
fn a_url_that_was_not_asked_for_is_none() {
    testing::start("votes", false).answer("https://fermata.test/callbacks/test-instance/Vote", true);
}

#[orchestrator("nameless")]
async fn nameless(ctx: Context) -> String {
    ctx.callback_url("")
}

#[test]
#[should_panic(expected = "the name of an event has 1 to 256 bytes")]
fn a_url_is_for_an_event() {
    testing::start("nameless", ());
}

#[orchestrator]
async fn asks_two(ctx: Context) -> Result<u8> {
    let _links = [ctx.callback_url("Vote"), ctx.callback_url("Vote")];
    let votes = [ctx.wait_external_event::<u8>("Vote"), ctx.wait_external_event("Vote")];
    Ok(ctx.task_all(votes).await?.into_iter().sum())
}

#[test]
fn no_two_urls_are_the_same() {
    let mut run = testing::start("asks_two", ());
    let urls = run.callback_urls();
    assert_ne!(urls[0].1, urls[1].1);
    run.answer(&urls[0].1, 1);
    let mut replayed = run.replay();
    assert_eq!(replayed.callback_urls(), urls);
    replayed.answer(&urls[1].1, 2);
    assert_eq!(replayed.output::<u8>().unwrap(), 3);
}
