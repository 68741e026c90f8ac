//! Instants on the wire.

use std::borrow::Cow;
use std::fmt;

use fermata_replay::Timestamp;
use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Serialize, Serializer};

/// An instant to the second, as status objects have it: `2026-11-23T07:01:02Z`.
#[derive(Clone, Copy)]
pub struct Seconds(pub Timestamp);

/// An instant in full, as history entries have it: `2026-11-23T07:01:02.345678Z`.
#[derive(Clone, Copy, Default)]
pub struct Micros(pub Timestamp);

/// An instant to the minute, as people read it: `23 November 2026, 07:01 UTC`.
pub struct Minute(pub Timestamp);

/// Reads an instant with a time zone and any number of digits after the second up to nine; what is finer than ours is cut.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|instant| Timestamp(instant.as_microsecond()))
}

/// What lies beyond jiff's range, the years -9999 to 9999, is shown as its border: a guest may set a timer for any instant.
fn civil(instant: Timestamp) -> jiff::Timestamp {
    let border = if instant.0 < 0 { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(instant.0).unwrap_or(border)
}

/// Both are instants of RFC 3339.
macro_rules! instant_schema {
    ($($instant:ty),*) => {
        $(impl JsonSchema for $instant {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                "Instant".into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "format": "date-time" })
            }
        })*
    };
}

instant_schema!(Seconds, Micros);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}", civil(self.0))
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", civil(self.0))
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", civil(self.0).strftime("%-d %B %Y, %H:%M UTC"))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_cut_and_micros_are_full() {
        let instant = Timestamp(1_763_881_262_999_999);
        assert_eq!(Seconds(instant).to_string(), "2025-11-23T07:01:02Z");
        assert_eq!(Micros(instant).to_string(), "2025-11-23T07:01:02.999999Z");
        assert_eq!(Micros(Timestamp(1_763_881_262_000_000)).to_string(), "2025-11-23T07:01:02.000000Z");
        assert!(Micros(Timestamp(i64::MAX)).to_string().starts_with("9999-12-30T"));
        assert!(Micros(Timestamp(i64::MIN)).to_string().starts_with("-009999-01-02T"));
    }

    #[test]
    fn people_read_minutes() {
        assert_eq!(Minute(Timestamp(1_763_881_262_999_999)).to_string(), "23 November 2025, 07:01 UTC");
        assert_eq!(Minute(Timestamp(1_764_547_200_000_000)).to_string(), "1 December 2025, 00:00 UTC");
        assert!(Minute(Timestamp(i64::MAX)).to_string().starts_with("30 December 9999, "));
    }

    #[test]
    fn any_number_of_digits_is_read() {
        let second = 1_763_881_262_000_000;
        for (text, micros) in [
            ("2025-11-23T07:01:02Z", 0),
            ("2025-11-23T07:01:02.5Z", 500_000),
            ("2025-11-23T07:01:02.123Z", 123_000),
            ("2025-11-23T07:01:02.123456Z", 123_456),
            ("2025-11-23T07:01:02.1234567Z", 123_456),
            ("2025-11-23T08:01:02+01:00", 0),
        ] {
            assert_eq!(parse(text), Some(Timestamp(second + micros)), "{text}");
        }
        for text in ["", "yesterday", "2025-11-23", "2025-11-23T07:01:02"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
