//! Children, and other instances that are started or sent events.

use fermata_replay::{
    Caller, ChildStart, Failure, MessageBody, Outcome, Outgoing, OutgoingBody, Parent, RuntimeStatus, Start, State,
    TaskEnded, kind,
};

use crate::guest::{Halt, guest, json, list};
use crate::history::{
    EXECUTION, application, because, ended, event, failed, start, start_of_child, started, started_with, succeeded,
};
use crate::owner::Owner;
use crate::play::check;

fn started_child(to: &str, task: u32, attempt: u32) -> Outgoing {
    let caller = Caller { execution: EXECUTION.into(), task, attempt, depth: 0 };
    let start = ChildStart { name: "c".into(), input: json("1"), caller: Some(caller) };
    Outgoing { to: to.into(), body: OutgoingBody::Start(start) }
}

fn told(outcome: Outcome) -> Outgoing {
    let ended = TaskEnded { task: 3, outcome, execution: "parent's".into(), attempt: 1 };
    Outgoing { to: "parent".into(), body: OutgoingBody::Message(MessageBody::ChildEnded(ended)) }
}

#[test]
fn a_child_has_an_id_that_names_its_parents_execution_unless_it_has_one_of_its_own() {
    let expected = started()
        .start_child("c", "0192:0", "1")
        .start_child("c", "kid", "1")
        .block_all(&[0, 1])
        .child(1, 1, succeeded("11"))
        .child(0, 1, succeeded("10"))
        .completed("[10,11]");
    let played = check(&expected, async |ctx| {
        let children = [ctx.child("c", None, "1")?, ctx.child("c", Some("kid"), "1")?];
        Ok(list(&ctx.all(&children).await?.expect("no failure")))
    });
    assert_eq!(played.outgoing, [started_child("0192:0", 0, 1), started_child("kid", 1, 1)]);
}

#[test]
fn a_childs_failure_is_its_parents_where_that_lets_it_pass() {
    let expected =
        started().start_child("c", "0192:0", "1").block(0).child(0, 1, failed("no")).failed(application("no"));
    check(&expected, async |ctx| ctx.get(ctx.child("c", None, "1")?).await);
}

/// What starts instances answers for the child that it can not start.
#[test]
fn an_id_that_is_taken_is_a_failure_of_the_kind_conflict() {
    let conflict = Outcome::Failed(Failure::new(kind::CONFLICT, "it has not ended"));
    let expected = started().start_child("c", "kid", "1").block(0).child(0, 1, conflict).completed("\"conflict\"");
    check(&expected, async |ctx| match ctx.outcome(ctx.child("c", Some("kid"), "1")?).await? {
        Outcome::Failed(failure) => Ok(json(&format!("{:?}", failure.kind))),
        Outcome::Succeeded(output) => Ok(output),
    });
}

#[test]
fn an_activitys_result_is_no_childs_and_a_childs_no_activitys() {
    let result = |task| ended(task, 1, succeeded("9"));
    let expected = started()
        .call("p", "1")
        .start_child("c", "kid", "1")
        .block_all(&[0, 1])
        .ignored(MessageBody::ChildEnded(result(0)))
        .ignored(MessageBody::ActivityEnded(result(1)))
        .result(0, "1")
        .child(1, 1, succeeded("2"))
        .completed("[1,2]");
    check(&expected, async |ctx| {
        let tasks = [ctx.call("p", "1")?, ctx.child("c", Some("kid"), "1")?];
        Ok(list(&ctx.all(&tasks).await?.expect("no failure")))
    });
}

