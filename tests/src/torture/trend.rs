//! Whether a host stays as it was: the first third of the samples beside the last.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use super::sample::Sample;

#[derive(Debug, Serialize)]
pub struct Trend {
    samples: Vec<Sample>,
    /// How many of them, from the first on, do not count: what is kept still grew.
    warming: usize,
    /// The straight line through what is in memory, MiB an hour.
    resident_slope: f64,
    rows: Vec<Row>,
}

/// One measure; the median of each third.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    first: f64,
    last: f64,
    /// Up to which the last counts as no growth.
    bound: f64,
}

const MIB: f64 = 1_048_576.0;

/// Name, value, and how much it may grow: a part of it, and so much besides.
type Measure = (&'static str, fn(&Sample) -> f64, f64, f64);

/// Other programs disturb times more than sizes.
const MEASURES: [Measure; 7] = [
    ("memory, MiB", |sample| sample.resident as f64 / MIB, 0.1, 2.0),
    ("file descriptors", |sample| sample.descriptors as f64, 0.1, 4.0),
    ("threads", |sample| sample.threads as f64, 0.1, 2.0),
    ("database, MiB", |sample| sample.database as f64 / MIB, 0.1, 4.0),
    // SQLite's log grows to 64 MiB after each start, and a sample finds it anywhere on the way.
    ("logs, MiB", |sample| sample.logs as f64 / MIB, 0.1, 72.0),
    ("event to completed, p50, ms", |sample| sample.p50 as f64 / 1e3, 0.25, 0.5),
    ("event to completed, p99, ms", |sample| sample.p99 as f64 / 1e3, 0.25, 2.0),
];

impl Trend {
    /// Samples from before `warm` do not count.
    pub fn of(samples: Vec<Sample>, warm: Duration) -> Trend {
        let warming = samples.iter().take_while(|sample| sample.at < warm.as_secs_f64()).count();
        let counted = &samples[warming..];
        let third = counted.len() / 3;
        let (first, last) = (&counted[..third], &counted[counted.len() - third..]);
        let rows = MEASURES.iter().filter(|_| third > 0).map(|(what, value, part, more)| {
            let first = median(first.iter().map(value));
            Row { what, first, last: median(last.iter().map(value)), bound: first * (1.0 + part) + more }
        });
        let rows = rows.collect();
        let resident_slope = slope(counted.iter().map(|sample| (sample.at / 3600.0, sample.resident as f64 / MIB)));
        Trend { warming, resident_slope, rows, samples }
    }

    /// Whether there was enough to see, and nothing grows.
    pub fn is_flat(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(Row::is_flat)
    }
}

impl Row {
    fn is_flat(&self) -> bool {
        self.last <= self.bound
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Of the line with the least squares.
fn slope(points: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = points.clone().count() as f64;
    let (x, y) = points.clone().fold((0.0, 0.0), |(x, y), point| (x + point.0 / count, y + point.1 / count));
    let (up, across) = points.fold((0.0, 0.0), |(up, across), point| {
        (up + (point.0 - x) * (point.1 - y), across + (point.0 - x) * (point.0 - x))
    });
    if across == 0.0 { 0.0 } else { up / across }
}

impl Display for Trend {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| median | first third | last third | at most | |")?;
        writeln!(f, "|---|---|---|---|---|")?;
        for row in &self.rows {
            let Row { what, first, last, bound } = row;
            let verdict = if row.is_flat() { "flat" } else { "GROWS" };
            writeln!(f, "| {what} | {first:.1} | {last:.1} | {bound:.1} | {verdict} |")?;
        }
        let counted = self.samples.len() - self.warming;
        let verdict = match (self.rows.is_empty(), self.is_flat()) {
            (true, _) => "too short to tell",
            (false, true) => "flat",
            (false, false) => "NOT FLAT",
        };
        writeln!(f, "\n{counted} samples; memory: {:+.1} MiB an hour; verdict: {verdict}", self.resident_slope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes of a host whose memory grows by so many bytes a second.
    fn trend(growth: u64) -> Trend {
        let sample = |at: u64| Sample {
            at: at as f64,
            life: 1,
            resident: (64 << 20) + at * growth,
            descriptors: 30 + at / 10 % 3,
            threads: 12,
            database: 1 << 20,
            logs: 1 << 20,
            p50: 1_000,
            p99: 5_000 + at % 100 * 10,
            probes: 300,
        };
        Trend::of((1..=60).map(|number| sample(number * 10)).collect(), Duration::from_secs(120))
    }

    #[test]
    fn what_grows_is_found_and_what_varies_is_flat() {
        assert!(trend(0).is_flat(), "{}", trend(0));
        let growing = trend(40_000);
        assert!(!growing.is_flat() && growing.to_string().contains("| memory, MiB | "), "{growing}");
        assert!((growing.resident_slope - 40_000.0 * 3_600.0 / MIB).abs() < 0.01, "{growing}");
    }

    #[test]
    fn nothing_is_said_of_what_was_too_short() {
        let short = Trend::of(Vec::new(), Duration::ZERO);
        assert!(!short.is_flat() && short.to_string().contains("too short"));
    }
}
