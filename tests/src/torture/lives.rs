//! A host on one data directory that dies and lives again, while the same clients go on.

use std::fmt::{self, Display, Formatter};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::effects::Effects;
use super::ledger::Ledger;
use super::{census, verify};
use crate::{Host, PATIENCE, Settings};

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `kill -9`.
    Kill,
    /// SIGTERM: the host finishes what is under way.
    Stop,
}

/// How much clients ask for.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub clients: u32,
    /// How many groups of instances are open at a time.
    pub groups: u64,
    /// How long each client rests after each request.
    pub rest: Duration,
}

pub struct Lives {
    /// None when it is kept.
    data: Option<tempfile::TempDir>,
    /// Of every life; none: each draws it anew.
    pub residency: Option<&'static str>,
    settings: Settings,
    pub random: fastrand::Rng,
    pub ledger: Ledger,
    pub effects: Effects,
    load: Load,
    pub lived: Lived,
    /// The command that does the same again.
    again: String,
}

/// What it took.
#[derive(Debug, Default)]
pub struct Lived {
    pub kills: u32,
    pub stops: u32,
    /// From the start of the process until it listens, all lives together, and the longest.
    pub starting: Duration,
    pub longest_start: Duration,
    pub longest_stop: Duration,
}

impl Display for Lived {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Lived { kills, stops, starting, longest_start, longest_stop } = self;
        let mean = *starting / (kills + stops).max(1);
        write!(f, "{kills} kills and {stops} stops ({longest_stop:.0?} at most), ")?;
        write!(f, "started anew in {mean:.0?} ({longest_start:.0?} at most)")
    }
}

/// How many guests stay in memory.
pub fn draw_residency(random: &mut fastrand::Rng) -> &'static str {
    random.choice(["always", "never", "3"]).expect("there are some")
}

/// The time that the host has for what is under way when it is told to stop.
const STOP: Duration = Duration::from_secs(10);

impl Lives {
    /// `again`: the command that does the same again. What `forgets` says is how long the host keeps instances that have ended, and requests
    /// that it is to do once; none: longer than anybody looks.
    pub fn new(again: String, seed: u64, load: Load, forgets: Option<Duration>) -> Lives {
        let data = tempfile::tempdir().expect("a temporary folder");
        let effects = Effects::serve();
        let settings = Settings::new(data.path()).modules(&["test-guest-a"]).environment("FERMATA_LOG", "warn");
        let settings = settings.argument("--activity").argument(&effects.service());
        let settings = match forgets.map(|time| time.as_secs()) {
            None => settings,
            Some(time) => settings
                .configuration(&format!("[limits.host]\nidempotency_time = '{time}s'"))
                .argument(&format!("--retain-age={time}s")),
        };
        let (random, ledger) = (fastrand::Rng::with_seed(seed), Ledger::new(forgets.is_none()));
        let lived = Lived::default();
        Lives { data: Some(data), residency: None, settings, random, ledger, effects, load, lived, again }
    }

    /// Starts the host, lets clients work while `during` runs, and ends it in the midst of it.
    pub fn live(&mut self, end: End, during: impl FnOnce(&Host)) {
        let host = self.start();
        let over = AtomicBool::new(false);
        let seeds: Vec<u64> = (0..self.load.clients).map(|_| self.random.u64(..)).collect();
        let ended = self.watched(&host, || {
            std::thread::scope(|scope| {
                for seed in seeds {
                    let (lives, host, over) = (&*self, &host, &over);
                    scope.spawn(move || lives.work(host, seed, over));
                }
                during(&host);
                over.store(true, Ordering::SeqCst);
                host.signal(if end == End::Kill { "KILL" } else { "TERM" });
                Instant::now()
            })
        });
        self.end(host, end, ended);
    }

