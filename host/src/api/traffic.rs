//! How much may be asked: with each key, from each address where no key is needed, and how often a key may be wrong.

use std::time::Instant;

use super::access::Caller;
use super::clients::Client;
use super::error::ApiError;
use super::rate::Buckets;
use crate::limits::{HttpLimits, Rate};

/// Shared by all addresses that the host listens on. A client is none where it is not counted.
pub struct Traffic {
    of_keys: Option<Rate>,
    of_addresses: Option<Rate>,
    of_wrong_keys: Rate,
    keys: Buckets<String>,
    addresses: Buckets<Client>,
    wrong_keys: Buckets<Client>,
}

impl Traffic {
    pub fn new(limits: &HttpLimits) -> Traffic {
        Traffic {
            of_keys: limits.key_rate,
            of_addresses: limits.address_rate,
            of_wrong_keys: limits.wrong_keys,
            keys: Buckets::default(),
            addresses: Buckets::default(),
            wrong_keys: Buckets::default(),
        }
    }

    /// Whether a key that this client sends is looked at at all: who guesses may do so slowly.
    pub fn may_send_key(&self, client: Option<Client>, now: Instant) -> Result<(), ApiError> {
        let Some(client) = client else { return Ok(()) };
        self.wrong_keys.look(&client, self.of_wrong_keys, now).map_err(ApiError::too_many_wrong_keys)
    }

    /// Counts a request, whoever it is from, let in or not; an error where it is one too many.
    pub fn count(
        &self,
        client: Option<Client>,
        admitted: Result<&Caller, &ApiError>,
        now: Instant,
    ) -> Result<(), ApiError> {
        match (admitted, client) {
            (Ok(Caller::Holder { key, .. }), _) => match key.rate.map(Rate::per_second).or(self.of_keys) {
                Some(rate) => self
                    .keys
                    .take(key.name.clone(), rate, now)
                    .map_err(|wait| ApiError::key_asks_too_much(key, rate, wait)),
                None => Ok(()),
            },
            (_, None) => Ok(()),
            (admitted, Some(client)) => {
                if admitted.is_err_and(ApiError::is_wrong_key) {
                    // Whether there was a token left was looked at before.
                    let _ = self.wrong_keys.take(client, self.of_wrong_keys, now);
                }
                let Some(rate) = self.of_addresses else { return Ok(()) };
                self.addresses.take(client, rate, now).map_err(|wait| ApiError::address_asks_too_much(rate, wait))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::keys::{Key, Scope};

    fn client(address: &str) -> Option<Client> {
        Some(Client::of(address.parse().unwrap()))
    }

    fn holder(name: &str, rate: Option<u32>) -> Caller {
        let (mut key, secret) = Key::new(name.into(), vec![Scope::Read], vec![], None);
        key.rate = rate.and_then(NonZeroU32::new);
        Caller::Holder { key: Arc::new(key), secret }
    }

    fn traffic() -> Traffic {
        let rate = |per_second, burst| Rate { per_second, burst };
        let limits = HttpLimits {
            key_rate: Some(rate(1.0, 2)),
            address_rate: Some(rate(1.0, 5)),
            wrong_keys: rate(0.1, 3),
            ..HttpLimits::default()
        };
        Traffic::new(&limits)
    }

    #[test]
    fn each_key_has_its_own_rate_wherever_it_is_used() {
        let (traffic, now) = (traffic(), Instant::now());
        let (slow, quick) = (holder("slow", None), holder("quick", Some(4)));
        let count = |caller, from| traffic.count(client(from), Ok(caller), now).map_err(|refusal| refusal.code);
        assert_eq!(count(&slow, "203.0.113.1"), Ok(()));
        assert_eq!(count(&slow, "203.0.113.2"), Ok(()));
        assert_eq!(count(&slow, "203.0.113.3"), Err("key-asks-too-much"));
        for _ in 0..4 {
            assert_eq!(count(&quick, "203.0.113.1"), Ok(()), "a key's own rate goes before that of all");
        }
        let refused = traffic.count(None, Ok(&quick), now).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.retry_after), (429, Some(1)));
        assert_eq!(traffic.count(None, Ok(&slow), now + Duration::from_secs(1)), Ok(()));
    }

    #[test]
    fn without_a_key_it_is_the_address_that_counts() {
        let (traffic, now) = (traffic(), Instant::now());
        let count = |from| traffic.count(from, Ok(&Caller::Anybody), now).map_err(|refusal| refusal.code);
        for host in 0..5 {
            assert_eq!(count(client(&format!("2001:db8::{host}"))), Ok(()));
        }
        assert_eq!(count(client("2001:db8::6")), Err("address-asks-too-much"));
        assert_eq!(count(client("2001:db8:0:1::6")), Ok(()));
        assert!((0..100).all(|_| count(None).is_ok()), "who is not counted");
    }

    #[test]
    fn of_a_thousand_guesses_few_are_looked_at() {
        let (traffic, now) = (traffic(), Instant::now());
        let guess = |from, now| {
            traffic.may_send_key(from, now)?;
            let _ = traffic.count(from, Err(&ApiError::wrong_key()), now);
            Ok::<_, ApiError>(())
        };
        let looked_at = (0..1_000).filter(|_| guess(client("203.0.113.1"), now).is_ok()).count();
        assert_eq!(looked_at, 3);
        let refused = guess(client("203.0.113.1"), now).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), ("too-many-wrong-keys", Some(10)));
        assert!(guess(client("203.0.113.2"), now).is_ok(), "nobody else is concerned");
        assert!(guess(client("203.0.113.1"), now + Duration::from_secs(10)).is_ok());
        assert!((0..1_000).all(|_| guess(None, now).is_ok()));
        let no_key = (0..10).map(|_| traffic.count(client("203.0.113.9"), Err(&ApiError::no_key()), now));
        assert_eq!(no_key.filter(Result::is_ok).count(), 5);
        assert_eq!(traffic.may_send_key(client("203.0.113.9"), now), Ok(()), "none is not a wrong one");
    }
}
