//! From method and path to what is asked for.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::endpoint::{Below, Call, ENDPOINTS, Endpoint, Needs};
use super::error::ApiError;
use super::mount::Mount;

/// What a request asks for, and with which key, where the path holds one.
#[derive(Debug, PartialEq)]
pub struct Route<'a> {
    pub call: Call,
    pub needs: Needs,
    pub mount: Mount,
    pub key: Option<Cow<'a, str>>,
    /// By the names that the endpoint has for them; those that it does not have are blank.
    parameters: Parameters<'a>,
}

/// No endpoint has more.
type Parameters<'a> = [(&'static str, Cow<'a, str>); 2];

impl<'a> Route<'a> {
    /// Literal segments match in any case and a slash at the end is ignored. An unknown path and an unknown method are the same to
    /// Durable Functions: not found.
    pub fn find(method: &Method, path: &'a str) -> Result<Route<'a>, ApiError> {
        let (path, key_at_end) = match path.split_once(KEY_AT_END) {
            Some((path, key)) => (path, Some(key)),
            None => (path, None),
        };
        let trimmed = path.strip_suffix('/').unwrap_or(path);
        let (mount, below, tail) = match Mount::of(trimmed) {
            Some((mount, tail)) => (mount, Below::Mount, tail),
            None => (Mount::Public, Below::Root, trimmed.strip_prefix('/').unwrap_or(trimmed)),
        };
        let (key_in_front, tail) = match tail.strip_prefix(KEY_IN_FRONT).filter(|_| below == Below::Mount) {
            Some(rest) => rest.split_once('/').map_or((Some(rest), ""), |(key, tail)| (Some(key), tail)),
            None => (None, tail),
        };
        for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.below == below && method == endpoint.method) {
            if let Some(parameters) = endpoint.parameters(tail)? {
                let key = key_in_front.or(key_at_end).map(decode).transpose()?;
                return Ok(Route { call: endpoint.call, needs: endpoint.needs, mount, key, parameters });
            }
        }
        Err(ApiError::unknown_route(method, &without_key(path)))
    }

    /// The instance that is asked about.
    pub fn instance(&self) -> Option<&str> {
        self.get("instanceId")
    }

    pub fn orchestrator(&self) -> Option<&str> {
        self.get("name").filter(|_| self.call == Call::Start)
    }

    /// A part of the path that this endpoint has.
    pub fn part(&self, name: &str) -> &str {
        self.get(name).expect("the endpoints that are called so have it")
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
    }
}

impl Endpoint {
    /// The values of the segments in braces, where a path is one of this endpoint.
    fn parameters<'a>(&self, tail: &'a str) -> Result<Option<Parameters<'a>>, ApiError> {
        let mut parameters = [("", ""); 2];
        let mut count = 0;
        let mut segments = tail.split('/');
        for expected in self.path.split('/') {
            let Some(segment) = segments.next() else { return Ok(None) };
            match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(_) if segment.is_empty() => return Ok(None),
                Some(name) => {
                    parameters[count] = (name, segment);
                    count += 1;
                }
                None if expected.eq_ignore_ascii_case(segment) => {}
                None => return Ok(None),
            }
        }
        if segments.next().is_some() {
            return Ok(None);
        }
        let [(one, first), (other, second)] = parameters;
        Ok(Some([(one, decode(first)?), (other, decode(second)?)]))
    }
}

/// The documentation of Durable Functions spells `raiseEvent/Approval&code=XXX`, with no `?`: what follows is a key, not the name. Keys
/// may hold slashes.
const KEY_AT_END: &str = "&code=";

/// A client that adds paths to a base by mere concatenation, as those of Durable Functions do, can have its key in the base.
const KEY_IN_FRONT: &str = "code=";

/// A path as it may be shown: whatever looks like a key is left out.
pub fn without_key(path: &str) -> Cow<'_, str> {
    let Some((front, rest)) = path.split_once(KEY_IN_FRONT) else { return Cow::Borrowed(path) };
    let is_at_end = front.ends_with('&');
    let tail = rest.find('/').filter(|_| !is_at_end).map_or("", |end| &rest[end..]);
    Cow::Owned(format!("{front}{KEY_IN_FRONT}…{}", without_key(tail)))
}