    /// Lets all that was begun come to its end, takes the census, and verifies what is stored.
    pub fn settle(&mut self) {
        let host = self.start();
        let failed = AtomicBool::new(false);
        let seeds: Vec<u64> = (0..self.load.clients).map(|_| self.random.u64(..)).collect();
        self.watched(&host, || {
            std::thread::scope(|scope| {
                for seed in seeds {
                    let (lives, host, failed) = (&*self, &host, &failed);
                    scope.spawn(move || lives.finish(host, seed, failed));
                }
            });
            if self.ledger.keeps() {
                census::take(&host, &self.ledger);
            }
        });
        host.signal("TERM");
        self.end(host, End::Stop, Instant::now());
        verify::stored(self.settings.data());
    }

    fn start(&mut self) -> Host {
        let residency = self.residency.unwrap_or_else(|| draw_residency(&mut self.random));
        let begun = Instant::now();
        let host = self.settings.clone().residency(residency).start();
        self.lived.starting += begun.elapsed();
        self.lived.longest_start = self.lived.longest_start.max(begun.elapsed());
        host
    }

    /// Waits for the end of a process that was told to end at that time.
    fn end(&mut self, host: Host, end: End, told: Instant) {
        let log = host.log_lines();
        let (code, _) = host.wait();
        match end {
            End::Kill => self.lived.kills += 1,
            End::Stop => {
                self.lived.stops += 1;
                self.lived.longest_stop = self.lived.longest_stop.max(told.elapsed());
                assert_eq!(code, Some(0), "{}", log.lock().unwrap().join("\n"));
                assert!(told.elapsed() < STOP, "stopping took {:?}", told.elapsed());
            }
        }
        let log = log.lock().unwrap().join("\n");
        assert!(!log.contains("panicked"), "{log}");
        self.effects.check();
    }

    /// A client's work until the host is gone.
    fn work(&self, host: &Host, seed: u64, over: &AtomicBool) {
        let random = fastrand::Rng::with_seed(seed);
        let mut client = Client { host, ledger: &self.ledger, effects: &self.effects, random, settling: false };
        loop {
            let Some(mut group) = self.ledger.take(self.load.groups, &mut client.random) else {
                std::thread::yield_now();
                continue;
            };
            let is_done = client.go_on(&mut group);
            match is_done {
                Ok(true) => self.ledger.settle(group),
                _ => self.ledger.put_back(group),
            }
            if is_done.is_err() {
                assert!(over.load(Ordering::SeqCst), "the host went away by itself:\n{}", host.log());
                return;
            }
            std::thread::sleep(self.load.rest);
        }
    }

    /// The same until nothing is open, or another client has failed.
    fn finish(&self, host: &Host, seed: u64, failed: &AtomicBool) {
        let _notes = NotesFailure(failed);
        let random = fastrand::Rng::with_seed(seed);
        let mut client = Client { host, ledger: &self.ledger, effects: &self.effects, random, settling: true };
        let begun = Instant::now();
        while self.ledger.open() > 0 && !failed.load(Ordering::SeqCst) {
            let Some(mut group) = self.ledger.take(0, &mut client.random) else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            match client.go_on(&mut group) {
                Ok(true) => self.ledger.settle(group),
                Ok(false) if begun.elapsed() < PATIENCE => self.ledger.put_back(group),
                other => panic!("it does not end, {other:?}: {group:#?}"),
            }
        }
    }

    /// Shows what the host said where something is wrong.
    fn watched<T>(&self, host: &Host, work: impl FnOnce() -> T) -> T {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            eprintln!("the host said:\n{}", host.log());
            resume_unwind(panic)
        })
    }
}

/// Set when its thread panics: what that thread had in hand comes to no end.
struct NotesFailure<'a>(&'a AtomicBool);

impl Drop for NotesFailure<'_> {
    fn drop(&mut self) {
        self.0.fetch_or(std::thread::panicking(), Ordering::SeqCst);
    }
}

/// What went wrong can be looked at, and done again.
impl Drop for Lives {
    fn drop(&mut self) {
        if let Some(data) = self.data.take().filter(|_| std::thread::panicking()) {
            eprintln!("after {}; {}", self.lived, self.ledger.tally);
            eprintln!("the data directory is kept: {}", data.keep().display());
            eprintln!("to repeat: {}", self.again);
        }
    }
}
