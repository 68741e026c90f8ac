//! A clock that stands still until it is moved.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};

use fermata::clock::Clock;
use fermata_replay::{Span, Timestamp};
use tokio::sync::watch;

pub struct HandClock {
    now: AtomicI64,
    moved: watch::Sender<()>,
}

impl HandClock {
    pub fn new() -> HandClock {
        HandClock { now: AtomicI64::new(1_700_000_000_000_000), moved: watch::Sender::new(()) }
    }

    pub fn set_back(&self, span: Span) {
        self.now.fetch_sub(span.0 as i64, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut moved = self.moved.subscribe();
        Box::pin(async move {
            let _ = moved.wait_for(|()| self.now() >= at).await;
        })
    }

    fn skip(&self, span: Span) -> bool {
        self.now.fetch_add(span.0 as i64, Ordering::SeqCst);
        self.moved.send_replace(());
        true
    }
}
