//! A clock that stands still until it is moved.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fermata::clock::Clock;
use fermata_replay::{Span, Timestamp};

use super::fate::{BEGIN, lock};

#[derive(Clone)]
pub struct HandClock(Arc<Mutex<Times>>);

struct Times {
    /// Can be set.
    wall: Time,
    /// Only passes.
    steady: Time,
    sleepers: u64,
}

/// In microseconds, with those who sleep until some instant, in the order in which they are woken.
struct Time {
    now: i64,
    asleep: BTreeMap<(i64, u64), Waker>,
}

impl Time {
    fn at(now: i64) -> Time {
        Time { now, asleep: BTreeMap::new() }
    }

    fn move_by(&mut self, span: i64) -> Vec<Waker> {
        self.now += span;
        let later = self.asleep.split_off(&(self.now + 1, 0));
        std::mem::replace(&mut self.asleep, later).into_values().collect()
    }
}

impl HandClock {
    pub fn new() -> HandClock {
        HandClock(Arc::new(Mutex::new(Times { wall: Time::at(BEGIN.0), steady: Time::at(0), sleepers: 0 })))
    }

    /// Time passes.
    pub fn pass(&self, span: i64) {
        let wakers = {
            let mut times = lock(&self.0);
            let mut wakers = times.steady.move_by(span);
            wakers.extend(times.wall.move_by(span));
            wakers
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// It is set, forward or back.
    pub fn jump(&self, span: i64) {
        let wakers = lock(&self.0).wall.move_by(span);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// How long the first of those sleeps who wait for time to pass.
    pub fn next_pause(&self) -> Option<i64> {
        let times = lock(&self.0);
        times.steady.asleep.first_key_value().map(|((until, _), _)| until - times.steady.now)
    }

    /// `until` a microsecond of one of the two.
    fn sleep(&self, which: fn(&mut Times) -> &mut Time, until: impl FnOnce(&Times) -> i64) -> Sleep {
        let mut times = lock(&self.0);
        times.sleepers += 1;
        Sleep { clock: self.clone(), which, place: (until(&times), times.sleepers) }
    }
}

struct Sleep {
    clock: HandClock,
    which: fn(&mut Times) -> &mut Time,
    place: (i64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut times = lock(&self.clock.0);
        let time = (self.which)(&mut times);
        if time.now >= self.place.0 {
            return Poll::Ready(());
        }
        time.asleep.insert(self.place, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let mut times = lock(&self.clock.0);
        (self.which)(&mut times).asleep.remove(&self.place);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(lock(&self.0).wall.now)
    }

    fn sleep_until(&self, at: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.sleep(|times| &mut times.wall, |_| at.0))
    }

    fn pause(&self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.sleep(|times| &mut times.steady, |times| times.steady.now + span.as_micros() as i64))
    }

    fn skip(&self, span: Span) -> bool {
        self.jump(span.0 as i64);
        true
    }
}