/// Each segment is decoded once, so a slash within a name is written `%2F`.
fn decode(segment: &str) -> Result<Cow<'_, str>, ApiError> {
    percent_decode_str(segment).decode_utf8().map_err(|_| ApiError::bad_path(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The call, and the parts of the path.
    fn find(request: &str) -> Option<(Call, Vec<String>)> {
        let (method, path) = request.split_once(' ').unwrap();
        let route = Route::find(&method.parse().unwrap(), path).ok()?;
        let parts = route.parameters.into_iter().filter(|(name, _)| !name.is_empty());
        Some((route.call, parts.map(|(_, value)| value.into_owned()).collect()))
    }

    fn found(call: Call, parts: &[&str]) -> Option<(Call, Vec<String>)> {
        Some((call, parts.iter().map(|part| part.to_string()).collect()))
    }

    fn key(path: &str) -> Option<String> {
        Route::find(&Method::POST, path).unwrap().key.map(Cow::into_owned)
    }

    #[test]
    fn the_endpoints_of_durable_functions() {
        for (request, route) in [
            ("POST orchestrators/Select", found(Call::Start, &["Select"])),
            ("POST orchestrators/Select/s1", found(Call::Start, &["Select", "s1"])),
            ("GET instances", found(Call::List, &[])),
            ("GET instances/s1", found(Call::Status, &["s1"])),
            ("POST instances/s1/raiseEvent/Approval", found(Call::Raise, &["s1", "Approval"])),
            ("POST instances/s1/Terminate", found(Call::Terminate, &["s1"])),
            ("POST instances/s1/suspend", found(Call::Suspend, &["s1"])),
            ("POST instances/s1/RESUME/", found(Call::Resume, &["s1"])),
            ("POST instances/s1/rewind", found(Call::Rewind, &["s1"])),
            ("POST instances/s1/restart", found(Call::Restart, &["s1"])),
            ("DELETE instances/s1", found(Call::Purge, &["s1"])),
            ("DELETE instances/", found(Call::PurgeMany, &[])),
            ("GET entities/Counter/a", found(Call::Entities, &["Counter", "a"])),
            ("POST instances/s1/unpark", found(Call::Unpark, &["s1"])),
            ("GET instances/s1/History", found(Call::Export, &["s1"])),
        ] {
            let (method, tail) = request.split_once(' ').unwrap();
            for mount in [
                "/runtime/webhooks/durabletask",
                "/Runtime/WebHooks/DurableTask",
                "/admin/extensions/DurableTaskExtension",
                "/durabletask",
                "/durabletask-py",
                "/durabletask/code=fermata_1",
            ] {
                assert_eq!(find(&format!("{method} {mount}/{tail}")), route, "{mount} {request}");
            }
        }
    }

    #[test]
    fn what_is_ours_alone() {
        assert_eq!(find("DELETE /Modules/ab12"), found(Call::DeleteModule, &["ab12"]));
        assert_eq!(find("PUT /modules"), found(Call::Deploy, &[]));
        assert_eq!(find("GET /modules/"), found(Call::Modules, &[]));
        assert_eq!(find("POST /migrations/"), found(Call::Migrate, &[]));
        assert_eq!(find("POST /Clock/Skip"), found(Call::SkipClock, &[]));
        assert_eq!(find("GET /healthz"), found(Call::Health, &[]));
    }

    #[test]
    fn segments_are_decoded_once() {
        let raise = found(Call::Raise, &["a b", "é/%2F"]);
        assert_eq!(find("POST /runtime/webhooks/durabletask/instances/a%20b/raiseEvent/%C3%A9%2F%252F"), raise);
        assert_eq!(find("GET /runtime/webhooks/durabletask/instances/%FF"), None);
    }

    #[test]
    fn a_path_may_hold_a_key() {
        for (path, expected) in [
            ("/runtime/webhooks/durabletask/instances/s1/raiseEvent/Approval&code=a/b==", Some("a/b==")),
            ("/durabletask/code=k1/instances/s1/raiseEvent/Approval", Some("k1")),
            ("/durabletask/instances/s1/raiseEvent/Approval", None),
        ] {
            assert_eq!(key(path).as_deref(), expected);
            let Route { parameters, .. } = Route::find(&Method::POST, path).unwrap();
            assert_eq!(parameters[1], ("eventName", "Approval".into()));
        }
        assert_eq!(find("POST /runtime/webhooks/durabletask/instances/s1/raiseEvent/&code=XXX"), None);
        assert_eq!(find("GET /code=k1/modules"), None);
    }

    #[test]
    fn keys_are_not_shown() {
        for (path, shown) in [
            ("/instances/s1", "/instances/s1"),
            ("/instances/s1&code=a/b", "/instances/s1&code=…"),
            ("/durabletask/code=k1/instances/s1", "/durabletask/code=…/instances/s1"),
            ("/durabletask/code=k1/instances/s1&code=k2", "/durabletask/code=…/instances/s1&code=…"),
            ("/durabletask/code=k1", "/durabletask/code=…"),
        ] {
            assert_eq!(without_key(path), shown);
        }
    }

    #[test]
    fn everything_else_is_unknown() {
        for request in [
            "GET /",
            "GET /runtime/webhooks/durabletask",
            "GET /runtime/webhooks/durabletask/code=k",
            "GET /runtime/webhooks/durabletaskx/instances",
            "GET /runtime/webhooks/durabletask/instances//raiseEvent",
            "GET /runtime/webhooks/durabletask/instances//",
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
