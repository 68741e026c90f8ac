//! From method and path to what is asked for.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// Where the API of Durable Functions lies.
pub const BASE: &str = "/runtime/webhooks/durabletask";

/// What a request asks for.
#[derive(Debug, PartialEq)]
pub enum Route<'a> {
    Start {
        name: Cow<'a, str>,
        id: Option<Cow<'a, str>>,
    },
    Status {
        id: Cow<'a, str>,
    },
    Raise {
        id: Cow<'a, str>,
        event: Cow<'a, str>,
    },
    List,
    Deploy,
    Modules,
    Health,
    /// Durable Functions have it, and this host does not as yet.
    NotYet(&'static str),
}

/// The literal segments below the base.
const WORDS: [&str; 9] =
    ["instances", "raiseEvent", "orchestrators", "terminate", "suspend", "resume", "rewind", "restart", "entities"];

/// The most segments that a path has below the base.
const SEGMENTS: usize = 4;

impl<'a> Route<'a> {
    /// Literal segments match in any case and a slash at the end is ignored. An unknown path and an unknown method are the same to
    /// Durable Functions: not found.
    pub fn find(method: &Method, path: &'a str) -> Result<Route<'a>, ApiError> {
        let unknown = || ApiError::unknown_route(method, path);
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let Some(tail) = below_base(trimmed) else {
            return beside_base(method, trimmed).ok_or_else(unknown);
        };
        let mut segments = [""; SEGMENTS];
        let mut count = 0;
        for segment in tail.splitn(SEGMENTS, '/') {
            segments[count] = segment;
            count += 1;
        }
        segments[SEGMENTS - 1] = without_key(segments[SEGMENTS - 1]);
        if segments[..count].iter().any(|segment| segment.is_empty() || segment.contains('/')) {
            return Err(unknown());
        }
        let (noun, verb) = (word(segments[0]), word(segments[2]));
        match (method.as_str(), noun, &segments[1..count]) {
            ("POST", "orchestrators", [name]) => Ok(Route::Start { name: decode(name)?, id: None }),
            ("POST", "orchestrators", [name, id]) => Ok(Route::Start { name: decode(name)?, id: Some(decode(id)?) }),
            ("GET", "instances", []) => Ok(Route::List),
            ("GET", "instances", [id]) => Ok(Route::Status { id: decode(id)? }),
            ("POST", "instances", [id, _, event]) if verb == "raiseEvent" => {
                Ok(Route::Raise { id: decode(id)?, event: decode(event)? })
            }
            ("POST", "instances", [_, _])
                if matches!(verb, "terminate" | "suspend" | "resume" | "rewind" | "restart") =>
            {
                Ok(Route::NotYet(verb))
            }
            ("DELETE", "instances", [] | [_]) => Ok(Route::NotYet("purge")),
            ("GET" | "POST" | "DELETE", "entities", _) => Ok(Route::NotYet("entities")),
            _ => Err(unknown()),
        }
    }
}

fn below_base(path: &str) -> Option<&str> {
    let (base, tail) = path.split_at_checked(BASE.len())?;
    if base.eq_ignore_ascii_case(BASE) { tail.strip_prefix('/') } else { None }
}

/// The routes that are ours alone.
fn beside_base<'a>(method: &Method, path: &str) -> Option<Route<'a>> {
    match (method.as_str(), path) {
        ("GET", path) if path.eq_ignore_ascii_case("/healthz") => Some(Route::Health),
        ("GET", path) if path.eq_ignore_ascii_case("/modules") => Some(Route::Modules),
        ("PUT", path) if path.eq_ignore_ascii_case("/modules") => Some(Route::Deploy),
        _ => None,
    }
}

/// A literal segment as [`WORDS`] spells it; empty where it is none.
fn word(segment: &str) -> &'static str {
    WORDS.iter().find(|word| word.eq_ignore_ascii_case(segment)).copied().unwrap_or_default()
}

/// Each segment is decoded once, so a slash within a name is written `%2F`.
fn decode(segment: &str) -> Result<Cow<'_, str>, ApiError> {
    percent_decode_str(segment).decode_utf8().map_err(|_| ApiError::bad_path(segment))
}

