//! Lengths of time on the command line.

use fermata_replay::Span;
use jiff::SpanRelativeTo;

/// Reads `90s`, `15m`, `12h`, `7d`, and what they add up to: `1d12h`. A day has 24 hours.
pub fn parse(text: &str) -> Result<Span, String> {
    let wrong = || format!("{text:?} is no length of time: write 90s, 15m, 12h, 7d or 1d12h");
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    u64::try_from(length.as_micros()).map(Span).map_err(|_| wrong())
}

/// The same in the words of the command line.
pub fn show(span: Span) -> String {
    const UNITS: [(u64, char); 4] = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let mut seconds = span.0 / 1_000_000;
    let mut text = String::new();
    for (length, unit) in UNITS {
        if seconds >= length {
            text.push_str(&format!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    if text.is_empty() { "0s".into() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_shown() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("12h", 43_200), ("7d", 604_800), ("1d12h", 129_600)] {
            assert_eq!(parse(text), Ok(Span(seconds * 1_000_000)), "{text}");
        }
        assert_eq!(parse("1w"), parse("7d"));
        for wrong in ["", "7", "d", "1y", "1mo", "-1s", "1s ago", "soon"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for text in ["7d", "1d12h", "15m", "1m30s", "0s"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
    }
}
