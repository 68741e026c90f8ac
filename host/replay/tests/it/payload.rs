//! Payloads pass through byte for byte.

use fermata_replay::{InvalidPayload, MAX_DEPTH, MessageBody, Outcome, Payload, Step, TaskEnded};

use crate::guest::json;
use crate::history::started;

const TEXTS: &[&str] = &[
    "null",
    "\"Grüße, 世界 👋🏽\"",
    r#""\u0047r\u00fc\u00dfe \ud83d\udc4b \/ \" \\ \t""#,
    "123456789012345678901234567890.000",
    "-0.0",
    "1E+400",
    "{\"b\" : [ 1,\n\t2 ],\r\n \"a\":{ } , \"b\":null}",
];

#[test]
fn texts_survive_a_round_trip_through_history() {
    for text in TEXTS {
        let payload = json(text);
        assert_eq!(payload.as_str(), *text);
        let mut steps = started().event("A", text).wait("A").call("p", text).completed(text).status(text).steps;
        steps.extend(started().call("p", text).result(0, text).steps);
        let stored = serde_json::to_string(&steps).expect("steps are JSON");
        let read: Vec<Step> = serde_json::from_str(&stored).expect("what was written can be read");
        assert_eq!(read, steps);
        assert_eq!(serde_json::to_string(&read).expect("steps are JSON"), stored);
        let MessageBody::ActivityEnded(TaskEnded { outcome: Outcome::Succeeded(output), .. }) =
            &read.last().expect("a step").message
        else {
            panic!("the last message is a result")
        };
        assert_eq!(output.as_str(), *text);
    }
}

#[test]
fn white_space_around_is_dropped() {
    for text in TEXTS {
        assert_eq!(json(&format!(" \r\n\t{text}\n ")).as_str(), *text);
    }
    let read: Vec<Payload> = serde_json::from_str("[ 1 ,\n{ } ]").expect("it is JSON");
    assert_eq!(read, [json("1"), json("{ }")]);
}

#[test]
fn what_is_not_one_json_value_is_refused() {
    for text in ["", " ", "{", "nul", "1 2", "'a'", "{a:1}", "[1,]", "\"\n\"", "\u{feff}1", "NaN", "01"] {
        assert!(matches!(Payload::parse(text), Err(InvalidPayload::NotJson(_))), "{text:?}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |open: &str, close: &str, depth: usize| format!("{}{}", open.repeat(depth), close.repeat(depth));
    assert!(Payload::parse(&nested("[", "]", MAX_DEPTH)).is_ok());
    assert_eq!(Payload::parse(&nested("[", "]", MAX_DEPTH + 1)), Err(InvalidPayload::TooDeep));
    let objects = |depth: usize| format!("{}null{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(Payload::parse(&objects(MAX_DEPTH)).is_ok());
    assert_eq!(Payload::parse(&objects(MAX_DEPTH + 1)), Err(InvalidPayload::TooDeep));
    assert_eq!(Payload::parse(&"[".repeat(1_000_000)), Err(InvalidPayload::TooDeep), "it need not be JSON");

    for wide in [
        format!("[{}]", ["[]"; 500].join(",")),
        format!(r#""{}""#, "[".repeat(500)),
        format!(r#""\"{}\\""#, "{".repeat(500)),
    ] {
        assert!(Payload::parse(&wide).is_ok(), "{wide}");
    }
}

#[test]
fn meaning_ignores_white_space_escapes_and_the_order_of_keys() {
    let same = |a: &str, b: &str| json(a).means_the_same(&json(b));
    assert!(same(r#"{"a":1,"b":{"c":[],"d":null}}"#, "{ \"b\": {\"d\":null, \"c\":[ ]}, \"\\u0061\":1 }"));
    assert!(same("1E+400", "1E+400"), "a number that no float holds still is itself");
    for (a, b) in
        [("[1,2]", "[2,1]"), ("1", "\"1\""), ("null", "{}"), (r#"{"a":1}"#, r#"{"a":1,"b":null}"#), ("1e400", "2e400")]
    {
        assert!(!same(a, b), "{a} {b}");
    }
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(MAX_DEPTH - 1), "]".repeat(MAX_DEPTH - 1));
    assert!(same(&deep("[]"), &deep("[ ]")));
    assert!(!same(&deep("[]"), &deep("{}")));
}