#[test]
fn what_is_sent_goes_out_in_order_and_detached_instances_are_counted() {
    let expected = started()
        .start("d", "0192:n0", "1")
        .raise("0192:n0", "A", "2")
        .start_child("c", "kid", "1")
        .start("d", "own", "3")
        .start("d", "0192:n2", "4")
        .block(0)
        .child(0, 1, succeeded("5"))
        .raise("other", "B", "6")
        .completed(r#"["0192:n0","own","0192:n2"]"#);
    let played = check(&expected, async |ctx| {
        let first = ctx.start("d", None, "1")?;
        ctx.raise(&first, "A", "2")?;
        let child = ctx.child("c", Some("kid"), "1")?;
        let ids = [first, ctx.start("d", Some("own"), "3")?, ctx.start("d", None, "4")?];
        ctx.get(child).await?;
        ctx.raise("other", "B", "6")?;
        Ok(json(&serde_json::to_string(&ids).expect("strings")))
    });
    let detached = |to: &str, input: &str| Outgoing {
        to: to.into(),
        body: OutgoingBody::Start(ChildStart { name: "d".into(), input: json(input), caller: None }),
    };
    let raised =
        |to: &str, name: &str, input: &str| Outgoing { to: to.into(), body: OutgoingBody::Message(event(name, input)) };
    let sent = [
        detached("0192:n0", "1"),
        raised("0192:n0", "A", "2"),
        started_child("kid", 0, 1),
        detached("own", "3"),
        detached("0192:n2", "4"),
        raised("other", "B", "6"),
    ];
    assert_eq!(played.outgoing, sent);
}

#[test]
fn a_parent_that_ends_leaves_its_child_running() {
    let expected = started().start_child("c", "kid", "1").completed("1").ignored(MessageBody::ChildEnded(ended(
        0,
        1,
        succeeded("2"),
    )));
    let played = check(&expected, async |ctx| {
        ctx.child("c", Some("kid"), "1")?;
        Ok(json("1"))
    });
    assert_eq!(played.outgoing, [started_child("kid", 0, 1)]);
    assert_eq!(State::of(&expected.steps).runtime_status(), RuntimeStatus::Completed);
}

#[test]
fn a_child_given_up_is_told_nothing() {
    let expected = started()
        .start_child("c", "kid", "1")
        .cancel(0)
        .wait("A")
        .block(1)
        .ignored(MessageBody::ChildEnded(ended(0, 1, succeeded("2"))))
        .event("A", "3")
        .completed("3");
    let played = check(&expected, async |ctx| {
        let child = ctx.child("c", Some("kid"), "1")?;
        assert!(ctx.cancel(child)?);
        ctx.event("A").await
    });
    assert_eq!(played.outgoing, [started_child("kid", 0, 1)]);
}

#[test]
fn a_parent_is_told_once_how_its_child_ended() {
    let begun = || started_with(start_of_child()).wait("A").block(0).event("A", "1");
    let completed = begun().completed("1").event("A", "2");
    let played = check(&completed, async |ctx| ctx.event("A").await);
    assert_eq!(played.outgoing, [told(succeeded("1"))]);

    let too_late = MessageBody::Terminated(because("too late"));
    let expected = begun().failed(application("no")).event("A", "2").ignored(too_late);
    let played = check(&expected, async |ctx| {
        ctx.event("A").await?;
        Err(Halt::Failed(application("no")))
    });
    assert_eq!(played.outgoing, [told(failed("no"))]);
}

#[test]
fn a_parent_is_told_after_a_rewind_too_for_the_attempt_that_it_awaits() {
    let failed_and_rewound = started_with(start_of_child())
        .call("p", "1")
        .block(0)
        .failure(0, "no")
        .failed(application("no"))
        .rewound(1)
        .attempt(0, 2, succeeded("2"))
        .completed("2");
    let played = check(&failed_and_rewound, async |ctx| ctx.get(ctx.call("p", "1")?).await);
    assert_eq!(played.outgoing, [told(failed("no")), told(succeeded("2"))]);
}

#[test]
fn an_instance_without_parent_tells_nobody() {
    let mut owner = Owner::new(&guest(async |_| Ok(json("1"))));
    owner.deliver([started().messages.remove(0)]);
    assert_eq!(owner.outgoing, []);
}

/// Starts of the first format have none.
#[test]
fn a_start_may_name_its_parent() {
    let text = serde_json::to_string(&start_of_child()).expect("a start is JSON");
    assert!(text.ends_with(r#""parent":{"instance":"parent","execution":"parent's","task":3,"attempt":1}}"#), "{text}");
    let read: Start = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(read, start_of_child());
    assert!(!serde_json::to_string(&start()).expect("a start is JSON").contains("parent"));
    let Some(Parent { instance, .. }) = read.parent else { panic!("it has one") };
    assert_eq!(instance, "parent");
}
