//! Places that may be reached, as an operator writes them down.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use hyper::Uri;
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::address::Special;

/// A host: an address, or a name in small letters without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Address(IpAddr),
    Name(String),
}

impl FromStr for Host {
    type Err = String;

    /// Takes an address as everybody reads it, and a name as it goes into a packet. What the resolver of the system would read as an address all
    /// the same (`127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`) is refused.
    fn from_str(text: &str) -> Result<Host, String> {
        let in_brackets = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match in_brackets {
            Some(inner) => Some(inner.parse::<Ipv6Addr>().map_err(|_| format!("{text:?} is no IPv6 address"))?.into()),
            None => text.parse::<IpAddr>().ok(),
        };
        if let Some(address) = address {
            return match Special::of(address).filter(|special| special.is_no_machine()) {
                Some(special) => Err(format!("the address {address} {special}: no service is there")),
                None => Ok(Host::Address(address)),
            };
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        if !text.is_ascii() {
            return Err(format!("{text:?} is no name of a host: write it in its ASCII form, xn--…"));
        }
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(format!("{text:?} is no name of a host"));
        }
        if is_number(name.rsplit('.').next().unwrap_or_default()) {
            return Err(format!("{text:?} is an address in an unusual spelling: write it as 192.0.2.1"));
        }
        Ok(Host::Name(name))
    }
}

/// No name ends in a number: what does is an address, to a resolver that is told so.
fn is_number(label: &str) -> bool {
    let digits = label.strip_prefix("0x");
    label.bytes().all(|byte| byte.is_ascii_digit())
        || digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => address.fmt(f),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// The URL of a service that is spoken to without TLS; the error says what is wrong with it.
pub fn http_url(text: &str) -> Result<Uri, String> {
    let wrong = |why: &str| format!("{text:?} is not the URL of an HTTP endpoint, http://HOST:PORT/PATH: {why}");
    let url: Uri = text.parse().map_err(|_| wrong("it can not be read"))?;
    let Some(authority) = url.authority().filter(|_| url.scheme_str() == Some("http")) else {
        return Err(wrong("it does not begin with http://HOST"));
    };
    if authority.as_str().contains('@') {
        return Err(wrong("names and passwords do not go into it"));
    }
    authority.host().parse::<Host>().map_err(|why| wrong(&why))?;
    let port = authority.as_str()[authority.host().len()..].strip_prefix(':');
    if port.is_some_and(|port| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(wrong("the port is no number from 1 to 65535"));
    }
    Ok(url)
}

/// What a guest may reach: `api.example.com`, `api.example.com:443`, `10.1.2.3:5432`, `[2001:db8::1]:80`, `10.1.0.0/16`, `10.1.0.0/16:5432`,
/// `public`, `public:443`. Without a port: any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub place: Place,
    pub port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Host(Host),
    Network(IpNet),
    /// All that is not special.
    Public,
}

impl FromStr for Destination {
    type Err = String;

    fn from_str(text: &str) -> Result<Destination, String> {
        // An IPv6 address without brackets has colons, and no port.
        let whole = text.parse::<IpNet>().is_ok() || text.parse::<Ipv6Addr>().is_ok();
        let (place, port) = match text.rsplit_once(':').filter(|(place, _)| !whole && !is_half_in_brackets(place)) {
            Some((place, port)) => match port.parse() {
                Ok(port @ 1..) => (place, Some(port)),
                _ => return Err(format!("{port:?} is no port: write HOST, HOST:PORT, NETWORK/BITS or public")),
            },
            None => (text, None),
        };
        let place = match place {
            "public" => Place::Public,
            network if network.contains('/') => {
                let network = network.parse::<IpNet>();
                Place::Network(network.map_err(|_| format!("{text:?} is no network such as 10.1.0.0/16"))?)
            }
            host => Place::Host(host.parse()?),
        };
        Ok(Destination { place, port })
    }
}

