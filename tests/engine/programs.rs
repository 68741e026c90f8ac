//! The random programs of the core's tests, run by wasm: it makes the history and the turns that Rust makes, and is told the same.

use std::fmt::Debug;
use std::rc::Rc;

use fermata_replay::{Decision, State, Stop, Turn, kind};

use super::*;
use crate::generator::{SPAN, hold_for_all, instance};
use crate::guest::load;
use crate::owner::{Begin, Owner, Running};
use crate::play::{Pace, Shown, drive, shown};
use crate::program::Stmt;

/// How many programs a run tries.
const CASES: u32 = 1_000;

/// One guest takes all messages of a generation.
#[test]
fn a_resident_guest_does_what_one_in_rust_does() {
    does_what_rust_does("a_resident_guest_does", false);
}

/// The guest is dropped after every message, and brought back in a new instance of the module.
#[test]
fn an_evicted_guest_does_what_one_in_rust_does() {
    does_what_rust_does("an_evicted_guest_does", true);
}

fn does_what_rust_does(test: &str, evict: bool) {
    let bench = Rc::new(bench_of("test-guest-interpreter", GuestLimits::default()));
    hold_for_all(CASES, &instance(), &format!("cargo xtask test {test}"), |(program, messages)| {
        let messages = given_to(&program, messages);
        let rust = kept(Owner::new(&load(&program).0), &messages, evict);
        let wasm = kept(Owner::of(lives(&bench)), &messages, evict);
        assert_same("step", &steps(&rust), &steps(&wasm));
        assert_same("answer", &rust.told, &wasm.told);
        assert_same("turn", &rust.turns, &wasm.turns);
        assert_same("unread message", &rust.inbox, &wasm.inbox);
    });
}

/// The program is what its instance is started with.
fn given_to(program: &[Stmt], mut messages: Vec<Message>) -> Vec<Message> {
    let MessageBody::Started(start) = &mut messages[0].body else { panic!("the first message starts it") };
    start.name = "Program".into();
    start.input = Payload::parse(&serde_json::to_string(program).unwrap()).unwrap();
    messages
}

fn kept(mut owner: Owner, messages: &[Message], evict: bool) -> Owner {
    drive(&mut owner, messages, &[Pace { batch: 1, evict, tick: false }], None);
    if evict {
        owner.evict();
    }
    let last = messages.iter().map(|message| message.at).max();
    owner.tick(last.max(Some(Timestamp::from_millis(SPAN))).expect("it is some time"));
    let past = owner.past.iter_mut().flat_map(|(history, _)| history);
    let turns = owner.turns.iter_mut().flat_map(|turn| &mut turn.steps);
    past.chain(&mut owner.history).chain(turns).for_each(forget_what_differs);
    owner
}

/// Only wasm tells where in its code a guest did what no program can mean; and only the engine signs URLs.
fn forget_what_differs(step: &mut Step) {
    for decision in &mut step.decisions {
        match decision {
            Decision::Failed { failure } if failure.kind == kind::TRAP => failure.details.clear(),
            Decision::CallbackUrlMade { url, .. } => url.clear(),
            _ => {}
        }
    }
}

/// Of all generations.
fn steps(owner: &Owner) -> Vec<&Step> {
    owner.past.iter().flat_map(|(history, _)| history).chain(&owner.history).collect()
}

fn assert_same<T: Debug + PartialEq>(what: &str, rust: &[T], wasm: &[T]) {
    for number in 0..rust.len().max(wasm.len()) {
        let (rust, wasm) = (rust.get(number), wasm.get(number));
        assert!(rust == wasm, "{what} {number}\nin Rust: {rust:#?}\nin wasm: {wasm:#?}");
    }
}

/// One life of a guest that is wasm.
struct Life {
    bench: Rc<Bench>,
    now: Timestamp,
    /// Until messages concern a guest, there is none.
    alone: Option<Execution>,
    guest: Option<Guest>,
    has_ended: bool,
}

fn lives(bench: &Rc<Bench>) -> Begin {
    let bench = bench.clone();
    Box::new(move |history| {
        let alone = Some(Execution::new(history));
        Box::new(Life { bench: bench.clone(), now: Timestamp(i64::MIN), alone, guest: None, has_ended: false })
    })
}

impl Life {
    fn state<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        match &self.guest {
            Some(guest) => guest.state(read),
            None => read(self.alone.as_ref().expect("without a guest it is alone").state()),
        }
    }
}

impl Running for Life {
    fn resume(&mut self, mut messages: Vec<Message>) -> Result<Turn, Stop> {
        if let Some(mut alone) = self.alone.take() {
            alone.tick(self.now);
            messages.drain(..).for_each(|message| alone.push(message));
            if !alone.absorb()? {
                let turn = alone.take_turn();
                self.alone = Some(alone);
                return Ok(turn);
            }
            self.guest = Some(self.bench.engine.guest(&self.bench.module, "an-instance", 1, alone));
        }
        let guest = self.guest.as_mut().expect("it is not alone");
        if self.has_ended {
            guest.absorb(messages);
        } else {
            match guest.resume(messages, self.now) {
                Progress::Blocked => {}
                Progress::Ended(End::Recorded) => self.has_ended = true,
                Progress::Ended(End::Mismatch(mismatch)) => return Err(Stop::Mismatch(mismatch)),
                Progress::Ended(End::Abandoned(reason)) => panic!("the host gave up on the guest: {reason}"),
            }
        }
        let turn = guest.take_turn();
        Ok(turn.unwrap_or_else(|| guest.state(|state| Turn::ignoring(state, Vec::new()))))
    }

    fn tick(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    fn shown(&self) -> Shown {
        self.state(shown)
    }

    fn take_inbox(&mut self) -> Vec<Message> {
        self.guest.as_mut().expect("a guest has run").take_inbox()
    }

    /// What it was told in steps that are replayed is not in its log.
    fn journal(&self) -> Vec<String> {
        Vec::new()
    }

    fn take_told(&mut self) -> Vec<String> {
        let log = self.guest.as_ref().map(Guest::take_log).unwrap_or_default();
        log.iter().map(|line| line.text().to_owned()).collect()
    }
}
