//! What the instances of one orchestrator take of the host together, so that one that floods leaves room for the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fermata_replay::{Timestamp, fold_name};

use super::lock;
use crate::budget::Budget;
use crate::limits::{HostLimits, Limit, Rate};

/// The shares of all orchestrators; there are as many as names in modules.
pub struct Shares {
    of: Mutex<HashMap<String, Arc<Share>>>,
    /// Unread messages of all, bytes.
    backlog: Arc<AtomicUsize>,
    /// Writes on their way to the disk. Where it is spent nothing more is admitted, and who makes turns waits.
    pub writes: Budget,
    limits: Arc<HostLimits>,
}

/// The share of one orchestrator.
pub struct Share {
    pub limits: Arc<HostLimits>,
    /// Unread messages of its instances that wait in memory, bytes.
    unread: AtomicUsize,
    backlog: Arc<AtomicUsize>,
    writes: Budget,
    /// Instances that have not ended. Right where they are limited, for then they were counted when the host started.
    live: AtomicU64,
    /// Guests that were stopped in the middle of a step.
    interrupted: AtomicUsize,
    log: Mutex<LogRate>,
    bulk: Mutex<Bulk>,
    /// When one of its instances last had a turn.
    active: AtomicI64,
}

/// A turn that writes more than this at once, in rows or in bytes, holds up others.
const BULK: usize = 1_000;
const BULK_BYTES: usize = 256 << 10;
/// So many bytes take as long as a row.
const ROW_BYTES: usize = 2 << 10;
/// Who had a turn within this is at work, microseconds.
const ACTIVE: i64 = 1_000_000;
/// No turn is put off for longer at once.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// With so many guests stopped in the middle of a step an orchestrator has its further turns when others have none.
const MANY_INTERRUPTED: usize = 4;

impl Shares {
    pub fn new(limits: HostLimits) -> Shares {
        let writes = Budget::new(limits.backlog_bytes);
        Shares { of: Mutex::default(), backlog: Arc::default(), writes, limits: Arc::new(limits) }
    }

    pub fn of(&self, orchestrator: &str) -> Arc<Share> {
        let mut shares = lock(&self.of);
        let new = || {
            Arc::new(Share {
                limits: self.limits.clone(),
                unread: AtomicUsize::new(0),
                backlog: self.backlog.clone(),
                writes: self.writes.clone(),
                live: AtomicU64::new(0),
                interrupted: AtomicUsize::new(0),
                log: Mutex::default(),
                bulk: Mutex::default(),
                active: AtomicI64::new(i64::MIN),
            })
        };
        shares.entry(fold_name(orchestrator)).or_insert_with(new).clone()
    }

    /// How long an instance has to wait for its next turn, because this orchestrator has written much at once and others are at work.
    pub fn pause(&self, share: &Arc<Share>, now: Timestamp) -> Option<Duration> {
        let owed = lock(&share.bulk).pause(Instant::now(), self.limits.bulk_writes);
        let pause = owed.filter(|_| self.others_are_at_work(share, now)).map(|pause| pause.min(LONGEST_PAUSE));
        if pause.is_none() {
            // Who waits is not at work: two that have written much do not wait for each other.
            share.active.store(now.0, Ordering::Relaxed);
        }
        pause
    }

    fn others_are_at_work(&self, share: &Arc<Share>, now: Timestamp) -> bool {
        let is_at_work = |other: &Arc<Share>| other.active.load(Ordering::Relaxed) >= now.0.saturating_sub(ACTIVE);
        lock(&self.of).values().any(|other| !Arc::ptr_eq(share, other) && is_at_work(other))
    }

    /// Unread messages of all that wait in memory, bytes.
    pub fn backlog(&self) -> usize {
        self.backlog.load(Ordering::Relaxed)
    }
}

impl Share {
    pub fn add_unread(&self, bytes: usize) {
        self.unread.fetch_add(bytes, Ordering::Relaxed);
        self.backlog.fetch_add(bytes, Ordering::Relaxed);
    }

