//! Histories of the second format: all that it added to the first.

use fermata_replay::{End, OpenKind, Outcome, RetryPolicy, RuntimeStatus, Span, State, Step};

use crate::guest::{Guest, Halt, guest, json, list, seconds};
use crate::play::replay;

/// Its name, the history, and the guest that made it.
type Golden = (&'static str, &'static str, fn() -> Guest);

/// What guests made of their messages once, a step a line. Never edit them; a later format gets files of its own.
const HISTORIES: &[Golden] = &[
    ("timer", include_str!("../golden/history_v2_timer.json"), timer),
    ("timeout", include_str!("../golden/history_v2_timeout.json"), timeout),
    ("retry", include_str!("../golden/history_v2_retry.json"), retry),
    ("child", include_str!("../golden/history_v2_child.json"), child),
    ("sends", include_str!("../golden/history_v2_sends.json"), sends),
    ("callback", include_str!("../golden/history_v2_callback.json"), callback),
    ("continued", include_str!("../golden/history_v2_continued.json"), generations),
    ("generation", include_str!("../golden/history_v2_generation.json"), generations),
    ("terminated", include_str!("../golden/history_v2_terminated.json"), waits),
    ("suspended", include_str!("../golden/history_v2_suspended.json"), waits),
    ("rewound", include_str!("../golden/history_v2_rewound.json"), rewound),
    ("migrated", include_str!("../golden/history_v2_migrated.json"), waits),
];

fn timer() -> Guest {
    guest(async |ctx| {
        let (soon, late) = (ctx.timer(1_767_225_660.5)?, ctx.timer(1_767_229_200.0)?);
        ctx.get(soon).await?;
        ctx.cancel(late)?;
        ctx.get(ctx.timer(0.0)?).await
    })
}

fn timeout() -> Guest {
    guest(async |ctx| {
        let (first, second, third) = (ctx.wait("Approval")?, ctx.wait("Approval")?, ctx.wait("approval")?);
        ctx.timeout(first, 1_767_225_660.0, Some("{\"approved\": false}"))?;
        ctx.timeout(second, 1_767_225_661.0, Some("null"))?;
        ctx.timeout(third, 1_767_225_662.0, None)?;
        let defaults = [ctx.get(first).await?, ctx.get(second).await?];
        assert_eq!(list(&defaults), json("[{\"approved\": false},null]"));
        ctx.get(third).await
    })
}

fn policy() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 3,
        first_interval: Span::from_millis(1_500),
        backoff_coefficient: 2.5,
        max_interval: Some(Span::from_millis(60_000)),
        timeout: Some(Span::from_millis(3_600_000)),
        attempt_timeout: Some(Span::from_millis(30_000)),
        non_retryable: vec!["OutOfStock".into()],
    }
}

fn retry() -> Guest {
    guest(async |ctx| {
        let charge = ctx.call("charge", "{\"amount\": 1}")?;
        ctx.retry(charge, &policy())?;
        ctx.get(charge).await
    })
}

fn child() -> Guest {
    guest(async |ctx| {
        let children = [ctx.child("Ship", None, "[1]")?, ctx.child("Ship", Some("ship-7"), "[7]")?];
        ctx.retry(children[1], &RetryPolicy { max_interval: None, timeout: None, ..policy() })?;
        Ok(list(&ctx.all(&children).await?.expect("both succeed")))
    })
}

fn sends() -> Guest {
    guest(async |ctx| {
        let audit = ctx.start("Audit", None, "{\"id\": 7}")?;
        ctx.start("Audit", Some("audit-7"), "null")?;
        ctx.raise(&audit, "Größe", "\"Grüße\"")?;
        Ok(json("true"))
    })
}

fn callback() -> Guest {
    guest(async |ctx| {
        let url = ctx.callback_url("Approval", seconds(1_767_830_400.5))?;
        assert!(url.starts_with("https://fermata.example/callbacks/order-7/Approval?run=1f&"), "{url}");
        ctx.event("Approval").await
    })
}

fn generations() -> Guest {
    guest(async |ctx| {
        let first = ctx.event("Next").await?;
        if ctx.started().generation == 0 {
            return Err(Halt::Continued(first));
        }
        Ok(list(&[first, ctx.event("next").await?]))
    })
}

fn waits() -> Guest {
    guest(async |ctx| ctx.event("Approval").await)
}

fn rewound() -> Guest {
    guest(async |ctx| {
        let tasks = [ctx.call("charge", "1")?, ctx.call("stock", "2")?];
        ctx.retry(tasks[1], &RetryPolicy { attempt_timeout: None, non_retryable: Vec::new(), ..policy() })?;
        let (charged, stocked) = (ctx.outcome(tasks[0]).await?, ctx.outcome(tasks[1]).await?);
        match (charged, stocked) {
            (Outcome::Succeeded(charged), Outcome::Succeeded(stocked)) => Ok(list(&[charged, stocked])),
            (Outcome::Failed(failure), _) | (_, Outcome::Failed(failure)) => Err(Halt::Failed(failure)),
        }
    })
}

fn read(history: &str) -> Vec<Step> {
    serde_json::from_str(history).expect("a history of version 2")
}

fn state(name: &str) -> State {
    let (_, history, _) = HISTORIES.iter().find(|(other, ..)| *other == name).expect("there is such a history");
    State::checked(&read(history)).expect("it can be")
}

#[test]
fn version_2_reads_and_is_written_as_it_was() {
    for (name, history, _) in HISTORIES {
        let lines: Vec<String> =
            read(history).iter().map(|step| serde_json::to_string(step).expect("a step is JSON")).collect();
        assert_eq!(format!("[\n{}\n]\n", lines.join(",\n")), *history, "{name}");
    }
}

#[test]
fn version_2_replays() {
    for (name, history, guest) in HISTORIES {
        let steps = read(history);
        for length in 1..=steps.len() {
            replay(&guest(), &steps[..length]).unwrap_or_else(|stop| panic!("{name}, {length} steps: {stop}"));
        }
    }
}

#[test]
fn version_2_shows_what_it_showed() {
    let output = |name: &str| match state(name).end() {
        Some(End::Returned(Outcome::Succeeded(output))) => output.as_str().to_owned(),
        other => panic!("{name} ended so: {other:?}"),
    };
    assert_eq!(output("timer"), "null");
    assert_eq!(output("retry"), "{\"receipt\": \"r-1\"}");
    assert_eq!(output("child"), "[1,7]");
    assert_eq!(output("sends"), "true");
    assert_eq!(output("callback"), "true");
    assert_eq!(output("generation"), "[2,3]");
    assert_eq!(output("suspended"), "\"yes\"");
    assert_eq!(output("rewound"), "[\"charged\",\"stocked\"]");
    let timeout = state("timeout").outcome().cloned();
    assert!(matches!(timeout, Some(Outcome::Failed(failure)) if failure.kind == "timeout"));
    let continued = End::ContinuedAsNew { input: json("1"), same_module: false };
    assert_eq!(state("continued").end(), Some(&continued));
    assert_eq!(state("generation").start().expect("a start").carried.len(), 1);
    assert_eq!(state("terminated").end(), Some(&End::Terminated(Some("no longer needed".into()))));

    let migrated = state("migrated");
    assert_eq!((migrated.runtime_status(), migrated.module()), (RuntimeStatus::Running, "cd".repeat(32).as_str()));
    let OpenKind::Event { name } = &migrated.waiting_for()[0].kind else { panic!("a wait") };
    assert_eq!(name, "Approval");
}