/// The documentation of Durable Functions spells `raiseEvent/Approval&code=XXX`, with no `?`: what follows is a key, not the name. Keys
/// may hold slashes.
fn without_key(event: &str) -> &str {
    event.split_once("&code=").map_or(event, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(request: &str) -> Option<Route<'_>> {
        let (method, path) = request.split_once(' ').unwrap();
        Route::find(&method.parse().unwrap(), path).ok()
    }

    #[test]
    fn the_routes_of_durable_functions() {
        let start =
            |name: &'static str, id: Option<&'static str>| Route::Start { name: name.into(), id: id.map(Into::into) };
        assert_eq!(find("POST /runtime/webhooks/durabletask/orchestrators/Select"), Some(start("Select", None)));
        assert_eq!(
            find("POST /runtime/webhooks/durabletask/orchestrators/Select/s1"),
            Some(start("Select", Some("s1")))
        );
        assert_eq!(find("GET /runtime/webhooks/durabletask/instances"), Some(Route::List));
        assert_eq!(find("GET /runtime/webhooks/durabletask/instances/s1"), Some(Route::Status { id: "s1".into() }));
        let raise = Route::Raise { id: "s1".into(), event: "Approval".into() };
        assert_eq!(find("POST /runtime/webhooks/durabletask/instances/s1/raiseEvent/Approval"), Some(raise));
        assert_eq!(find("PUT /modules"), Some(Route::Deploy));
        assert_eq!(find("GET /modules"), Some(Route::Modules));
        assert_eq!(find("GET /healthz"), Some(Route::Health));
    }

    #[test]
    fn literal_segments_match_in_any_case_and_a_last_slash_is_ignored() {
        assert_eq!(find("GET /Runtime/WebHooks/DurableTask/Instances/"), Some(Route::List));
        let raise = Route::Raise { id: "S1".into(), event: "approval".into() };
        assert_eq!(find("POST /runtime/webhooks/durabletask/INSTANCES/S1/raiseevent/approval/"), Some(raise));
    }

    #[test]
    fn segments_are_decoded_once() {
        let raise = Route::Raise { id: "a b".into(), event: "é/%2F".into() };
        assert_eq!(find("POST /runtime/webhooks/durabletask/instances/a%20b/raiseEvent/%C3%A9%2F%252F"), Some(raise));
        assert_eq!(find("GET /runtime/webhooks/durabletask/instances/%FF"), None);
    }

    #[test]
    fn a_key_in_the_place_of_the_name_is_no_part_of_it() {
        let raise = Route::Raise { id: "s1".into(), event: "Approval".into() };
        assert_eq!(find("POST /runtime/webhooks/durabletask/instances/s1/raiseEvent/Approval&code=a/b=="), Some(raise));
        assert_eq!(find("POST /runtime/webhooks/durabletask/instances/s1/raiseEvent/&code=XXX"), None);
    }

    #[test]
    fn what_comes_later_is_known() {
        assert_eq!(find("POST /runtime/webhooks/durabletask/instances/s1/Terminate"), Some(Route::NotYet("terminate")));
        assert_eq!(find("DELETE /runtime/webhooks/durabletask/instances/s1"), Some(Route::NotYet("purge")));
        assert_eq!(find("DELETE /runtime/webhooks/durabletask/instances/"), Some(Route::NotYet("purge")));
    }

    #[test]
    fn everything_else_is_unknown() {
        for request in [
            "GET /",
            "GET /runtime/webhooks/durabletask",
            "GET /runtime/webhooks/durabletaskx/instances",
            "GET /runtime/webhooks/durabletask/instances//raiseEvent",
            "GET /runtime/webhooks/durabletask/orchestrators/Select",
            "PUT /runtime/webhooks/durabletask/instances/s1",
            "POST /runtime/webhooks/durabletask/instances/s1/raiseEvent",
            "POST /runtime/webhooks/durabletask/instances/s1/raiseEvent/A/B",
            "POST /runtime/webhooks/durabletask/instances/s1/shout",
            "POST /modules",
            "POST /runtimé/webhooks/durabletask",
        ] {
            assert_eq!(find(request), None, "{request}");
        }
    }
}
