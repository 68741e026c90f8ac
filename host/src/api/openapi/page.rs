//! The document for people: Swagger UI, which is part of the binary and asks nobody else for anything.

use std::sync::{Arc, LazyLock};

use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, LOCATION};
use utoipa_swagger_ui::Config;

use super::super::answer::{Handled, empty, whole};
use super::super::error::ApiError;
use super::super::{Api, Asked};

/// Without the badge of a validator, which lies elsewhere.
static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::from("/openapi.json").use_base_layout().validator_url("none")));

/// The page sets styles within its markup, and shows pictures that are part of its style sheet.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'",
);

impl Api {
    /// The page lies in a folder, for it names its files relative to itself.
    pub(in super::super) fn page(&self, asked: &Asked<'_>) -> Handled {
        if asked.head.uri.path().ends_with('/') {
            return self.page_file(asked, "index.html");
        }
        let mut answer = empty(StatusCode::PERMANENT_REDIRECT);
        answer.headers_mut().insert(LOCATION, HeaderValue::from_static("/docs/"));
        Ok(answer)
    }

    pub(in super::super) fn page_file(&self, asked: &Asked<'_>, file: &str) -> Handled {
        let unknown = || ApiError::unknown_route(&asked.head.method, asked.head.uri.path());
        let found = utoipa_swagger_ui::serve(file, CONFIG.clone()).map_err(|_| unknown())?.ok_or_else(unknown)?;
        let media_type = HeaderValue::try_from(found.content_type).map_err(|_| unknown())?;
        let mut answer = whole(StatusCode::OK, media_type, found.bytes.into_owned());
        answer.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
        Ok(answer)
    }
}
