//! Callback URLs: whoever has one may raise one event of one instance, until it expires, and needs no key for it.
//!
//! - [`secret`]: what they are signed with, and where it is kept
//!
//! ```text
//! https://fermata.example.org/callbacks/order-7/Approval?run=1f&nonce=77c3…&expires=1767830401&signature=0d1c…
//! ```
//!
//! The signature, an HMAC-SHA256 (RFC 2104), covers all that the URL is good for, and not the address: a host that moves knows its URLs
//! still. Nothing is kept of a URL that was made; it is checked without a look at any instance.

mod secret;

use std::collections::HashSet;
use std::io;
use std::path::Path;

use fermata_replay::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::url::encode;
pub use secret::FILE;
use secret::{Secret, SecretFile};

/// Where callback URLs lie.
pub const PATH: &str = "/callbacks";

/// What stands in front of a signature.
const SIGNATURE: &str = "&signature=";
const SIGNATURE_DIGITS: usize = 64;

/// Signed with the rest: a signature of another version of this, or for another purpose, is none here.
const PURPOSE: &str = "fermata callback 1";

const MICROS: i64 = 1_000_000;

/// What a callback URL is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Callback<'a> {
    pub instance: &'a str,
    /// The instance's key, which tells it from those that have its id later.
    pub run: u64,
    /// As the orchestrator spells it.
    pub event: &'a str,
    /// Tells URLs apart that are good for the same.
    pub nonce: u64,
    pub expires: Expiry,
}

/// From when on a URL is good for nothing: seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry(pub i64);

/// Makes callback URLs, and knows its own again.
pub struct Callbacks {
    secret: SecretFile,
    /// Scheme and authority that they lead to.
    origin: String,
}

impl Expiry {
    /// No sooner than at this instant.
    pub fn at(instant: Timestamp) -> Expiry {
        Expiry(instant.0.div_euclid(MICROS) + i64::from(instant.0.rem_euclid(MICROS) != 0))
    }

    pub fn instant(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(MICROS))
    }

    pub fn has_passed(self, now: Timestamp) -> bool {
        self.instant() <= now
    }
}

impl Callbacks {
    /// Their secret is in the directory `data`, or will be once it is needed.
    pub fn new(data: &Path, origin: impl Into<String>) -> Callbacks {
        Callbacks { secret: SecretFile::new(data), origin: origin.into() }
    }

    /// The URL that is good for this. What it is signed with is on disk on return.
    pub fn url(&self, callback: &Callback<'_>) -> io::Result<String> {
        let Callback { instance, run, event, nonce, expires: Expiry(expires) } = callback;
        let signature = callback.signature(&self.secret.to_sign_with()?);
        let (instance, event) = (encode(instance), encode(event));
        let query = format_args!("run={run:x}&nonce={nonce:016x}&expires={expires}{SIGNATURE}{signature}");
        Ok(format!("{}{PATH}/{instance}/{event}?{query}", self.origin))
    }

    /// Whether a signature is one of ours, for just this. Whether it has expired is for the caller to see.
    pub fn has_signed(&self, callback: &Callback<'_>, signature: &str) -> bool {
        match self.secret.read() {
            Ok(Some(secret)) => callback.signature(&secret).as_bytes().ct_eq(signature.as_bytes()).into(),
            Ok(None) => false,
            Err(error) => {
                tracing::error!("no callback URL is accepted any more: {error}");
                false
            }
        }
    }
}

impl Callback<'_> {
    /// In hexadecimal digits. Each text is signed with its length in front, so that no two callbacks are the same bytes.
    fn signature(&self, secret: &Secret) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("a key may have any length");
        for text in [PURPOSE, self.instance, self.event] {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        for number in [self.run, self.nonce, self.expires.0.cast_unsigned()] {
            mac.update(&number.to_be_bytes());
        }
        hex::encode(mac.finalize().into_bytes())
    }
}

/// A text that is to leave the host, without the signatures of the callback URLs in it: their digits become zeros wherever they stand, on
/// their own too, so that what was equal stays equal.
pub fn without_signatures(text: String) -> String {
    let signatures: HashSet<&str> =
        text.match_indices(SIGNATURE).filter_map(|(at, _)| signature_at(&text, at)).collect();
    if signatures.is_empty() {
        return text;
    }
    let zeros = "0".repeat(SIGNATURE_DIGITS);
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let blank = |piece| {
        let (digits, rest) = str::split_at(piece, piece.find(|c| !is_digit(c)).unwrap_or(piece.len()));
        [if signatures.contains(digits) { &zeros } else { digits }, rest]
    };
    text.split_inclusive(|c| !is_digit(c)).flat_map(blank).collect()
}

