//! Latencies, kept to three digits.

use std::time::Duration;

use hdrhistogram::Histogram;

pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Latencies {
        Latencies(Histogram::new(3).expect("three digits are possible"))
    }

    pub fn record(&mut self, latency: Duration) {
        self.0.record(latency.as_nanos() as u64).expect("the histogram grows");
    }

    /// Milliseconds.
    pub fn percentile(&self, percentile: f64) -> f64 {
        self.0.value_at_percentile(percentile) as f64 / 1e6
    }

    pub fn median(&self) -> f64 {
        self.percentile(50.0)
    }
}