fn is_half_in_brackets(place: &str) -> bool {
    place.starts_with('[') && !place.ends_with(']')
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.place, self.port) {
            (Place::Host(Host::Address(address)), Some(port)) => return SocketAddr::new(*address, port).fmt(f),
            (Place::Host(host), _) => host.fmt(f)?,
            (Place::Network(network), _) => network.fmt(f)?,
            (Place::Public, _) => f.write_str("public")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for Destination {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Destination {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Destination, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Destination {
    pub fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }

    /// Whether this name is what was written down. Names are compared as written: no case, no dot at the end.
    pub fn is_named(&self, name: &str) -> bool {
        matches!(&self.place, Place::Host(Host::Name(own)) if own == name)
    }

    /// Whether this very address was written down, by itself or in a network.
    pub fn has_address(&self, address: SocketAddr) -> bool {
        self.has_port(address.port())
            && match &self.place {
                Place::Host(Host::Address(own)) => *own == address.ip(),
                Place::Network(network) => super::names(network, address.ip()),
                Place::Host(Host::Name(_)) => false,
                Place::Public => Special::of(address.ip()).is_none(),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_endpoints() {
        for right in [
            "http://127.0.0.1:9000/charge?x=1",
            "http://localhost/",
            "http://charge",
            "http://charge.internal:80/a",
            "http://10.1.2.3",
            "http://[::1]:9000/",
            "http://[fd00::1]/",
            "http://8.8.8.8/",
            "http://169.254.169.254/",
            "http://xn--bcher-kva.example/",
            "http://a_b.example./",
            "http://1.example/",
        ] {
            http_url(right).unwrap_or_else(|why| panic!("{why}"));
        }
        for (wrong, why) in [
            ("https://charge/", "http://HOST"),
            ("ftp://charge/", "http://HOST"),
            ("file:///etc/passwd", ""),
            ("gopher://charge/", "http://HOST"),
            ("/charge", "http://HOST"),
            ("charge:9000", ""),
            ("", ""),
            ("http://", ""),
            ("http:///charge", ""),
            ("http://user@charge/", "passwords"),
            ("http://user:secret@charge/", "passwords"),
            ("http://127.0.0.1@evil.example/", "passwords"),
            ("http://127.1/", "unusual"),
            ("http://127.0.1/", "unusual"),
            ("http://2130706433/", "unusual"),
            ("http://017700000001/", "unusual"),
            ("http://0177.0.0.1/", "unusual"),
            ("http://0x7f.0.0.1/", "unusual"),
            ("http://0x7f000001/", "unusual"),
            ("http://0X7F000001/", "unusual"),
            ("http://0x/", "unusual"),
            ("http://127.0.0.0x1/", "unusual"),
            ("http://127.0.0.01/", "unusual"),
            ("http://127.0.0.1./", "unusual"),
            ("http://256.0.0.1/", "unusual"),
            ("http://1.2.3.4.5/", "unusual"),
            ("http://charge.1/", "unusual"),
            ("http://0.0.0.0:9000/", "no service"),
            ("http://[::]/", "no service"),
            ("http://[::ffff:127.0.0.1]/", "stands for another"),
            ("http://[::ffff:7f00:1]/", "stands for another"),
            ("http://[64:ff9b::7f00:1]/", "stands for another"),
            ("http://[2002:7f00:1::]/", "stands for another"),
            ("http://224.0.0.1/", "no service"),
            ("http://255.255.255.255/", "no service"),
            ("http://[ff02::1]/", "no service"),
            ("http://[fe80::1%25eth0]/", ""),
            ("http://[::1/", ""),
            ("http://::1/", ""),
            ("http://a..b/", "no name"),
            ("http://a%2eb/", ""),
            ("http://bücher.example/", ""),
            ("http://charge:0/", "the port"),
            ("http://charge:65536/", "the port"),
            ("http://charge:/", "the port"),
            ("http://charge:80x/", ""),
        ] {
            let error = http_url(wrong).expect_err(wrong);
            assert!(error.contains(why) && error.contains(wrong), "{wrong}: {error}");
        }
    }

    #[test]
    fn places_that_guests_may_reach() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let host = |host| Place::Host(host);
        for (text, place, port) in [
            ("api.example.com", host(Host::Name("api.example.com".into())), None),
            ("API.example.com.:443", host(Host::Name("api.example.com".into())), Some(443)),
            ("10.1.2.3:5432", host(Host::Address(address("10.1.2.3"))), Some(5432)),
            ("2001:db8::1", host(Host::Address(address("2001:db8::1"))), None),
            ("[2001:db8::1]:80", host(Host::Address(address("2001:db8::1"))), Some(80)),
            ("[2001:db8::1]", host(Host::Address(address("2001:db8::1"))), None),
            ("10.1.0.0/16", Place::Network("10.1.0.0/16".parse().unwrap()), None),
            ("10.1.0.0/16:5432", Place::Network("10.1.0.0/16".parse().unwrap()), Some(5432)),
            ("fd00::/8", Place::Network("fd00::/8".parse().unwrap()), None),
            ("public:443", Place::Public, Some(443)),
        ] {
            assert_eq!(text.parse(), Ok(Destination { place, port }), "{text}");
        }
        for wrong in
            ["", ":80", "a:0", "a:b", "http://a", "10.0.0.0/33", "a/8", "*", "*.example.com", "127.1", "[::1", "a b"]
        {
            wrong.parse::<Destination>().expect_err(wrong);
        }
        let is_in =
            |place: &str, address: &str| place.parse::<Destination>().unwrap().has_address(address.parse().unwrap());
        assert!(is_in("10.1.2.3:80", "10.1.2.3:80") && !is_in("10.1.2.3:80", "10.1.2.3:81"));
        assert!(is_in("10.1.0.0/16", "10.1.2.3:81") && !is_in("10.1.0.0/16", "10.2.2.3:81"));
        assert!(is_in("public", "8.8.8.8:53") && !is_in("public", "127.0.0.1:53") && !is_in("public:80", "8.8.8.8:53"));
        assert!(!is_in("api.example.com", "8.8.8.8:53"), "what it leads to is not written down");
    }
}
