//! A host under a steady load for long, which dies now and then: whether it stays as it was.

use std::time::{Duration, Instant};

use super::lives::{End, Lives, Load, draw_residency};
use super::sample::Sample;
use super::trend::Trend;
use crate::{BASE, Host};

/// How it is done.
pub struct Plan {
    pub length: Duration,
    pub seed: u64,
    /// Requests a second at most, besides the probes.
    pub rate: u32,
    pub life: Duration,
    /// The command that does the same again.
    pub again: String,
}

const CLIENTS: u32 = 4;
/// Where much more is open than clients attend to, instances wait long between two events.
const GROUPS: u64 = 24;
/// How long instances that have ended stay, and requests are remembered; long enough for clients to look at them, and to send them again.
const KEPT: Duration = Duration::from_secs(90);
const BETWEEN_SAMPLES: Duration = Duration::from_secs(10);
const BETWEEN_PROBES: Duration = Duration::from_millis(20);

/// Runs it, says how it goes, and fails where anything was lost or out of order.
pub fn run(plan: &Plan) -> Trend {
    let begun = Instant::now();
    let load = Load { clients: CLIENTS, groups: GROUPS, rest: Duration::from_secs(1) * CLIENTS / plan.rate };
    let mut lives = Lives::new(plan.again.clone(), plan.seed, load, Some(KEPT));
    // The same in all lives, as it decides how much memory they take.
    lives.residency = Some(draw_residency(&mut lives.random));
    println!("guests that stay in memory: {}", lives.residency.unwrap_or_default());
    let mut samples = Vec::new();
    for life in 1.. {
        let left = plan.length.saturating_sub(begun.elapsed());
        if left.is_zero() {
            break;
        }
        let end = if lives.random.u8(..5) == 0 { End::Stop } else { End::Kill };
        let length = plan.life.min(left);
        lives.live(end, |host| samples.extend(observe(host, begun, life, length)));
        println!("{:>5.0} s  {}", begun.elapsed().as_secs_f64(), lives.ledger.tally);
    }
    lives.settle();
    println!("{}; {}", lives.lived, lives.ledger.tally);
    // What is kept grows until the first that have ended go.
    Trend::of(samples, KEPT + BETWEEN_SAMPLES * 3)
}

/// Probes a host for so long, and takes samples.
fn observe(host: &Host, begun: Instant, life: u32, length: Duration) -> Vec<Sample> {
    let end = Instant::now() + length;
    let mut next = Instant::now() + BETWEEN_SAMPLES;
    let (mut samples, mut latencies) = (Vec::new(), Vec::new());
    while Instant::now() < end {
        latencies.push(probe(host));
        if Instant::now() >= next {
            samples.push(Sample::take(host, begun.elapsed(), life, std::mem::take(&mut latencies)));
            next += BETWEEN_SAMPLES;
        }
        std::thread::sleep(BETWEEN_PROBES);
    }
    samples
}

/// How long it takes from an event until its client is told that the instance has completed.
fn probe(host: &Host) -> Duration {
    let id = host.start("W", "");
    let begun = Instant::now();
    let answer = host.post(&format!("{BASE}/instances/{id}/raiseEvent/go?wait=30"), "7");
    let took = begun.elapsed();
    assert_eq!(answer.json()["runtimeStatus"], "Completed", "{answer:?}");
    took
}
