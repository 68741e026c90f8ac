//! Reads what a client sends, within bounds of size and time.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fermata_replay::Payload;
use http_body_util::BodyExt as _;
use hyper::Version;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, EXPECT, HOST};
use hyper::http::request::Parts;
use tokio::time::timeout;

use super::error::ApiError;
use super::mount::Mount;

/// How much of a body that is too large is read and thrown away, and for how long.
const DISCARDED_BYTES: usize = 16 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Reads the whole body.
pub async fn read(head: &Parts, mut body: Incoming, limit: usize, time: Duration) -> Result<Bytes, ApiError> {
    match timeout(time, up_to(limit, &mut body)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            let _ = timeout(DISCARD_TIME, discard(head, &mut body)).await;
            Err(ApiError::body_too_large(limit))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ApiError::body_too_slow(time)),
    }
}

/// None where the body is larger than `limit`, whether the head announced it or not.
async fn up_to(limit: usize, body: &mut Incoming) -> Result<Option<Bytes>, ApiError> {
    if body.size_hint().lower() > limit as u64 {
        return Ok(None);
    }
    // Most bodies are one piece: no copy is made then.
    let first = next(body).await?.unwrap_or_default();
    if first.len() > limit {
        return Ok(None);
    }
    let Some(mut piece) = next(body).await? else { return Ok(Some(first)) };
    let mut whole = BytesMut::from(first);
    loop {
        if whole.len() + piece.len() > limit {
            return Ok(None);
        }
        whole.extend_from_slice(&piece);
        match next(body).await? {
            Some(more) => piece = more,
            None => return Ok(Some(whole.freeze())),
        }
    }
}

/// The next piece of data; trailers count as an empty one.
async fn next(body: &mut Incoming) -> Result<Option<Bytes>, ApiError> {
    match body.frame().await {
        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
        Some(Err(error)) => Err(ApiError::body_broken(&error)),
        None => Ok(None),
    }
}

/// Many clients listen only once they have sent everything: hung up on before, they would never learn why. One that waits for
/// `100 Continue` is listening already.
async fn discard(head: &Parts, body: &mut Incoming) {
    let mut left = if head.headers.contains_key(EXPECT) { 0 } else { DISCARDED_BYTES };
    while left > 0
        && let Ok(Some(piece)) = next(body).await
    {
        left = left.saturating_sub(piece.len());
    }
}

/// A body as a payload; an empty one is null.
pub fn payload(body: &[u8], mount: Mount) -> Result<Payload, ApiError> {
    if body.is_empty() {
        return Ok(Payload::null());
    }
    let text = std::str::from_utf8(body).map_err(|_| ApiError::bad_utf8())?;
    let payload = Payload::parse(text)?;
    Ok(if mount == Mount::Python { encoded_once(payload) } else { payload })
}

/// The JSON that a JSON string holds, where that is what it holds.
fn encoded_once(payload: Payload) -> Payload {
    let text = serde_json::from_str::<Cow<str>>(payload.as_str()).ok();
    text.and_then(|text| Payload::parse(&text).ok()).unwrap_or(payload)
}

/// A request of HTTP/1.1 is for one host (RFC 9112, section 3.2): of two, programs on the way may each believe another one.
pub fn check_host(head: &Parts) -> Result<(), ApiError> {
    match head.headers.get_all(HOST).iter().count() {
        1 => Ok(()),
        0 if head.version == Version::HTTP_10 => Ok(()),
        _ => Err(ApiError::not_one_host()),
    }
}

/// Whether the media type is `application/json`, whatever its parameters.
pub fn check_media_type(head: &Parts) -> Result<(), ApiError> {
    let found = head.headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    match found {
        Some(value) if is(value, "application/json") => Ok(()),
        _ => Err(ApiError::bad_media_type(found)),
    }
}

/// Whether a browser sends what somebody has filled in.
pub fn is_form(head: &Parts) -> bool {
    let found = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    found.is_some_and(|value| is(value, "application/x-www-form-urlencoded"))
}

fn is(media_type: &str, expected: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_with_any_parameters() {
        const JSON: &str = "application/json";
        for media_type in
            ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;v=1"]
        {
            assert!(is(media_type, JSON), "{media_type}");
        }
        for media_type in
            ["", "text/plain", "application/json-patch+json", "text/json", "application/x-www-form-urlencoded"]
        {
            assert!(!is(media_type, JSON), "{media_type}");
        }
    }

    fn plain(body: &[u8]) -> Result<Payload, ApiError> {
        payload(body, Mount::Public)
    }

    #[test]
    fn pythons_payloads_lose_one_level() {
        for (sent, meant) in [
            (r#""true""#, "true"),
            (r#""\"hi\"""#, r#""hi""#),
            (r#""{\"n\": 1}""#, r#"{"n": 1}"#),
            (r#""null""#, "null"),
            ("", "null"),
            (r#""hi""#, r#""hi""#),
            (r#""""#, r#""""#),
            ("true", "true"),
            (r#"{"n": "1"}"#, r#"{"n": "1"}"#),
        ] {
            assert_eq!(payload(sent.as_bytes(), Mount::Python).unwrap().as_str(), meant, "{sent}");
        }
    }

    #[test]
    fn an_empty_body_is_null_and_any_other_is_json() {
        assert_eq!(plain(b"").unwrap(), Payload::null());
        assert_eq!(plain(b" {\"a\":  1} ").unwrap().as_str(), "{\"a\":  1}");
        assert_eq!(plain(b"hello").unwrap_err().code, "bad-json");
        assert_eq!(plain(b"\"\xff\"").unwrap_err().code, "bad-json");
        assert_eq!(plain("[".repeat(200).as_bytes()).unwrap_err().code, "bad-json");
        assert_eq!(plain("[".repeat(300).as_bytes()).unwrap_err().code, "json-too-deep");
    }
}
