//! Who may ask what: each listener has a door, and each request comes with a key or without one.

use std::borrow::Cow;
use std::sync::Arc;

use fermata_replay::Timestamp;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName};
use hyper::http::request::Parts;

use super::endpoint::Needs;
use super::error::ApiError;
use super::query;
use super::route::Route;
use super::sites::Sites;
use crate::keys::{self, Key, Keys, Scope};
use crate::name_pattern::NamePattern;

/// The header in which clients of Azure Functions send a key.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-functions-key");

/// Who is let in.
pub enum Door {
    /// Who has a key.
    Keys(Arc<Keys>),
    /// The same, from the moment that a key was ever made; until then whoever runs on this machine.
    KeysOrLocal(Arc<Keys>, Sites),
    /// Whoever runs on this machine.
    Local(Sites),
    /// Everybody.
    Open,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Caller {
    /// Nobody asked for a key.
    Anybody,
    Holder {
        key: Arc<Key>,
        secret: String,
    },
}

impl Door {
    /// Lets somebody in, or says why not.
    pub fn admit(&self, head: &Parts, route: &Route, now: Timestamp) -> Result<Caller, ApiError> {
        let keys = match self {
            Door::Keys(keys) => keys.current().unwrap_or_default(),
            Door::KeysOrLocal(keys, sites) => match keys.current() {
                Some(keys) => keys,
                None => return sites.check(head).map(|()| Caller::Anybody),
            },
            Door::Local(sites) => return sites.check(head).map(|()| Caller::Anybody),
            Door::Open => return Ok(Caller::Anybody),
        };
        if !route.needs.a_key() {
            return Ok(Caller::Anybody);
        }
        let secret = secret(head, route).ok_or_else(ApiError::no_key)?;
        let key = keys::find(&keys, &secret).filter(|key| !key.has_expired(now)).ok_or_else(ApiError::wrong_key)?;
        let caller = Caller::Holder { key: key.clone(), secret: secret.into_owned() };
        match route.needs {
            Needs::Nothing | Needs::Signature | Needs::AnyKey => {}
            Needs::Key(scope) => caller.check(scope)?,
            Needs::UnboundKey(scope) => {
                caller.check(scope)?;
                if !caller.orchestrators().is_empty() {
                    return Err(ApiError::bound_key(key));
                }
            }
        }
        Ok(caller)
    }
}

impl Caller {
    /// Whether the key is good for this.
    pub fn check(&self, scope: Scope) -> Result<(), ApiError> {
        match self {
            Caller::Holder { key, .. } if !key.allows(scope) => Err(ApiError::wrong_scope(key, scope)),
            _ => Ok(()),
        }
    }

    /// Whether an orchestrator, and its instances, are there for the caller.
    pub fn covers(&self, orchestrator: &str) -> bool {
        match self {
            Caller::Anybody => true,
            Caller::Holder { key, .. } => key.covers(orchestrator),
        }
    }

    /// The orchestrators that the caller may ask about; empty: all.
    pub fn orchestrators(&self) -> &[NamePattern] {
        match self {
            Caller::Anybody => &[],
            Caller::Holder { key, .. } => &key.orchestrators,
        }
    }

    pub fn secret(&self) -> Option<&str> {
        match self {
            Caller::Anybody => None,
            Caller::Holder { secret, .. } => Some(secret),
        }
    }
}

/// The key that comes with a request: in the header of Azure Functions, as a bearer token, as `code` in the query, or in the path.
fn secret<'a>(head: &'a Parts, route: &'a Route) -> Option<Cow<'a, str>> {
    let in_header = || head.headers.get(KEY_HEADER)?.to_str().ok().map(Cow::Borrowed);
    let in_query = || query::text(head.uri.query().unwrap_or_default(), "code");
    in_header()
        .or_else(|| bearer(&head.headers).map(Cow::Borrowed))
        .or_else(in_query)
        .or_else(|| route.key.as_deref().map(Cow::Borrowed))
        .filter(|secret| !secret.is_empty())
}

/// RFC 6750: the scheme's name in any case.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;
    use crate::keys::KeyFile;

