//! URLs with which others may raise an event of the instance.

use fermata_replay::{Execution, Mismatch, Outcome, Stop};

use crate::guest::{Ctx, Ended, Halt, guest, json, seconds};
use crate::history::{History, application, started, succeeded};
use crate::play::{check, replay, stored};

/// As the guests of these tests are given one that is new.
const NEW: &str = "Approval, until 60000";

fn asked(url: &str) -> History {
    started().callback_url("Approval", 60.0, url).wait("Approval").block(0)
}

/// Asks for a URL, and returns it when the event has come.
async fn asks(ctx: Ctx, event: &str, expires: f64) -> Ended {
    let url = ctx.callback_url(event, seconds(expires))?;
    ctx.event("Approval").await?;
    Ok(json(&format!("{url:?}")))
}

#[test]
fn a_url_is_made_once_and_recorded() {
    let expected = asked(NEW).event("approval", "true").completed("\"Approval, until 60000\"");
    check(&expected, async |ctx| asks(ctx, "Approval", 60.0).await);
}

#[test]
fn on_replay_the_recorded_url_holds() {
    let old = "https://a-year-ago.example/callbacks/an-instance/Approval?signature=00";
    let output = format!("{old:?}");
    let history = asked(old).event("Approval", "true").completed(&output).steps;
    replay(&guest(async |ctx| asks(ctx, "Approval", 60.0).await), &stored(&history)).expect("it did all this");
}

#[test]
fn a_url_for_something_else_is_a_mismatch() {
    let mismatch = |event: &'static str, expires| {
        let asks_otherwise = guest(async move |ctx| asks(ctx, event, expires).await);
        found_out(replay(&asks_otherwise, &asked(NEW).steps)).to_string()
    };
    let at = "the module does not fit the history: at decision 0 of step 1 (message 1), both make callback url, but";
    assert_eq!(mismatch("Refusal", 60.0), format!("{at} event: history says Approval, the guest Refusal"));
    assert_eq!(mismatch("approval", 60.0), format!("{at} event: history says Approval, the guest approval"));
    let times = "expires: history says 60000000 µs, the guest 61000000 µs";
    assert_eq!(mismatch("Approval", 61.0), format!("{at} {times}"));
}

#[test]
fn a_url_too_many_or_too_few_is_a_mismatch_which_tells_no_url() {
    let asks_none = guest(async |ctx| ctx.event("Approval").await);
    let history = asked("https://host.example/a-secret").steps;
    let mismatch = found_out(replay(&asks_none, &history)).to_string();
    assert!(
        mismatch.contains("history says: make callback url, event Approval, expires 60000000 µs; the guest did: wait")
    );
    assert!(!mismatch.contains("a-secret"), "{mismatch}");

    let history = started().wait("Approval").block(0).steps;
    let mismatch = found_out(replay(&guest(async |ctx| asks(ctx, "Approval", 60.0).await), &history)).to_string();
    assert!(mismatch.contains("the guest did: make callback url"), "{mismatch}");
}

fn found_out(replayed: Result<(), Stop>) -> Mismatch {
    match replayed {
        Err(Stop::Mismatch(mismatch)) => *mismatch,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

#[test]
fn where_no_url_can_be_made_nothing_is_recorded() {
    let mut execution = Execution::new(Vec::new());
    started().messages.into_iter().for_each(|message| execution.push(message));
    execution.begin();
    let made = execution.callback_url("Approval", seconds(60.0), || Err("the disk is full"));
    assert_eq!(made, Ok(Err("the disk is full")));
    let made = execution.callback_url("Approval", seconds(60.0), || Ok::<_, ()>("a URL".into()));
    assert_eq!(made, Ok(Ok("a URL".into())));
    let expected = started().callback_url("Approval", 60.0, "a URL").completed("1").steps;
    execution.end(Outcome::Succeeded(json("1"))).expect("it runs");
    assert_eq!(execution.take_turn().steps, expected);
}

#[test]
fn what_a_rewind_undoes_is_made_anew() {
    let expected = started()
        .call("p", "1")
        .block(0)
        .failure(0, "no")
        .callback_url("Approval", 60.0, NEW)
        .failed(application("no"))
        .rewound(1)
        .attempt(0, 2, succeeded("2"))
        .callback_url("Approval", 60.0, NEW)
        .completed("2");
    check(&expected, async |ctx| {
        let task = ctx.call("p", "1")?;
        let outcome = ctx.outcome(task).await?;
        ctx.callback_url("Approval", seconds(60.0))?;
        match outcome {
            Outcome::Succeeded(output) => Ok(output),
            Outcome::Failed(failure) => Err(Halt::Failed(failure)),
        }
    });
}
