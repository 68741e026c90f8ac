//! The end of a host again and again, and at last a look at all that it did.

use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

use super::lives::{End, Lives, Load};

/// What was done.
pub struct Report {
    lives: Lives,
    took: Duration,
}

const LOAD: Load = Load { clients: 6, groups: 10, rest: Duration::ZERO };

/// How often everything comes to its end and all is compared; what there is to compare grows.
const SETTLINGS: u32 = 10;

/// Ends a host under load so many times, at random moments. `again`: the command that does the same again.
pub fn repeat(end: End, times: u32, seed: u64, again: String) -> Report {
    let begun = Instant::now();
    let mut lives = Lives::new(again, seed, LOAD, None);
    for time in 1..=times {
        let moment = Duration::from_millis(lives.random.u64(5..=250));
        lives.live(end, |_| std::thread::sleep(moment));
        if time.is_multiple_of(times.div_ceil(SETTLINGS)) || time == times {
            lives.settle();
        }
    }
    let acknowledged = lives.ledger.tally.acknowledged.get();
    assert!(acknowledged > u64::from(times), "the load was too small to mean anything: {acknowledged} events");
    Report { lives, took: begun.elapsed() }
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Report { lives, took } = self;
        writeln!(f, "{} in {:.0} s; {}", lives.lived, took.as_secs_f64(), lives.ledger.tally)?;
        let (calls, repeated) = lives.effects.counts();
        writeln!(f, "{calls} calls of an HTTP endpoint, {repeated} of them repeated")
    }
}
