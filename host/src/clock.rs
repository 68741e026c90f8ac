//! Where the time of day comes from, for all that is recorded or decided by it.

use std::time::{SystemTime, UNIX_EPOCH};

use fermata_replay::Timestamp;

/// Where the host gets its time from; tests hand in one they can move.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}