    const STATUS: &str = "/durabletask/instances/i";

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn admit(door: &Door, head: &Parts) -> Result<Caller, &'static str> {
        let route = Route::find(&head.method, head.uri.path()).unwrap();
        door.admit(head, &route, Timestamp(0)).map_err(|refusal| refusal.code)
    }

    fn keyed(scopes: &[Scope]) -> (tempfile::TempDir, Door, String) {
        let data = tempfile::tempdir().unwrap();
        let (key, secret) = Key::new("k".into(), scopes.to_vec(), vec![], None);
        KeyFile::new(data.path()).add(key).unwrap();
        let door = Door::Keys(Arc::new(Keys::open(data.path()).unwrap()));
        (data, door, secret)
    }

    #[test]
    fn a_key_may_come_in_any_of_its_places() {
        let (_data, door, secret) = keyed(&[Scope::Read]);
        for (uri, headers) in [
            (format!("{STATUS}?code={secret}"), vec![]),
            (format!("{STATUS}?showInput=true&Code={secret}"), vec![]),
            (format!("{STATUS}&code={secret}"), vec![]),
            (format!("/durabletask/code={secret}/instances/i"), vec![]),
            (STATUS.into(), vec![("x-functions-key", secret.clone())]),
            (STATUS.into(), vec![("Authorization", format!("Bearer {secret}"))]),
            (STATUS.into(), vec![("authorization", format!("bearer  {secret}"))]),
        ] {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
            let caller = admit(&door, &head(&uri, &headers)).unwrap();
            assert_eq!(caller.secret(), Some(&*secret), "{uri}");
        }
    }

    #[test]
    fn no_key_a_wrong_key_and_a_key_for_something_else() {
        let (_data, door, secret) = keyed(&[Scope::Start]);
        assert_eq!(admit(&door, &head(STATUS, &[])), Err("no-key"));
        assert_eq!(admit(&door, &head(&format!("{STATUS}?code="), &[])), Err("no-key"));
        assert_eq!(admit(&door, &head(&format!("{STATUS}?code=fermata_0"), &[])), Err("wrong-key"));
        assert_eq!(admit(&door, &head(&format!("{STATUS}?code={secret}"), &[])), Err("key-not-for-this"));
        assert_eq!(admit(&door, &head("/healthz", &[])), Ok(Caller::Anybody));
    }

    #[test]
    fn a_local_door_needs_keys_once_there_are_any() {
        let data = tempfile::tempdir().unwrap();
        let keys = Arc::new(Keys::open(data.path()).unwrap());
        let door = Door::KeysOrLocal(keys, Sites::default());
        let local = head(STATUS, &[("Host", "localhost:7071")]);
        assert_eq!(admit(&door, &local), Ok(Caller::Anybody));
        assert_eq!(admit(&door, &head(STATUS, &[("Host", "evil.example")])), Err("foreign-host"));
        let (key, secret) = Key::new("k".into(), vec![Scope::Read], vec![], None);
        KeyFile::new(data.path()).add(key).unwrap();
        assert_eq!(admit(&door, &local), Err("no-key"));
        assert!(admit(&door, &head(&format!("{STATUS}?code={secret}"), &[("Host", "fermata.example")])).is_ok());
        KeyFile::new(data.path()).revoke("k").unwrap();
        assert_eq!(admit(&door, &head(&format!("{STATUS}?code={secret}"), &[])), Err("wrong-key"));
    }

    #[test]
    fn a_key_bound_to_orchestrators_asks_nothing_that_concerns_all() {
        let data = tempfile::tempdir().unwrap();
        let (key, secret) = Key::new("k".into(), vec![Scope::Deploy], vec!["Order*".parse().unwrap()], None);
        KeyFile::new(data.path()).add(key).unwrap();
        let door = Door::Keys(Arc::new(Keys::open(data.path()).unwrap()));
        let deploy = Request::put(format!("/modules?code={secret}")).body(()).unwrap().into_parts().0;
        assert_eq!(admit(&door, &deploy), Err("key-bound"));
    }
}
