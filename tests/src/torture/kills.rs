//! `kill -9` again and again.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use super::lives::{End, Lives, Load};

/// What was done.
pub struct Report {
    lives: Lives,
    took: Duration,
}

const LOAD: Load = Load { clients: 6, groups: 10, rest: Duration::ZERO };

/// After so many kills everything comes to its end, and all is compared.
const BETWEEN_SETTLINGS: u32 = 50;

/// Kills a host so many times at random moments. `again`: the command that does the same again.
pub fn run(kills: u32, seed: u64, again: String) -> Report {
    let begun = Instant::now();
    let mut lives = Lives::new(again, seed, LOAD, &[]);
    for kill in 1..=kills {
        let moment = Duration::from_millis(lives.random.u64(5..=250));
        lives.live(End::Kill, |_| std::thread::sleep(moment));
        if kill % BETWEEN_SETTLINGS == 0 || kill == kills {
            lives.settle();
        }
    }
    let acknowledged = lives.ledger.tally.acknowledged.get();
    assert!(acknowledged > u64::from(kills), "the load was too small to mean anything: {acknowledged} events");
    Report { lives, took: begun.elapsed() }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { lives, took } = self;
        let (calls, repeated) = lives.effects.counts();
        writeln!(f, "{} kills in {:.0} s; {}", lives.lived.kills, took.as_secs_f64(), lives.ledger.tally)?;
        writeln!(f, "{calls} calls of an HTTP endpoint, {repeated} of them repeated; {}", lives.lived)
    }
}
