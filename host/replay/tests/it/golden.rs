//! Histories stay readable for ever: what an earlier release wrote parses, shows the same and replays.

use fermata_replay::{Outcome, RuntimeStatus, State, Step};

use crate::guest::{Guest, Halt, guest, json};
use crate::play::{replay, shown};

/// Written by the first release, a step a line: one that failed, one that completed. Never edit them; a later format gets
/// files of its own.
const FAILED: &str = include_str!("../golden/history_v1.json");
const COMPLETED: &str = include_str!("../golden/history_v1_completed.json");

fn read(history: &str) -> Vec<Step> {
    serde_json::from_str(history).expect("a history of version 1")
}

#[test]
fn version_1_reads_and_is_written_as_it_was() {
    for history in [FAILED, COMPLETED] {
        let lines: Vec<String> =
            read(history).iter().map(|step| serde_json::to_string(step).expect("a step is JSON")).collect();
        assert_eq!(format!("[\n{}\n]\n", lines.join(",\n")), history);
    }
}

#[test]
fn version_1_replays() {
    replay(&orchestrator(), &read(FAILED)).expect("it did all this");
    let short = guest(async |ctx| ctx.event("Name").await);
    replay(&short, &read(COMPLETED)).expect("it did all this");
    replay(&short, &read(FAILED)).expect_err("it did something else");
}

fn orchestrator() -> Guest {
    guest(async |ctx| {
        let (charge, stock, retry) =
            (ctx.call("charge", "{\"amount\": 1}")?, ctx.call("stock", "[]")?, ctx.call("retry", "null")?);
        ctx.status("\"charging\"");
        ctx.get(charge).await?;
        let (approval, refusal) = (ctx.wait("Approval")?, ctx.wait("refusal")?);
        let winner = ctx.any(&[approval, refusal]).await?;
        ctx.cancel(winner)?;
        ctx.cancel(refusal)?;
        ctx.cancel(retry)?;
        let again = ctx.wait("APPROVAL")?;
        ctx.status("{\"approved\":true}");
        ctx.wait("More")?;
        let failure = ctx.all(&[stock, again]).await?.expect_err("out of stock");
        assert_eq!(ctx.next().await?, again);
        assert_eq!(ctx.get(again).await?, json(r#""Grüße \ud83d\udc4b""#));
        ctx.get(ctx.next().await?).await?;
        Err(Halt::Failed(failure))
    })
}

#[test]
fn version_1_shows_what_it_showed() {
    let state = State::checked(&read(FAILED)).expect("it can be");
    let shown = shown(&state);
    assert_eq!(shown.status, RuntimeStatus::Failed);
    assert_eq!(shown.custom_status, Some(json("{\"approved\":true}")));
    assert_eq!(shown.buffered.iter().map(|event| event.seq).collect::<Vec<_>>(), [6]);
    let start = state.start().expect("it has started");
    assert_eq!((start.name.as_str(), start.input.as_str()), ("Order", "{\"id\": 7}"));

    let state = State::of(&read(COMPLETED));
    assert_eq!(state.outcome(), Some(&Outcome::Succeeded(json("{ \"first\":\"Ada\" }"))));
    assert_eq!(state.custom_status(), None);
}
