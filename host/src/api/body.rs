//! Reads what a client sends, within bounds of size and time.

use std::borrow::Cow;
use std::ops::Deref;
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
use crate::budget::{Budget, Held};

/// How much of a body that is too large is read and thrown away, and for how long.
const DISCARDED_BYTES: usize = 16 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// What is reserved before the next piece of a body is read, where the head does not announce less: a connection buffers no more.
const PIECE_BYTES: usize = 64 << 10;

/// The body of a request, which counts among the bytes of all bodies as long as it is there.
pub struct Body {
    bytes: Bytes,
    _held: Held,
}

impl Body {
    /// Its bytes, to be shared, not copied. They are counted no longer than the body itself is there.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Why a body is not read to its end.
enum Refused {
    TooLarge,
    /// The bodies of all requests are as much as the host may hold.
    NoRoom,
    Broken(ApiError),
}

/// Reads the whole body, of which `budget` has the room.
pub async fn read(
    head: &Parts,
    mut body: Incoming,
    limit: usize,
    time: Duration,
    budget: &Budget,
) -> Result<Body, ApiError> {
    let mut held = budget.hold(0);
    let refused = match timeout(time, up_to(limit, &mut body, &mut held)).await {
        Ok(Ok(bytes)) => return Ok(Body { bytes, _held: held }),
        Ok(Err(Refused::Broken(error))) => return Err(error),
        Err(_) => return Err(ApiError::body_too_slow(time)),
        Ok(Err(Refused::TooLarge)) => ApiError::body_too_large(limit),
        Ok(Err(Refused::NoRoom)) => ApiError::no_room_for_body(),
    };
    drop(held);
    throw_away(head, body).await;
    Err(refused)
}

/// Whether it says that it is no longer than what a connection holds at hand.
pub fn is_small(body: &Incoming) -> bool {
    body.size_hint().upper().is_some_and(|bytes| bytes <= PIECE_BYTES as u64)
}

/// Reads some of a body that nobody wants, so that its client comes to read the answer.
pub async fn throw_away(head: &Parts, mut body: Incoming) {
    let _ = timeout(DISCARD_TIME, discard(head, &mut body)).await;
}

async fn up_to(limit: usize, body: &mut Incoming, held: &mut Held) -> Result<Bytes, Refused> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Refused::TooLarge);
    }
    // Most bodies are one piece: no copy is made then.
    let Some(first) = next_held(body, 0, limit, held).await? else { return Ok(Bytes::new()) };
    let Some(mut piece) = next_held(body, first.len(), limit, held).await? else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    loop {
        whole.extend_from_slice(&piece);
        match next_held(body, whole.len(), limit, held).await? {
            Some(more) => piece = more,
            None => return Ok(whole.freeze()),
        }
    }
}

/// The next piece, behind `so_far` bytes: room for it is reserved before it is read.
async fn next_held(
    body: &mut Incoming,
    so_far: usize,
    limit: usize,
    held: &mut Held,
) -> Result<Option<Bytes>, Refused> {
    let announced = body.size_hint().upper().map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES as u64) as usize);
    let needed = so_far + announced;
    if needed > held.bytes() && !held.try_add(needed - held.bytes()) {
        return Err(Refused::NoRoom);
    }
    let Some(piece) = next(body).await.map_err(Refused::Broken)? else { return Ok(None) };
    if so_far + piece.len() > limit {
        return Err(Refused::TooLarge);
    }
    Ok(Some(piece))
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
