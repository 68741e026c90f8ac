//! Answers: most bodies are there as a whole, some come piece by piece.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::error::ApiError;
use super::live::Events;

pub type Answer = Response<Either<Full<Bytes>, Events>>;
pub type Handled = Result<Answer, ApiError>;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

pub fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Either::Left(Full::default()));
    *answer.status_mut() = status;
    answer
}

pub fn json(status: StatusCode, body: &impl Serialize) -> Answer {
    let text = serde_json::to_vec(body).expect("wire types have string keys and no failing parts");
    whole(status, JSON, text)
}

pub fn whole(status: StatusCode, media_type: HeaderValue, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::from(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, media_type);
    answer
}
