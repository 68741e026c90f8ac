use std::fmt;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// How deep arrays and objects may nest in a payload.
pub const MAX_DEPTH: usize = 128;

/// JSON text that passes through byte for byte, surrounding white space aside. Cheap to clone.
#[derive(Clone)]
pub struct Payload(Arc<RawValue>);

/// Why a text is no payload. The message is for the person who sent it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPayload {
    #[error("not valid JSON: {0}")]
    NotJson(String),
    #[error("JSON nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

impl Payload {
    /// Checks that `text` is one JSON value of bearable depth.
    pub fn parse(text: &str) -> Result<Payload, InvalidPayload> {
        if exceeds_depth(text.as_bytes()) {
            return Err(InvalidPayload::TooDeep);
        }
        let raw: Box<RawValue> =
            serde_json::from_str(text).map_err(|error| InvalidPayload::NotJson(error.to_string()))?;
        Ok(Payload(raw.into()))
    }

    pub fn null() -> Payload {
        Payload(RawValue::NULL.to_owned().into())
    }

    /// A JSON string holding `text`.
    pub fn string(text: &str) -> Payload {
        Payload(serde_json::value::to_raw_value(text).expect("a string is always JSON").into())
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Whether both are the same JSON value, the order of keys and white space aside.
    pub fn means_the_same(&self, other: &Payload) -> bool {
        self.as_str() == other.as_str() || matches!((self.canonical(), other.canonical()), (Some(a), Some(b)) if a == b)
    }

    /// The value as a tree; objects compare without regard to the order of their keys.
    fn canonical(&self) -> Option<serde_json::Value> {
        let mut de = serde_json::Deserializer::from_str(self.as_str());
        de.disable_recursion_limit();
        serde_json::Value::deserialize(&mut de).ok()
    }
}

/// Counts brackets outside strings. Runs before the parser, so the text need not be JSON.
fn exceeds_depth(text: &[u8]) -> bool {
    // Each level takes two bytes: a short text cannot be too deep.
    if text.len() <= MAX_DEPTH * 2 {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Payload {}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Payload(raw.into()))
    }
}
