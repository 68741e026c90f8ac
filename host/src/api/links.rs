//! Where links lead: to the host as the client knows it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use hyper::header::{FORWARDED, HOST, HeaderMap, HeaderName};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use ipnet::IpNet;

use super::clients::is_in;
use super::error::ApiError;
use super::mount::BASE;
use crate::url::encode;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How the host is reached from outside.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Its address for everybody, such as `https://fermata.example.org`; where there is none, links lead where each request came from.
    pub url: Option<String>,
    /// Who may say which address a request was sent to, and by whom.
    pub proxies: Vec<IpNet>,
}

/// Where the links of one answer lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Links {
    /// Scheme and authority.
    pub origin: String,
    /// Goes into each link, where the client asked for that.
    pub key: Option<String>,
}

impl Outside {
    /// Scheme and authority for who sent this request from `peer`. `listening` is where the host listens: for a request that does not say
    /// which host it meant.
    pub fn origin(&self, head: &Parts, peer: IpAddr, listening: SocketAddr) -> Result<String, ApiError> {
        if let Some(url) = &self.url {
            return Ok(url.clone());
        }
        let forwarded = if is_in(&self.proxies, peer) { Forwarded::of(&head.headers) } else { Forwarded::default() };
        let Forwarded { proto: scheme, host, .. } = forwarded;
        let scheme = if scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")) { "https" } else { "http" };
        let asked = head.uri.authority().map(|authority| Cow::Borrowed(authority.as_str()));
        let host = host.map(Cow::Owned).or(asked).or_else(|| last(&head.headers, HOST).map(Cow::Borrowed));
        let Some(host) = host.filter(|host| !host.is_empty()) else { return Ok(format!("{scheme}://{listening}")) };
        match host.parse::<Authority>() {
            Ok(authority) if !authority.as_str().contains('@') => Ok(format!("{scheme}://{authority}")),
            _ => Err(ApiError::bad_host(&host)),
        }
    }

    /// Who sends a request: the peer, or of trusted proxies whom the first of them names; none where that names nobody. Two kinds of headers that
    /// name different clients are an error: a proxy writes one kind, and the other is anybody's word.
    pub fn client(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Option<IpAddr>, ApiError> {
        if !is_in(&self.proxies, peer) {
            return Ok(Some(peer));
        }
        let standard = self.first(elements(headers, FORWARDED).into_iter().map(|one| parameter(one, "for")));
        let older = self.first(elements(headers, FORWARDED_FOR).into_iter().map(|one| Some(one.to_owned())));
        let has_older = [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO].iter().any(|name| headers.contains_key(name));
        match headers.contains_key(FORWARDED) {
            true if has_older && standard != older => Err(ApiError::two_forwardings()),
            true => Ok(standard),
            false => Ok(older),
        }
    }

    /// The last of these that is no trusted proxy itself.
    fn first(&self, named: impl DoubleEndedIterator<Item = Option<String>>) -> Option<IpAddr> {
        let mut addresses = named.rev().map(|text| address(&text?));
        addresses.find(|address| !address.is_some_and(|address| is_in(&self.proxies, address))).flatten()
    }
}

impl Links {
    /// The address of an instance, without the key.
    pub fn instance(&self, id: &str) -> String {
        format!("{}{BASE}/instances/{}", self.origin, encode(id))
    }

