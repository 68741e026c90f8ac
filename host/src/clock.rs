//! Where the time of day comes from, for all that is recorded or decided by it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fermata_replay::{Span, Timestamp};
use tokio::sync::Notify;

/// Where the host gets its time from; tests hand in one they can move.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// Returns when this instant has come, or earlier where the clock may have been set: who waits looks again.
    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Returns when so much time has passed, wherever the clock is set meanwhile.
    fn pause(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(span))
    }

    /// Moves the clock forward, where it can be moved; false where it can not.
    fn skip(&self, _: Span) -> bool {
        false
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The machine's clock may be set while somebody sleeps, who then has to look again.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let left = Duration::from_micros((at - self.now()).0);
        Box::pin(tokio::time::sleep(left.min(LONGEST_SLEEP)))
    }
}

/// The machine's clock, and as much ahead of it as it has been moved: for trying out what takes days.
#[derive(Debug, Default)]
pub struct SkippingClock {
    ahead: AtomicI64,
    skipped: Notify,
}

impl Clock for SkippingClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0.saturating_add(self.ahead.load(Ordering::Acquire)))
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let skipped = self.skipped.notified();
        let left = Duration::from_micros((at - self.now()).0);
        Box::pin(async move {
            tokio::select! {
                () = tokio::time::sleep(left.min(LONGEST_SLEEP)) => {}
                () = skipped => {}
            }
        })
    }

    fn skip(&self, span: Span) -> bool {
        let further = |ahead: i64| Some(ahead.saturating_add_unsigned(span.0));
        let _ = self.ahead.fetch_update(Ordering::AcqRel, Ordering::Acquire, further);
        self.skipped.notify_waiters();
        true
    }
}
