//! What can be watched of a host, in the text format of Prometheus. Each number is an atomic that is there from the start: to count takes no
//! lock and no memory.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::limits::Limit;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub struct Metrics {
    /// Locked to write all of it out, and for nothing else.
    registry: Mutex<Registry>,
    limit_hits: Vec<Counter>,
    /// Answers over HTTP, by the first digit of their status.
    answers: [Counter; 5],
    pub instances_started: Counter,
    pub messages_accepted: Counter,
    pub turns: Counter,
    pub turns_failed: Counter,
    pub steps_abandoned: Counter,
    pub guests_started: Counter,
    pub guests_evicted: Counter,
    pub activities_begun: Counter,
    pub log_lines_dropped: Counter,
    /// From the moment that a turn is handed to the store to the moment that it is durable.
    pub commit_seconds: Latency,
    gauges: Gauges<Gauge<i64, AtomicI64>>,
}

/// What is so now, not what has been.
#[derive(Clone, Debug, Default)]
pub struct Gauges<G> {
    pub instances_in_memory: G,
    pub resident_guests: G,
    pub interrupted_guests: G,
    pub run_queue: G,
    pub stalled_instances: G,
    pub backlog_bytes: G,
    pub memory_bytes: G,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("fermata");
        let limit_hits = counters(
            &mut registry,
            "limit_hits",
            "How often a limit was passed, by its name in the configuration",
            "limit",
            &Limit::ALL.iter().map(|limit| limit.name()).collect::<Vec<_>>(),
        );
        let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        let answers = counters(&mut registry, "http_answers", "Answers over HTTP", "class", &classes);
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let instances_started = counter("instances_started", "Instances that were created");
        let messages_accepted = counter("messages_accepted", "Messages that got their place: starts, events, outcomes");
        let turns = counter("turns", "Turns that are durable");
        let turns_failed = counter("turns_failed", "Turns that the store did not take");
        let steps_abandoned = counter("steps_abandoned", "Steps that were given up, to be tried again");
        let guests_started = counter("guests_started", "Guests that were made for orchestrators");
        let guests_evicted = counter("guests_evicted", "Resident guests that left to make room");
        let activities_begun = counter("activities_begun", "Attempts at activities");
        let log_lines_dropped = counter("log_lines_dropped", "Lines of guests' logs that were not written");
        let commit_seconds = Latency::default();
        let help = "From the moment that a turn is handed to the store to the moment that it is durable";
        registry.register("turn_commit_seconds", help, commit_seconds.clone());
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let gauges = Gauges {
            instances_in_memory: gauge(
                "instances_in_memory",
                "Instances that have something to do, or a resident guest",
            ),
            resident_guests: gauge("resident_guests", "Blocked guests that are kept in memory"),
            interrupted_guests: gauge(
                "interrupted_guests",
                "Guests stopped in the middle of a step, to let others run",
            ),
            run_queue: gauge("run_queue", "Instances that wait for a thread"),
            stalled_instances: gauge("stalled_instances", "Instances of which a step was given up again and again"),
            backlog_bytes: gauge("backlog_bytes", "Unread messages that wait in memory"),
            memory_bytes: gauge(
                "memory_bytes",
                "Memory of the process that is not shared with a file, when it was last looked at",
            ),
        };
        Metrics {
            registry: Mutex::new(registry),
            limit_hits,
            answers: answers.try_into().expect("one for each class"),
            instances_started,
            messages_accepted,
            turns,
            turns_failed,
            steps_abandoned,
            guests_started,
            guests_evicted,
            activities_begun,
            log_lines_dropped,
            commit_seconds,
            gauges,
        }
    }
}

impl Metrics {
    /// A limit was passed.
    pub fn hit(&self, limit: Limit) {
        self.limit_hits[limit as usize].inc();
    }

    /// How often a limit was passed.
    pub fn hits(&self, limit: Limit) -> u64 {
        self.limit_hits[limit as usize].get()
    }

    /// A request was answered with this status.
    pub fn answered(&self, status: u16) {
        if let Some(counter) = usize::from(status / 100).checked_sub(1).and_then(|class| self.answers.get(class)) {
            counter.inc();
        }
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self, now: Gauges<i64>) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let gauges = &self.gauges;
        gauges.instances_in_memory.set(now.instances_in_memory);
        gauges.resident_guests.set(now.resident_guests);
        gauges.interrupted_guests.set(now.interrupted_guests);
        gauges.run_queue.set(now.run_queue);
        gauges.stalled_instances.set(now.stalled_instances);
        gauges.backlog_bytes.set(now.backlog_bytes);
        gauges.memory_bytes.set(now.memory_bytes);
        let mut text = String::new();
        encode(&mut text, &registry).expect("a String takes what is written to it");
        text
    }
}

/// One counter for each value of a label.
fn counters(
    registry: &mut Registry,
    name: &str,
    help: &str,
    label: &'static str,
    values: &[&'static str],
) -> Vec<Counter> {
    let family =
        LabelledCounters { label, counters: values.iter().map(|value| (*value, Counter::default())).collect() };
    let counters = family.counters.iter().map(|(_, counter)| counter.clone()).collect();
    registry.register(name, help, family);
    counters
}

/// Counters that differ in the value of one label.
#[derive(Debug)]
struct LabelledCounters {
    label: &'static str,
    counters: Vec<(&'static str, Counter)>,
}

impl EncodeMetric for LabelledCounters {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        for (value, counter) in &self.counters {
            counter.encode(encoder.encode_family(&[(self.label, *value)])?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// The bounds of a latency's buckets, microseconds.
const BUCKETS: [u64; 14] =
    [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 512_000, 1_024_000, 8_192_000];

/// How long something takes: a histogram.
#[derive(Clone, Debug, Default)]
pub struct Latency(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// One more than there are bounds: what is longer than all of them.
    buckets: [AtomicU64; BUCKETS.len() + 1],
    micros: AtomicU64,
}

impl Latency {
    pub fn observe(&self, time: Duration) {
        let micros = time.as_micros() as u64;
        let bucket = BUCKETS.partition_point(|bound| *bound < micros);
        self.0.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl EncodeMetric for Latency {
    fn encode(&self, mut encoder: MetricEncoder) -> Result<(), std::fmt::Error> {
        let bounds = BUCKETS.iter().map(|micros| *micros as f64 / 1e6).chain([f64::MAX]);
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = self.0.micros.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.hit(Limit::Fuel);
        metrics.hit(Limit::Fuel);
        metrics.answered(202);
        metrics.turns.inc();
        metrics.commit_seconds.observe(Duration::from_micros(300));
        metrics.commit_seconds.observe(Duration::from_secs(60));
        let text = metrics.text(Gauges { resident_guests: 7, ..Gauges::default() });
        for line in [
            "fermata_limit_hits_total{limit=\"fuel\"} 2",
            "fermata_limit_hits_total{limit=\"stack\"} 0",
            "fermata_http_answers_total{class=\"2xx\"} 1",
            "fermata_turns_total 1",
            "fermata_resident_guests 7",
            "fermata_turn_commit_seconds_bucket{le=\"0.00025\"} 0",
            "fermata_turn_commit_seconds_bucket{le=\"0.0005\"} 1",
            "fermata_turn_commit_seconds_bucket{le=\"+Inf\"} 2",
            "fermata_turn_commit_seconds_sum 60.0003",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }

    #[test]
    fn each_limit_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Limit::ALL.iter().map(|limit| limit.name()).collect();
        assert_eq!(names.len(), Limit::ALL.len());
    }
}
