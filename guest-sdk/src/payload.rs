//! Payloads: from values to JSON text and back.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How much of a payload an error message shows.
const SHOWN_BYTES: usize = 200;

/// JSON that does not fit the type it was asked for as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayloadMismatch {
    /// Whose payload it is, such as ``event `Approval` `` or ``result of activity `IssuePermit` ``.
    pub subject: String,
    /// The Rust type that was asked for.
    pub expected: String,
    /// The JSON that arrived; only its beginning where it is long.
    pub found: String,
    /// What serde says about it.
    pub reason: String,
}

impl PayloadMismatch {
    pub(crate) const ERROR_TYPE: &'static str = "PayloadMismatch";
}

impl fmt::Display for PayloadMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, expected, found, reason } = self;
        write!(f, "the {subject} does not fit the type {expected}: {reason}; it is {found}")
    }
}

impl std::error::Error for PayloadMismatch {}

/// Writes a value as JSON text.
pub(crate) fn encode(value: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(value).map_err(Error::from)
}

/// Reads a value from JSON text; `subject` names the payload, for the error.
pub(crate) fn decode<T: DeserializeOwned>(json: &str, subject: impl FnOnce() -> String) -> Result<T> {
    parse(json).or_else(|error| {
        parse_quoted(json).ok_or_else(|| {
            Error::Payload(Box::new(PayloadMismatch {
                subject: subject(),
                expected: short_type_name::<T>(),
                found: shortened(json),
                reason: error.to_string(),
            }))
        })
    })
}

fn parse<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    // The host has bounded the depth already.
    deserializer.disable_recursion_limit();
    let value = T::deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// The courtesy to clients that send `"true"` for `true`: the JSON inside a JSON string. The host has not bounded the
/// depth in there, so serde_json's own limit does.
fn parse_quoted<T: DeserializeOwned>(json: &str) -> Option<T> {
    if !json.trim_start().starts_with('"') {
        return None;
    }
    let inner: String = serde_json::from_str(json).ok()?;
    serde_json::from_str(&inner).ok()
}

fn shortened(json: &str) -> String {
    if json.len() <= SHOWN_BYTES {
        return json.to_owned();
    }
    format!("{}… ({} bytes)", &json[..json.floor_char_boundary(SHOWN_BYTES)], json.len())
}

/// The name of a type without the paths: `Option<Permit>` for `core::option::Option<permits::Permit>`.
pub(crate) fn short_type_name<T: ?Sized>() -> String {
    let full = std::any::type_name::<T>();
    let mut short = String::new();
    let mut rest = full;
    while let Some(end) = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
        let (path, after) = rest.split_at(end);
        short.push_str(last_segment(path));
        let separator = after.chars().next().map_or(0, char::len_utf8);
        short.push_str(&after[..separator]);
        rest = &after[separator..];
    }
    short.push_str(last_segment(rest));
    short
}

fn last_segment(path: &str) -> &str {
    path.rsplit("::").next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::de::IgnoredAny;
    use serde_json::Value;

    use super::*;

    fn read<T: DeserializeOwned>(json: &str) -> Result<T> {
        decode(json, || "event `Approval`".to_owned())
    }

    #[test]
    fn json_inside_a_string_is_read_where_the_string_does_not_fit() {
        assert!(read::<bool>(r#""true""#).unwrap());
        assert_eq!(read::<i32>(r#" "-7" "#).unwrap(), -7);
        assert_eq!(read::<String>(r#""true""#).unwrap(), "true");
        assert_eq!(read::<Value>(r#""true""#).unwrap(), Value::String("true".to_owned()));
        assert!(read::<bool>(r#""\"true\"""#).is_err(), "one level of quotes, no more");
    }

    #[test]
    fn a_mismatch_says_what_was_expected_and_what_came() {
        let error = read::<Option<HashMap<String, bool>>>("[1]").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the event `Approval` does not fit the type Option<HashMap<String, bool>>: \
             invalid type: sequence, expected a map at line 1 column 0; it is [1]"
        );
        assert_eq!(error.error_type(), "PayloadMismatch");
        assert_eq!(error.into_failure().kind, "payload");
    }

    #[test]
    fn a_long_payload_is_shown_in_part() {
        let json = format!("[{}]", "\"é\",".repeat(200));
        let Error::Payload(mismatch) = read::<bool>(&json).unwrap_err() else { panic!("a payload mismatch") };
        assert!(mismatch.found.len() < 240 && mismatch.found.ends_with("bytes)"), "{}", mismatch.found);
    }

    #[test]
    fn the_deepest_payload_of_the_host_is_read() {
        let json = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert!(read::<Value>(&json).is_ok());
        assert!(read::<IgnoredAny>(&json).is_ok());
        let hidden = serde_json::to_string(&"[".repeat(100_000)).unwrap();
        assert!(read::<Vec<Value>>(&hidden).is_err(), "what a string hides is bounded as well");
    }

    #[test]
    fn trailing_text_does_not_pass() {
        assert!(read::<bool>("true false").is_err());
    }
}
