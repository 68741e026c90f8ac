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
    Control {
        id: Cow<'a, str>,
        verb: Verb,
    },
    Restart {
        id: Cow<'a, str>,
    },
    Purge {
        id: Cow<'a, str>,
    },
    PurgeAll,
    Export {
        id: Cow<'a, str>,
    },
    Deploy,
    Modules,
    DeleteModule {
        digest: &'a str,
    },
    Migrate,
    SkipClock,
    Health,
    /// Durable Functions have it, and this host does not as yet.
    NotYet(&'static str),
}

/// What can be asked of an instance that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Terminate,
    Suspend,
    Resume,
    Rewind,
    Unpark,
}

/// The literal segments below the base.
const WORDS: [&str; 11] = [
    "instances",
    "raiseEvent",
    "orchestrators",
    "terminate",
    "suspend",
    "resume",
    "rewind",
    "restart",
    "unpark",
    "history",
    "entities",
];

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
            ("POST", "instances", [id, _]) if verb == "restart" => Ok(Route::Restart { id: decode(id)? }),
            ("POST", "instances", [id, _]) => {
                Ok(Route::Control { id: decode(id)?, verb: Verb::named(verb).ok_or_else(unknown)? })
            }
            ("GET", "instances", [id, _]) if verb == "history" => Ok(Route::Export { id: decode(id)? }),
            ("DELETE", "instances", []) => Ok(Route::PurgeAll),
            ("DELETE", "instances", [id]) => Ok(Route::Purge { id: decode(id)? }),
            ("GET" | "POST" | "DELETE", "entities", _) => Ok(Route::NotYet("entities")),
            _ => Err(unknown()),
        }
    }
}

impl Verb {
    fn named(word: &str) -> Option<Verb> {
        match word {
            "terminate" => Some(Verb::Terminate),
            "suspend" => Some(Verb::Suspend),
            "resume" => Some(Verb::Resume),
            "rewind" => Some(Verb::Rewind),
            "unpark" => Some(Verb::Unpark),
            _ => None,
        }
    }
}

fn below_base(path: &str) -> Option<&str> {
    let (base, tail) = path.split_at_checked(BASE.len())?;
    if base.eq_ignore_ascii_case(BASE) { tail.strip_prefix('/') } else { None }
}

/// The routes that are ours alone.
fn beside_base<'a>(method: &Method, path: &'a str) -> Option<Route<'a>> {
    let is = |expected: &str| path.eq_ignore_ascii_case(expected);
    match method.as_str() {
        "GET" if is("/healthz") => Some(Route::Health),
        "GET" if is("/modules") => Some(Route::Modules),
        "PUT" if is("/modules") => Some(Route::Deploy),
        "DELETE" => Some(Route::DeleteModule { digest: below_modules(path)? }),
        "POST" if is("/migrations") => Some(Route::Migrate),
        "POST" if is("/clock/skip") => Some(Route::SkipClock),
        _ => None,
    }
}

fn below_modules(path: &str) -> Option<&str> {
    let (modules, digest) = path.split_at_checked("/modules/".len())?;
    let is_digest = !digest.is_empty() && !digest.contains('/');
    (modules.eq_ignore_ascii_case("/modules/") && is_digest).then_some(digest)
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
    fn what_is_asked_of_instances() {
        let id = || "s1".into();
        let control = |verb| Some(Route::Control { id: id(), verb });
        for (request, route) in [
            ("POST /runtime/webhooks/durabletask/instances/s1/Terminate", control(Verb::Terminate)),
            ("POST /runtime/webhooks/durabletask/instances/s1/suspend", control(Verb::Suspend)),
            ("POST /runtime/webhooks/durabletask/instances/s1/RESUME/", control(Verb::Resume)),
            ("POST /runtime/webhooks/durabletask/instances/s1/rewind", control(Verb::Rewind)),
            ("POST /runtime/webhooks/durabletask/instances/s1/unpark", control(Verb::Unpark)),
            ("POST /runtime/webhooks/durabletask/instances/s1/restart", Some(Route::Restart { id: id() })),
            ("GET /runtime/webhooks/durabletask/instances/s1/History", Some(Route::Export { id: id() })),
            ("DELETE /runtime/webhooks/durabletask/instances/s1", Some(Route::Purge { id: id() })),
            ("DELETE /runtime/webhooks/durabletask/instances/", Some(Route::PurgeAll)),
        ] {
            assert_eq!(find(request), route, "{request}");
        }
    }

    #[test]
    fn what_is_ours_alone() {
        assert_eq!(find("DELETE /Modules/ab12"), Some(Route::DeleteModule { digest: "ab12" }));
        assert_eq!(find("POST /migrations/"), Some(Route::Migrate));
        assert_eq!(find("POST /Clock/Skip"), Some(Route::SkipClock));
    }

    #[test]
    fn what_comes_later_is_known() {
        assert_eq!(find("GET /runtime/webhooks/durabletask/entities/Counter/a"), Some(Route::NotYet("entities")));
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
            "GET /runtime/webhooks/durabletask/instances/s1/terminate",
            "POST /runtime/webhooks/durabletask/instances/s1/history",
            "POST /modules",
            "DELETE /modules",
            "DELETE /modules/",
            "DELETE /modules/a/b",
            "POST /runtimé/webhooks/durabletask",
        ] {
            assert_eq!(find(request), None, "{request}");
        }
    }
}
