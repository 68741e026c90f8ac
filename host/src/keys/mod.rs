//! Keys: who may ask what of a host.
//!
//! - [`scope`]: what a key may be good for
//! - [`file`]: where keys are kept, so that they can be made and revoked while the host runs
//!
//! A key is 192 random bits. Only its SHA-256 is kept: whoever reads the file learns no key, and that many bits need no slow hash.

mod file;
mod scope;

use std::num::NonZeroU32;
use std::sync::Arc;

use fermata_replay::Timestamp;
use rand::TryRng as _;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

pub use file::{FILE, KeyFile, Keys, KeysError};
pub use scope::Scope;

use crate::name_pattern::NamePattern;

/// What stands in front of a key, so that people and secret scanners know one when they see it.
const PREFIX: &str = "fermata_";
const RANDOM_BYTES: usize = 24;

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// For people: it is how a key is revoked.
    pub name: String,
    pub scopes: Vec<Scope>,
    /// The orchestrators it is good for; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orchestrators: Vec<NamePattern>,
    /// SHA-256 of the key, in hexadecimal digits.
    hash: String,
    pub created: jiff::Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<jiff::Timestamp>,
    /// Requests a second; none: what the host allows every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<NonZeroU32>,
}

impl Key {
    /// A new key, and the secret that is shown once.
    pub fn new(
        name: String,
        scopes: Vec<Scope>,
        orchestrators: Vec<NamePattern>,
        expires: Option<jiff::Timestamp>,
    ) -> (Key, String) {
        let mut random = [0; RANDOM_BYTES];
        rand::rngs::SysRng.try_fill_bytes(&mut random).expect("the system has random numbers");
        let secret = format!("{PREFIX}{}", hex::encode(random));
        let hash = hash(&secret);
        (Key { name, scopes, orchestrators, hash, created: jiff::Timestamp::now(), expires, rate: None }, secret)
    }

    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// Whether the key is good for an orchestrator.
    pub fn covers(&self, orchestrator: &str) -> bool {
        self.orchestrators.is_empty() || self.orchestrators.iter().any(|pattern| pattern.matches(orchestrator))
    }

    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires.as_microsecond() <= now.0)
    }
}

/// The key that this secret belongs to. How long it takes tells nothing about the keys: every one is compared, to its end.
pub fn find<'a>(keys: &'a [Arc<Key>], secret: &str) -> Option<&'a Arc<Key>> {
    let hash = hash(secret);
    let mut found = u32::MAX;
    for (index, key) in (0..).zip(keys) {
        let same: Choice = key.hash.as_bytes().ct_eq(hash.as_bytes());
        found.conditional_assign(&index, same);
    }
    keys.get(found as usize)
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_finds_its_key_and_no_other_does() {
        let made: Vec<(Key, String)> =
            (0..3).map(|number| Key::new(format!("k{number}"), vec![Scope::Read], vec![], None)).collect();
        let keys: Vec<Arc<Key>> = made.iter().map(|(key, _)| Arc::new(key.clone())).collect();
        for (key, secret) in &made {
            assert_eq!(find(&keys, secret).map(|found| &**found), Some(key));
            assert!(!key.hash.contains(secret.strip_prefix(PREFIX).unwrap()), "only the hash is kept");
            assert_eq!(find(&keys, &secret[1..]), None);
        }
        assert_eq!(find(&keys, ""), None);
        assert_eq!(find(&[], &made[0].1), None);
    }

    #[test]
    fn keys_expire() {
        let (key, _) = Key::new("k".into(), vec![], vec![], Some(jiff::Timestamp::from_microsecond(10).unwrap()));
        assert!(!key.has_expired(Timestamp(9)) && key.has_expired(Timestamp(10)));
    }
}
