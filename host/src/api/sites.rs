//! Which pages a browser may send here without a key. Any page may send requests to this machine, and by changing what its own name
//! resolves to (DNS rebinding) it may read the answers; what it can not do is hide its name.

use std::net::IpAddr;

use hyper::header::{HOST, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;

use super::error::ApiError;

/// Names that are ours besides those of this machine.
#[derive(Clone, Debug, Default)]
pub struct Sites {
    pub names: Vec<String>,
}

impl Sites {
    /// The host must be named by an address, by a name of this machine or by one of ours, and a page must be one of this very host.
    pub fn check(&self, head: &Parts) -> Result<(), ApiError> {
        let host = head.uri.authority().map(|authority| authority.as_str()).or_else(|| text(&head.headers, HOST));
        if let Some(host) = host
            && !self.is_ours(host)
        {
            return Err(ApiError::foreign_host(host));
        }
        match head.headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or("?")) {
            Some(origin) if !is_same_site(origin, host) => Err(ApiError::foreign_origin(origin)),
            _ => Ok(()),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        name.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.names.iter().any(|ours| ours.eq_ignore_ascii_case(&name))
    }
}

fn is_same_site(origin: &str, host: Option<&str>) -> bool {
    let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    site.zip(host).is_some_and(|(site, host)| site.eq_ignore_ascii_case(host))
}

fn text(headers: &HeaderMap, name: hyper::header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn check(headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let request = headers.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let sites = Sites { names: vec!["fermata.test".into()] };
        sites.check(&request.body(()).unwrap().into_parts().0).map_err(|refusal| refusal.code)
    }

    #[test]
    fn names_of_this_machine_are_ours() {
        for host in [
            "localhost:7071",
            "LOCALHOST",
            "127.0.0.1:7071",
            "[::1]:7071",
            "10.0.0.7",
            "a.localhost",
            "Fermata.Test:80",
        ] {
            assert_eq!(check(&[("host", host)]), Ok(()), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:7071", "127.0.0.1.evil.example", "", "a b", "notlocalhost"]
        {
            assert_eq!(check(&[("host", host)]), Err("foreign-host"), "{host}");
        }
        assert_eq!(check(&[]), Ok(()), "no browser leaves it out");
    }

    #[test]
    fn pages_of_others_are_refused() {
        let host = ("host", "localhost:7071");
        assert_eq!(check(&[host, ("origin", "http://localhost:7071")]), Ok(()));
        for origin in ["http://evil.example", "http://localhost:3000", "null", "http://localhost:70711", ""] {
            assert_eq!(check(&[host, ("origin", origin)]), Err("foreign-origin"), "{origin}");
        }
    }
}
