//! Each seed draws what may happen in its run, and how often: a run in which all may happen meets little of what is rare.

use fermata::dispatcher::{Residency, Retention};

/// What may happen in a run. Numbers of faults say one in how many; 0: none.
#[derive(Debug)]
pub struct Swarm {
    pub theme: Theme,
    pub residency: Residency,
    /// Turns that may be under way at a time.
    pub workers: usize,
    pub activities: usize,
    pub retention: Retention,
    pub clients: usize,
    /// What each client asks, in number.
    pub asks: usize,
    /// How many instance ids the clients know.
    pub ids: u32,
    /// Kinds of orchestrators that are started.
    pub orchestrators: Vec<usize>,
    /// How often what is asked, in the order of [`super::clients::What`].
    pub wishes: Vec<u32>,
    /// One request in so many has a key, and is sent again when no answer comes.
    pub keyed: u32,
    /// How often what happens next, in the order of [`super::world::Action`].
    pub pace: Vec<u32>,
    /// Others act at one in so many of the places of a turn where they may.
    pub meanwhile: u32,
    /// One read in so many is answered later.
    pub late: u32,
    pub full: u32,
    pub failed_writes: u32,
    pub failed_reads: u32,
    /// A commit of which nobody knows whether it was one.
    pub lost: u32,
    /// An activity that the host could not run, and one that fails.
    pub not_run: u32,
    pub failed_activities: u32,
    pub clock_back: bool,
    /// Owners change so often, and how.
    pub changes: usize,
    pub ways: Vec<Way>,
    /// All that is written is written to an embedded store, too.
    pub twin: bool,
}

/// What a run is about beside all that its seed draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Anything,
    /// Few instances are suspended and resumed all the time, and owners change.
    Pauses,
    /// Modules come and go, and instances are moved from one to another.
    Modules,
}

impl Theme {
    pub const ALL: [Theme; 3] = [Theme::Anything, Theme::Pauses, Theme::Modules];

    pub fn draw(rng: &mut fastrand::Rng) -> Theme {
        Theme::ALL[[0, 0, 1, 2][rng.usize(0..4)]]
    }
}

/// How one owner follows on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It loses all that is not on disk.
    Crash,
    Close,
    /// It lives on, and does not know.
    Takeover,
}

impl Swarm {
    pub fn draw(rng: &mut fastrand::Rng) -> Swarm {
        let residency = [Residency::Never, Residency::UpTo(1), Residency::UpTo(3), Residency::Always];
        let keeps_all = Retention::default();
        let keeps_few = Retention { count: Some(rng.u64(1..4)), age: None };
        let faulty = rng.bool();
        let fault = |rng: &mut fastrand::Rng, range: std::ops::Range<u32>| match faulty && rng.bool() {
            true => rng.u32(range),
            false => 0,
        };
        let changing = rng.bool();
        Swarm {
            theme: Theme::Anything,
            residency: residency[rng.usize(0..4)],
            workers: rng.usize(1..=3),
            activities: rng.usize(1..=4),
            retention: if rng.u32(0..8) == 0 { keeps_few } else { keeps_all },
            clients: rng.usize(1..=6),
            asks: rng.usize(8..50),
            ids: rng.u32(1..=4),
            orchestrators: subset(rng, super::clients::ORCHESTRATORS),
            wishes: weights(rng, &[18, 40, 10, 12, 5, 7, 4, 2, 6]),
            keyed: [0, 2, 5][rng.usize(0..3)],
            pace: weights(rng, &[40, 20, 15, 15, 10, 10, 20, 6, 2]),
            meanwhile: [0, 1, 3, 10][rng.usize(0..4)],
            late: [0, 2, 10][rng.usize(0..3)],
            full: fault(rng, 5..60),
            failed_writes: fault(rng, 5..60),
            failed_reads: fault(rng, 5..60),
            lost: fault(rng, 50..300),
            not_run: fault(rng, 2..10),
            failed_activities: if rng.bool() { rng.u32(2..10) } else { 0 },
            clock_back: rng.u32(0..4) == 0,
            changes: if changing { rng.usize(1..=4) } else { 0 },
            ways: subset(rng, 3).into_iter().map(|way| [Way::Crash, Way::Close, Way::Takeover][way]).collect(),
            twin: rng.u32(0..4) == 0,
        }
    }
}

/// Kinds of orchestrators that wait for events, and for times or children beside them.
const PATIENT: [usize; 9] = [0, 1, 3, 4, 6, 6, 10, 11, 14];

impl Swarm {
    pub fn may_change(&self, way: Way) -> bool {
        self.changes > 0 && self.ways.contains(&way)
    }

    /// The same, about something.
    pub fn about(mut self, theme: Theme, rng: &mut fastrand::Rng) -> Swarm {
        self.theme = theme;
        match theme {
            Theme::Anything => self,
            Theme::Modules => Swarm { ids: rng.u32(2..=6), ..self },
            Theme::Pauses => {
                let patient = subset(rng, PATIENT.len()).into_iter().map(|place| PATIENT[place]).collect();
                let ways = [vec![Way::Crash], vec![Way::Crash, Way::Takeover], self.ways];
                Swarm {
                    orchestrators: patient,
                    wishes: weights(rng, &[10, 40, 16, 24, 2, 2, 1, 2, 3]),
                    pace: weights(rng, &[40, 20, 6, 10, 10, 10, 30, 16, 1]),
                    ids: rng.u32(1..=2),
                    meanwhile: [1, 1, 3, self.meanwhile][rng.usize(0..4)],
                    changes: [self.changes, rng.usize(4..=12)][rng.usize(0..2)],
                    ways: ways.into_iter().nth(rng.usize(0..3)).expect("there are three"),
                    ..self
                }
            }
        }
    }
}

/// Some of so many, at least one.
fn subset(rng: &mut fastrand::Rng, of: usize) -> Vec<usize> {
    let one_in = rng.u32(1..=4);
    let mut some: Vec<usize> = (0..of).filter(|_| rng.u32(0..one_in) == 0).collect();
    if some.is_empty() {
        some.push(rng.usize(0..of));
    }
    some
}

/// About these; now and then much more, or much less.
fn weights(rng: &mut fastrand::Rng, usual: &[u32]) -> Vec<u32> {
    usual.iter().map(|usual| (usual * [1, 4, 4, 4, 16][rng.usize(0..5)] / 4).max(1)).collect()
}
