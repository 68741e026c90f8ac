//! Which event goes to which wait.

use std::collections::BTreeSet;

use fermata_replay::{Execution, OpenKind, OpenTask, State, TaskId, WAITING_NAMES, fold_name};

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

#[test]
fn a_turn_tells_the_names_that_it_waits_for_unless_they_are_too_many() {
    // The names of so many waits, one after the other; and on which of them the guest blocks.
    let names = |waits: usize, distinct: usize, on: &dyn Fn(&mut Execution, &[TaskId])| {
        let mut blocked = Execution::new(Vec::new());
        blocked.push(started().messages.remove(0));
        blocked.begin();
        let wait = |number| blocked.wait_external_event(&format!("Name {}", number % distinct)).expect("a live step");
        let tasks: Vec<TaskId> = (0..waits).map(wait).collect();
        on(&mut blocked, &tasks);
        blocked.take_turn().waiting
    };
    let expected = |distinct| Some((0..distinct).map(|number| format!("name {number}")).collect::<BTreeSet<_>>());
    for (waits, distinct) in [(1, 1), (3, 2), (WAITING_NAMES, WAITING_NAMES), (10_000, 3), (10_000, WAITING_NAMES)] {
        assert_eq!(names(waits, distinct, &|it, tasks| drop(it.poll_all(tasks))), expected(distinct));
        assert_eq!(names(waits, distinct, &|it, tasks| drop(it.poll_any(tasks))), expected(distinct));
        assert_eq!(names(waits, distinct, &|it, _| drop(it.poll_next())), expected(distinct));
        assert_eq!(names(waits, distinct, &|it, tasks| drop(it.poll_task(tasks[0]))), expected(1));
    }
    let many = WAITING_NAMES + 1;
    assert_eq!(names(many, many, &|it, tasks| drop(it.poll_any(tasks))), None);
    assert_eq!(names(many, many, &|it, _| drop(it.poll_next())), None);
    assert_eq!(names(many, many, &|it, tasks| drop(it.poll_all(&tasks[1..]))).map(|names| names.len()), Some(64));
    // Those that it is not blocked on do not count.
    assert_eq!(names(10_000, 5_000, &|it, tasks| drop(it.poll_any(&tasks[1..3]))).map(|names| names.len()), Some(2));
    let every_hundredth = |it: &mut Execution, tasks: &[TaskId]| {
        let tasks: Vec<TaskId> = tasks.iter().copied().step_by(100).collect();
        drop(it.poll_all(&tasks));
    };
    assert_eq!(names(10_000, 200, &every_hundredth).map(|names| names.len()), Some(2));
}