    pub fn remove_unread(&self, bytes: usize) {
        self.unread.fetch_sub(bytes, Ordering::Relaxed);
        self.backlog.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The bound that another message would pass, or that the disk holds up.
    pub fn full(&self) -> Option<Limit> {
        if self.unread.load(Ordering::Relaxed) >= self.limits.orchestrator_inbox_bytes {
            return Some(Limit::OrchestratorInbox);
        }
        if self.backlog.load(Ordering::Relaxed) >= self.limits.backlog_bytes {
            return Some(Limit::Backlog);
        }
        self.writes.is_spent().then_some(Limit::Writes)
    }

    /// Counts an instance that is about to be started; false, and nothing is counted, where there may be no more.
    pub fn instance_may_begin(&self) -> bool {
        let most = self.limits.orchestrator_instances;
        let one_more = |live| (most == 0 || live < most).then_some(live + 1);
        self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    /// An instance counts from now on, or no more.
    pub fn instance_changed(&self, counted: bool, counts: bool) {
        match (counted, counts) {
            (true, false) => self.instance_ended(),
            (false, true) => self.instance_began(),
            _ => {}
        }
    }

    pub fn instance_began(&self) {
        self.live.fetch_add(1, Ordering::Relaxed);
    }

    pub fn instance_ended(&self) {
        // One that was there before they were counted is not counted off.
        let _ = self.live.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |live| live.checked_sub(1));
    }

    pub fn guest_interrupted(&self) {
        self.interrupted.fetch_add(1, Ordering::Relaxed);
    }

    pub fn guest_goes_on(&self) {
        self.interrupted.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether its guests take so long that others go first.
    pub fn is_slow(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed) >= MANY_INTERRUPTED
    }

    /// Counts what a turn writes. `is_full`: it would have been larger, had it not come to its end.
    pub fn wrote(&self, rows: usize, bytes: usize, is_full: bool) {
        let (is_large, rows) = (is_full || bytes > BULK_BYTES, rows + bytes / ROW_BYTES);
        if is_large || rows > BULK {
            lock(&self.bulk).add(rows, Instant::now(), self.limits.bulk_writes);
        }
    }

    /// Whether a line of log may be written; with how many were not, where that is to be said now.
    pub fn may_log(&self, bytes: usize) -> (bool, u64) {
        lock(&self.log).admit(bytes, &self.limits)
    }
}

/// What turns that wrote much have written and time has not made up for yet.
#[derive(Default)]
struct Bulk {
    owed: f64,
    since: Option<Instant>,
}

impl Bulk {
    fn add(&mut self, rows: usize, now: Instant, rate: Rate) {
        self.owed = self.owed_at(now, rate) + rows as f64;
        self.since = Some(now);
    }

    fn owed_at(&self, now: Instant, rate: Rate) -> f64 {
        let passed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (self.owed - passed.as_secs_f64() * rate.per_second).max(0.0)
    }