/// The digits behind [`SIGNATURE`], which is here in the text, where it stands in a callback URL.
fn signature_at(text: &str, at: usize) -> Option<&str> {
    let before = text[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
    let digits = text[at + SIGNATURE.len()..].get(..SIGNATURE_DIGITS)?;
    (before.ends_with("expires=") && digits.bytes().all(|b| b.is_ascii_hexdigit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLBACK: Callback<'_> =
        Callback { instance: "order-7", run: 31, event: "Approval", nonce: 7, expires: Expiry(100) };

    fn callbacks() -> (tempfile::TempDir, Callbacks) {
        let data = tempfile::tempdir().unwrap();
        let callbacks = Callbacks::new(data.path(), "https://f.example");
        (data, callbacks)
    }

    fn signature(url: &str) -> &str {
        url.split_once(SIGNATURE).expect("a URL is signed").1
    }

    #[test]
    fn a_url_says_what_it_is_good_for() {
        let (_data, callbacks) = callbacks();
        let url = callbacks.url(&CALLBACK).unwrap();
        assert!(
            url.starts_with(
                "https://f.example/callbacks/order-7/Approval?run=1f&nonce=0000000000000007&expires=100&signature="
            ),
            "{url}"
        );
        assert!(callbacks.has_signed(&CALLBACK, signature(&url)));
        let strange = Callback { instance: "a b&code=c", event: "Ä/?#", ..CALLBACK };
        let url = callbacks.url(&strange).unwrap();
        assert!(url.starts_with("https://f.example/callbacks/a%20b%26code%3Dc/%C3%84%2F%3F%23?run=1f&"), "{url}");
    }

    /// Computed with another implementation: what was signed by an older host must be known for ever.
    #[test]
    fn the_signature_stays_what_it_is() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join(secret::FILE), "00".repeat(31) + "01\n").unwrap();
        let url = Callbacks::new(data.path(), "").url(&CALLBACK).unwrap();
        assert_eq!(signature(&url), "0f78a88b7957bc4f451293b4f9fc3cf324a3a300d86d606ffc2970039ea6f7cf");
    }

    #[test]
    fn a_signature_is_for_one_thing_alone() {
        let (_data, callbacks) = callbacks();
        let url = callbacks.url(&CALLBACK).unwrap();
        let signature = signature(&url);
        for other in [
            Callback { instance: "order-8", ..CALLBACK },
            Callback { instance: "order-7A", event: "pproval", ..CALLBACK },
            Callback { instance: "order-", event: "7Approval", ..CALLBACK },
            Callback { instance: "", event: "order-7Approval", ..CALLBACK },
            Callback { run: 32, ..CALLBACK },
            Callback { event: "approval", ..CALLBACK },
            Callback { event: "Refusal", ..CALLBACK },
            Callback { nonce: 8, ..CALLBACK },
            Callback { nonce: 31, run: 7, ..CALLBACK },
            Callback { expires: Expiry(101), ..CALLBACK },
            Callback { run: 100, expires: Expiry(31), ..CALLBACK },
        ] {
            assert!(!callbacks.has_signed(&other, signature), "{other:?}");
        }
        for place in 0..signature.len() {
            let mut other = signature.to_owned();
            let digit = if &other[place..=place] == "0" { "1" } else { "0" };
            other.replace_range(place..=place, digit);
            assert!(!callbacks.has_signed(&CALLBACK, &other), "{other}");
        }
        for other in ["", "0", &signature[1..], &signature.to_uppercase(), &format!("{signature}0")] {
            assert!(!callbacks.has_signed(&CALLBACK, other), "{other}");
        }
    }

    #[test]
    fn another_host_knows_none_of_them_and_one_that_moved_knows_all() {
        let (data, callbacks) = callbacks();
        let url = callbacks.url(&CALLBACK).unwrap();
        assert!(Callbacks::new(data.path(), "http://elsewhere").has_signed(&CALLBACK, signature(&url)));
        let (_other_data, other) = self::callbacks();
        assert!(!other.has_signed(&CALLBACK, signature(&url)), "it never had a secret");
        other.url(&CALLBACK).unwrap();
        assert!(!other.has_signed(&CALLBACK, signature(&url)), "its secret is another");
    }

    #[test]
    fn an_expiry_is_a_full_second_no_sooner_than_asked_for() {
        for (micros, seconds) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2), (-1, 0), (-1_000_000, -1)] {
            assert_eq!(Expiry::at(Timestamp(micros)), Expiry(seconds), "{micros}");
        }
        let second = Expiry(2);
        assert!(!second.has_passed(Timestamp(1_999_999)) && second.has_passed(Timestamp(2_000_000)));
        let (first, last) = (Timestamp(i64::MIN), Timestamp(i64::MAX));
        assert!(Expiry::at(first).has_passed(Timestamp(0)) && Expiry(i64::MIN).has_passed(Timestamp(0)));
        assert!(!Expiry::at(last).has_passed(Timestamp(0)) && !Expiry(i64::MAX).has_passed(Timestamp(0)));
    }

    #[test]
    fn texts_lose_signatures_and_nothing_else() {
        let (_data, callbacks) = callbacks();
        let url = callbacks.url(&CALLBACK).unwrap();
        let signature = signature(&url);
        let text =
            format!("{{\"url\":\"{url}\",\"alone\":\"{signature}\",\"digest\":\"{}\",\"ä\":\"f00\"}}", "ab".repeat(32));
        assert_eq!(without_signatures(text.clone()), text.replace(signature, &"0".repeat(64)));
        for other in [
            "no URL".to_owned(),
            format!("https://other.example/?signature={signature}"),
            format!("https://other.example/?expires=soon&signature={signature}"),
            format!("?expires=1&signature={}", &signature[1..]),
            "?expires=1&signature=ä".into(),
        ] {
            assert_eq!(without_signatures(other.clone()), other);
        }
    }
}
