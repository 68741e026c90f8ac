//! Which event goes to which wait.

use fermata_replay::{Execution, OpenKind, OpenTask, State, fold_name};

use crate::guest::list;
use crate::histories;
use crate::history::started;
use crate::play::{check, shown};

#[test]
fn buffered_events_come_oldest_first() {
    let expected = histories::event_before_wait();
    check(&expected, async |ctx| {
        ctx.event("Go").await?;
        let (first, second) = (ctx.wait("A")?, ctx.wait("A")?);
        Ok(list(&[ctx.get(first).await?, ctx.get(second).await?]))
    });
    let buffered = State::of(&expected.steps[..3]).buffered_events();
    assert_eq!(buffered.iter().map(|event| event.seq).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn the_newest_of_several_waits_gets_the_event() {
    check(&histories::newest_wait_first(), async |ctx| {
        let waits = [ctx.wait("A")?, ctx.wait("A")?];
        Ok(list(&ctx.all(&waits).await?.expect("waits do not fail")))
    });
}

#[test]
fn names_compare_without_case_and_keep_their_spelling() {
    let expected = histories::names_ignore_case();
    check(&expected, async |ctx| {
        let apples = ctx.event("Äpfel").await?;
        Ok(list(&[apples, ctx.event("Birnen").await?]))
    });
    let before = shown(&State::of(&expected.steps[..2]));
    assert_eq!(names_of(&before.waiting_for), ["Äpfel"]);
    assert_eq!(before.buffered[0].name, "BIRNEN");
    assert_eq!(State::of(&expected.steps).buffered_events()[0].name, "ÄPFEL");
}

fn names_of(tasks: &[OpenTask]) -> Vec<String> {
    let name = |task: &OpenTask| match &task.kind {
        OpenKind::Event { name } => name.clone(),
        other => panic!("{other:?} is no wait"),
    };
    tasks.iter().map(name).collect()
}

#[test]
fn folding() {
    for (one, other) in [("Approval", "APPROVAL"), ("straße", "STRAßE"), ("ΟΔΟΣ", "οδος"), ("Ёлка", "ёЛКА"), ("", "")]
    {
        assert_eq!(fold_name(one), fold_name(other));
    }
    assert_ne!(fold_name("Approval"), fold_name("Approval "));
    assert_eq!(fold_name("\u{212A}elvin"), "kelvin", "a name folds to the same, ASCII or not");
}

#[test]
fn waiting_for_names_what_would_wake_the_guest() {
    let names = |on: &dyn Fn(&mut Execution)| {
        let mut blocked = Execution::new(Vec::new());
        blocked.push(started().messages.remove(0));
        blocked.begin();
        for name in ["B", "a", "B", "C"] {
            blocked.wait_external_event(name).expect("a live step");
        }
        on(&mut blocked);
        names_of(&blocked.state().waiting_for())
    };
    assert_eq!(names(&|execution| drop(execution.poll_task(3))), ["C"]);
    assert_eq!(names(&|execution| drop(execution.poll_any(&[2, 1, 0]))), ["B", "a", "B"]);
    assert_eq!(names(&|execution| drop(execution.poll_all(&[3, 3]))), ["C"]);
    assert_eq!(names(&|execution| drop(execution.poll_next())), ["B", "a", "B", "C"]);
    assert_eq!(names(&|_| ()), [] as [&str; 0], "a running guest waits for nothing");
}