    /// None where the next may write.
    fn pause(&self, now: Instant, rate: Rate) -> Option<Duration> {
        let too_much = self.owed_at(now, rate) - f64::from(rate.burst);
        (too_much > 0.0).then(|| Duration::try_from_secs_f64(too_much / rate.per_second).unwrap_or(Duration::MAX))
    }
}

/// Lines written in the second that began then.
#[derive(Default)]
struct LogRate {
    second: Option<Instant>,
    lines: u32,
    bytes: usize,
    dropped: u64,
}

impl LogRate {
    fn admit(&mut self, bytes: usize, limits: &HostLimits) -> (bool, u64) {
        let mut untold = 0;
        if self.second.is_none_or(|second| second.elapsed() >= Duration::from_secs(1)) {
            untold = self.dropped;
            *self = LogRate { second: Some(Instant::now()), ..LogRate::default() };
        }
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        let admitted = self.lines <= limits.log_lines_per_second && self.bytes <= limits.log_bytes_per_second as usize;
        self.dropped += u64::from(!admitted);
        (admitted, untold)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_orchestrator_holds_up_leaves_room_for_others() {
        let limits = HostLimits { orchestrator_inbox_bytes: 10, backlog_bytes: 15, ..HostLimits::default() };
        let shares = Shares::new(limits);
        let (crowded, other) = (shares.of("Crowded"), shares.of("Other"));
        crowded.add_unread(10);
        assert_eq!((shares.of("crowded").full(), other.full()), (Some(Limit::OrchestratorInbox), None));
        other.add_unread(5);
        assert_eq!(other.full(), Some(Limit::Backlog));
        crowded.remove_unread(10);
        assert_eq!((crowded.full(), other.full(), shares.backlog()), (None, None, 5));
        let under_way = shares.writes.hold(15);
        assert_eq!(other.full(), Some(Limit::Writes), "nothing more is taken in than the disk takes");
        drop(under_way);
        assert_eq!(other.full(), None);
    }

    #[test]
    fn who_writes_much_at_once_waits_while_others_are_at_work() {
        let bulk_writes = Rate { per_second: 1.0, burst: 5_000 };
        let shares = Shares::new(HostLimits { bulk_writes, ..HostLimits::default() });
        let (bulky, other) = (shares.of("Bulky"), shares.of("Other"));
        let now = Timestamp(1_000 * ACTIVE);
        (0..100).for_each(|_| bulky.wrote(BULK - BULK_BYTES / ROW_BYTES, BULK_BYTES, false));
        assert_eq!(shares.pause(&other, now), None);
        assert_eq!(shares.pause(&bulky, now), None, "small turns do not count, however many");
        (0..100).for_each(|_| bulky.wrote(20, 0, true));
        bulky.wrote(0, 3_000 * ROW_BYTES, false);
        assert_eq!(shares.pause(&bulky, now), None, "so much may be written at once");
        bulky.wrote(5_000, 0, false);
        assert_eq!(shares.pause(&other, now), None);
        assert_eq!(shares.pause(&bulky, now), Some(LONGEST_PAUSE));
        let later = Timestamp(now.0 + ACTIVE + 1);
        assert_eq!(shares.pause(&bulky, later), None, "nobody else is at work");
        other.wrote(20_000, 0, false);
        assert_eq!(shares.pause(&other, later), Some(LONGEST_PAUSE));
        let long_after = Timestamp(later.0 + ACTIVE + 1);
        assert_eq!([&other, &bulky].map(|share| shares.pause(share, long_after)), [None, Some(LONGEST_PAUSE)]);
        let idle = Timestamp(long_after.0 + ACTIVE + 1);
        assert_eq!(shares.pause(&bulky, idle), None, "who waits does not hold another up");
    }

    #[test]
    fn what_was_written_at_once_is_made_up_for_by_time() {
        let (rate, begun) = (Rate { per_second: 100.0, burst: 1_000 }, Instant::now());
        let mut bulk = Bulk::default();
        bulk.add(1_500, begun, rate);
        assert_eq!(bulk.pause(begun, rate), Some(Duration::from_secs(5)));
        let later = begun + Duration::from_secs(3);
        assert_eq!(bulk.pause(later, rate), Some(Duration::from_secs(2)));
        bulk.add(100, later, rate);
        assert_eq!(bulk.pause(later, rate), Some(Duration::from_secs(3)));
        assert_eq!(bulk.pause(begun + Duration::from_secs(60), rate), None);
    }

    #[test]
    fn a_log_has_so_many_lines_and_bytes_in_a_second() {
        let limits = HostLimits { log_lines_per_second: 2, log_bytes_per_second: 100, ..HostLimits::default() };
        let mut rate = LogRate::default();
        assert_eq!([1, 1, 1].map(|bytes| rate.admit(bytes, &limits)), [(true, 0), (true, 0), (false, 0)]);
        rate.second = rate.second.and_then(|second| second.checked_sub(Duration::from_secs(1)));
        assert_eq!([90, 20].map(|bytes| rate.admit(bytes, &limits)), [(true, 1), (false, 0)]);
    }

    #[test]
    fn instances_are_counted_where_they_are_limited() {
        let share = Shares::new(HostLimits { orchestrator_instances: 1, ..HostLimits::default() }).of("A");
        share.instance_ended();
        assert!(share.instance_may_begin());
        assert!(!share.instance_may_begin(), "one is enough");
        share.instance_changed(true, false);
        assert!(share.instance_may_begin());
        let share = Shares::new(HostLimits::default()).of("A");
        assert!((0..3).all(|_| share.instance_may_begin()));
    }
}