    /// What is to be added to a link that has a query already, or has none.
    pub fn key_after(&self, has_query: bool) -> String {
        let joint = if has_query { '&' } else { '?' };
        self.key.as_ref().map(|key| format!("{joint}code={}", encode(key))).unwrap_or_default()
    }
}

/// What the nearest proxy was asked for: what stands in front of it may be anybody's word.
#[derive(Default)]
struct Forwarded {
    proto: Option<String>,
    host: Option<String>,
}

impl Forwarded {
    /// RFC 7239, else the older headers.
    fn of(headers: &HeaderMap) -> Forwarded {
        match last(headers, FORWARDED) {
            Some(forwarded) => Forwarded { proto: parameter(forwarded, "proto"), host: parameter(forwarded, "host") },
            None => {
                let value = |name| last(headers, name).map(str::to_owned);
                Forwarded { proto: value(FORWARDED_PROTO), host: value(FORWARDED_HOST) }
            }
        }
    }
}

/// One parameter of what one proxy has written.
fn parameter(forwarded: &str, wanted: &str) -> Option<String> {
    let mut pairs = forwarded.split(';').filter_map(|pair| pair.split_once('='));
    let found = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
    found.map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

/// An address as proxies write it: with a port or without, that of IPv6 in brackets or not.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.trim_matches(['[', ']']).parse().ok().or_else(with_port)
}

/// The last value of a header that may be a list, or come more than once.
fn last(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    elements(headers, name).pop()
}

fn elements(headers: &HeaderMap, name: HeaderName) -> Vec<&str> {
    let values = headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or("?"));
    values.flat_map(|value| value.split(',').map(str::trim)).collect()
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    const LISTENING: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7071);
    const PROXY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 1));

    fn origin(peer: IpAddr, headers: &[(&str, &str)]) -> Result<String, &'static str> {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let outside = Outside { url: None, proxies: vec!["10.0.0.0/24".parse().unwrap()] };
        let head = request.body(()).unwrap().into_parts().0;
        outside.origin(&head, peer, LISTENING).map_err(|refusal| refusal.code)
    }

    #[test]
    fn links_lead_where_the_request_was_sent() {
        assert_eq!(origin(CLIENT, &[("host", "fermata:80")]), Ok("http://fermata:80".into()));
        assert_eq!(origin(CLIENT, &[]), Ok("http://127.0.0.1:7071".into()));
        for host in ["a b", "a/b", "user@host", "[", "é"] {
            assert_eq!(origin(CLIENT, &[("host", host)]), Err("bad-host"), "{host}");
        }
        let head = Request::get("/").header("host", "inside").body(()).unwrap().into_parts().0;
        let outside = Outside { url: Some("https://f.example".into()), proxies: vec![] };
        assert_eq!(outside.origin(&head, CLIENT, LISTENING).unwrap(), "https://f.example");
    }

    #[test]
    fn a_proxy_is_believed_only_where_it_is_trusted() {
        let host = ("host", "inside:7071");
        let sent = [host, ("x-forwarded-host", "f.example"), ("x-forwarded-proto", "https")];
        assert_eq!(origin(PROXY, &sent), Ok("https://f.example".into()));
        assert_eq!(origin(CLIENT, &sent), Ok("http://inside:7071".into()));
        let mapped = "::ffff:10.0.0.1".parse().unwrap();
        assert_eq!(origin(mapped, &sent), Ok("https://f.example".into()));
        let forged = [host, ("x-forwarded-host", "evil.example, f.example"), ("x-forwarded-proto", "http, https")];
        assert_eq!(origin(PROXY, &forged), Ok("https://f.example".into()));
        let standard = [host, ("forwarded", "for=1;host=evil, for=2;Host=\"f.example:8443\"; proto=https")];
        assert_eq!(origin(PROXY, &standard), Ok("https://f.example:8443".into()));
        assert_eq!(origin(PROXY, &[host, ("x-forwarded-proto", "javascript")]), Ok("http://inside:7071".into()));
    }

    #[test]
    fn the_client_is_whom_a_trusted_proxy_names() {
        let client = |peer, headers: &[(&str, &str)]| {
            let request =
                headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            let outside = Outside { url: None, proxies: vec!["10.0.0.0/24".parse().unwrap()] };
            let head = request.body(()).unwrap().into_parts().0;
            let client = outside.client(&head.headers, peer);
            client
                .map(|client| client.map(|address| address.to_string()))
                .unwrap_or_else(|error| Some(error.code.to_owned()))
        };
        let named = |headers: &[(&str, &str)]| client(PROXY, headers);
        assert_eq!(client(CLIENT, &[("x-forwarded-for", "203.0.113.7")]).as_deref(), Some("10.0.1.1"), "not trusted");
        assert_eq!(named(&[("x-forwarded-for", "203.0.113.7")]).as_deref(), Some("203.0.113.7"));
        assert_eq!(named(&[("x-forwarded-for", "198.51.100.1, 203.0.113.7:99")]).as_deref(), Some("203.0.113.7"));
        let forged = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(named(&forged).as_deref(), Some("203.0.113.7"), "the last is the proxy's own");
        assert_eq!(named(&[("forwarded", "for=\"[2001:db8::7]:99\";proto=https")]).as_deref(), Some("2001:db8::7"));
        assert_eq!(named(&[("forwarded", "for=198.51.100.1, For=\"[2001:db8::7]\"")]).as_deref(), Some("2001:db8::7"));
        for nobody in ["unknown", "_hidden", ""] {
            assert_eq!(named(&[("x-forwarded-for", nobody)]), None, "{nobody}");
        }
        assert_eq!(named(&[]), None);
        let behind_two = [("x-forwarded-for", "203.0.113.7, 10.0.0.2")];
        assert_eq!(named(&behind_two).as_deref(), Some("203.0.113.7"), "the last but our own proxies");
        assert_eq!(named(&[("x-forwarded-for", "10.0.0.3, 10.0.0.2")]), None);
    }

    #[test]
    fn two_kinds_of_headers_must_name_the_same_client() {
        let outside = Outside { url: None, proxies: vec!["10.0.0.0/24".parse().unwrap()] };
        let client = |headers: &[(&str, &str)]| {
            let request =
                headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
            let head = request.body(()).unwrap().into_parts().0;
            outside.client(&head.headers, PROXY).map_err(|error| (error.status.as_u16(), error.code))
        };
        let written = ("x-forwarded-for", "203.0.113.7");
        for forged in ["for=127.0.0.1", "for=198.51.100.1", "proto=http", ""] {
            assert_eq!(client(&[("forwarded", forged), written]), Err((400, "two-forwardings")), "{forged:?}");
        }
        assert_eq!(client(&[("forwarded", "for=203.0.113.7"), written]), Ok(address("203.0.113.7")));
        let only_proto = [("forwarded", "for=198.51.100.1"), ("x-forwarded-proto", "https")];
        assert_eq!(client(&only_proto), Err((400, "two-forwardings")));
    }

    #[test]
    fn a_link_has_a_key_only_where_it_was_asked_for() {
        let links = Links { origin: "http://f".into(), key: None };
        assert_eq!(links.instance("a b/é"), "http://f/runtime/webhooks/durabletask/instances/a%20b%2F%C3%A9");
        assert_eq!(links.key_after(true), "");
        let links = Links { key: Some("k&1".into()), ..links };
        assert_eq!((&*links.key_after(true), &*links.key_after(false)), ("&code=k%261", "?code=k%261"));
    }
}
