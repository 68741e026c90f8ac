//! So much in a second and no more, for each of many: a bucket for each, of which a token is taken each time, and which is filled at an even
//! pace (the generic cell rate algorithm: all there is to a bucket is the moment at which it will be full again).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::Rate;

/// Buckets that are kept at a time. A full one is as good as none.
const BUCKETS: usize = 16_384;

/// So often those that are full again are looked for, where there is no place for another one.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(1);

pub struct Buckets<K> {
    kept: Mutex<Kept<K>>,
}

struct Kept<K> {
    /// When each will be full again.
    full_at: HashMap<K, Instant>,
    /// The bucket that all share who find no place for one of their own.
    common: Option<Instant>,
    swept: Option<Instant>,
}

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Buckets { kept: Mutex::new(Kept { full_at: HashMap::new(), common: None, swept: None }) }
    }
}

impl<K: Hash + Eq> Buckets<K> {
    /// Takes a token; where there is none, the error is how long until there is.
    pub fn take(&self, who: K, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut kept = self.lock();
        let mut full_at = kept.full_at.get(&who).copied();
        let has_place = full_at.is_some() || kept.make_room(now);
        if !has_place {
            full_at = kept.common;
        }
        let full_at = full_at.map_or(now, |full_at| full_at.max(now));
        left(full_at, rate, now)?;
        let full_at = full_at + rate.interval();
        match has_place {
            true => drop(kept.full_at.insert(who, full_at)),
            false => kept.common = Some(full_at),
        }
        Ok(())
    }

    /// Whether there is a token, without taking it.
    pub fn look(&self, who: &K, rate: Rate, now: Instant) -> Result<(), Duration> {
        let kept = self.lock();
        let common = kept.common.filter(|_| kept.full_at.len() >= BUCKETS);
        let full_at = kept.full_at.get(who).copied().or(common);
        full_at.map_or(Ok(()), |full_at| left(full_at.max(now), rate, now))
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Kept<K> {
    /// Whether one more bucket may be kept.
    fn make_room(&mut self, now: Instant) -> bool {
        let may_sweep = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= BETWEEN_SWEEPS);
        if self.full_at.len() >= BUCKETS && may_sweep {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.swept = Some(now);
        }
        self.full_at.len() < BUCKETS
    }
}

fn left(full_at: Instant, rate: Rate, now: Instant) -> Result<(), Duration> {
    let lacking = full_at - now;
    let bearable = rate.interval() * (rate.burst.max(1) - 1);
    if lacking <= bearable { Ok(()) } else { Err(lacking - bearable) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 10.0, burst: 3 };
    const INTERVAL: Duration = Duration::from_millis(100);

    #[test]
    fn a_burst_and_then_an_even_pace() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        let take = |who, now| buckets.take(who, RATE, now);
        for _ in 0..3 {
            assert_eq!(take("a", now), Ok(()));
        }
        assert_eq!(take("a", now), Err(INTERVAL));
        assert_eq!(take("a", now), Err(INTERVAL), "who is refused loses nothing by it");
        assert_eq!(take("b", now), Ok(()), "each has a bucket of its own");
        assert_eq!(buckets.look(&"a", RATE, now + INTERVAL / 2), Err(INTERVAL / 2));
        assert_eq!(take("a", now + INTERVAL), Ok(()));
        assert_eq!(take("a", now + INTERVAL), Err(INTERVAL));
        let later = now + Duration::from_secs(3600);
        for _ in 0..3 {
            assert_eq!(take("a", later), Ok(()));
        }
        assert!(take("a", later).is_err(), "no more than a burst is ever saved");
    }

    #[test]
    fn so_many_buckets_and_no_more() {
        let (buckets, now) = (Buckets::default(), Instant::now());
        for who in 0..BUCKETS {
            buckets.take(who, RATE, now).unwrap();
        }
        let of_newcomers = (0..10).filter(|who| buckets.take(BUCKETS + who, RATE, now).is_ok()).count();
        assert_eq!(of_newcomers, 3, "they share one");
        assert!(buckets.look(&(BUCKETS + 99), RATE, now).is_err(), "who looks sees that one, too");
        assert_eq!(buckets.take(0, RATE, now), Ok(()), "others are not concerned");
        assert_eq!(buckets.lock().full_at.len(), BUCKETS);
        let later = now + BETWEEN_SWEEPS;
        buckets.take(BUCKETS, RATE, later).unwrap();
        assert_eq!(buckets.lock().full_at.len(), 1, "those that are full again have gone");
    }
}
