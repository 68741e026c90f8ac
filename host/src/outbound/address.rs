//! Special addresses: those that are not one machine of the public Internet.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;

/// What is special about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// Where clouds tell a machine its secrets.
    Metadata,
    Loopback,
    Private,
    /// Of a provider's own network (RFC 6598).
    Shared,
    LinkLocal,
    Unspecified,
    Multicast,
    /// Of IPv6, but stands for an address of IPv4: whoever looks at one of the two misses the other.
    Translated,
    /// For examples and measurements.
    Documentation,
    Reserved,
}

/// The registries of special addresses (<https://www.iana.org/assignments/iana-ipv4-special-registry>, …-ipv6-special-registry), and where
/// clouds answer. The first network that an address is in counts.
const NETWORKS: &[(&str, Special)] = &[
    ("169.254.169.254/32", Special::Metadata),
    ("169.254.170.2/32", Special::Metadata),   // tasks of Amazon ECS
    ("169.254.170.23/32", Special::Metadata),  // pods of Amazon EKS
    ("100.100.100.200/32", Special::Metadata), // Alibaba
    ("168.63.129.16/32", Special::Metadata),   // Azure's wire server
    ("192.0.0.192/32", Special::Metadata),     // Oracle
    ("fd00:ec2::254/128", Special::Metadata),
    ("fd00:ec2::23/128", Special::Metadata),
    ("fd20:ce::254/128", Special::Metadata), // Google
    ("0.0.0.0/8", Special::Unspecified),
    ("10.0.0.0/8", Special::Private),
    ("100.64.0.0/10", Special::Shared),
    ("127.0.0.0/8", Special::Loopback),
    ("169.254.0.0/16", Special::LinkLocal),
    ("172.16.0.0/12", Special::Private),
    ("192.0.0.0/24", Special::Reserved),
    ("192.0.2.0/24", Special::Documentation),
    ("192.88.99.0/24", Special::Reserved),
    ("192.168.0.0/16", Special::Private),
    ("198.18.0.0/15", Special::Documentation),
    ("198.51.100.0/24", Special::Documentation),
    ("203.0.113.0/24", Special::Documentation),
    ("224.0.0.0/4", Special::Multicast),
    ("240.0.0.0/4", Special::Reserved),
    ("::/128", Special::Unspecified),
    ("::1/128", Special::Loopback),
    ("::/96", Special::Translated),         // IPv4-compatible
    ("::ffff:0:0/96", Special::Translated), // IPv4-mapped
    ("::ffff:0:0:0/96", Special::Translated),
    ("64:ff9b::/96", Special::Translated), // NAT64
    ("64:ff9b:1::/48", Special::Translated),
    ("2001::/32", Special::Translated), // Teredo
    ("2001::/23", Special::Reserved),
    ("2001:db8::/32", Special::Documentation),
    ("2002::/16", Special::Translated), // 6to4
    ("3fff::/20", Special::Documentation),
    ("fc00::/7", Special::Private),
    ("fe80::/10", Special::LinkLocal),
    ("fec0::/10", Special::Private), // site-local, as they once were
    ("ff00::/8", Special::Multicast),
];

static PARSED: LazyLock<Vec<(IpNet, Special)>> = LazyLock::new(|| {
    NETWORKS.iter().map(|(network, special)| (network.parse().expect("it is a network"), *special)).collect()
});

impl Special {
    /// None of an address of the public Internet.
    pub fn of(address: IpAddr) -> Option<Special> {
        let found = PARSED.iter().find(|(network, _)| network.contains(&address));
        found.map(|(_, special)| *special).or_else(|| is_not_assigned(address).then_some(Special::Reserved))
    }

    /// Where services of one's own are.
    pub fn is_own_network(self) -> bool {
        matches!(self, Special::Loopback | Special::Private | Special::Shared)
    }

    /// Whether no service can be there, whoever says so.
    pub fn is_no_machine(self) -> bool {
        matches!(self, Special::Unspecified | Special::Multicast | Special::Translated | Special::Reserved)
    }
}

/// Of IPv6 one eighth is in use for what is public.
fn is_not_assigned(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if !is_global_unicast(address))
}

fn is_global_unicast(address: Ipv6Addr) -> bool {
    address.segments()[0] & 0xe000 == 0x2000
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Special::Metadata => "is where a cloud tells its secrets",
            Special::Loopback => "is this machine",
            Special::Private => "is private",
            Special::Shared => "is of a provider's own network",
            Special::LinkLocal => "is of the local link",
            Special::Unspecified => "is no machine's",
            Special::Multicast => "is of many machines",
            Special::Translated => "stands for another one",
            Special::Documentation => "is for examples",
            Special::Reserved => "is reserved",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_special_about_an_address() {
        use Special::*;
        let cases: &[(&str, Option<Special>)] = &[
            ("8.8.8.8", None),
            ("1.1.1.1", None),
            ("9.255.255.255", None),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.128.0.0", None),
            ("126.255.255.255", None),
            ("128.0.0.0", None),
            ("169.253.255.255", None),
            ("169.255.0.0", None),
            ("172.15.255.255", None),
            ("172.32.0.0", None),
            ("192.167.255.255", None),
            ("192.169.0.0", None),
            ("198.17.255.255", None),
            ("198.20.0.0", None),
            ("223.255.255.255", None),
            ("2606:4700:4700::1111", None),
            ("2a00:1450:4001::8a", None),
            ("2001:4860:4860::8888", None),
            ("0.0.0.0", Some(Unspecified)),
            ("0.1.2.3", Some(Unspecified)),
            ("10.0.0.1", Some(Private)),
            ("10.255.255.255", Some(Private)),
            ("172.16.0.0", Some(Private)),
            ("172.31.255.255", Some(Private)),
            ("192.168.0.1", Some(Private)),
            ("100.64.0.0", Some(Shared)),
            ("100.127.255.255", Some(Shared)),
            ("127.0.0.1", Some(Loopback)),
            ("127.255.255.254", Some(Loopback)),
            ("169.254.0.1", Some(LinkLocal)),
            ("169.254.169.254", Some(Metadata)),
            ("169.254.170.2", Some(Metadata)),
            ("100.100.100.200", Some(Metadata)),
            ("168.63.129.16", Some(Metadata)),
            ("192.0.0.192", Some(Metadata)),
            ("192.0.0.8", Some(Reserved)),
            ("192.0.2.1", Some(Documentation)),
            ("192.88.99.1", Some(Reserved)),
            ("198.18.0.1", Some(Documentation)),
            ("203.0.113.7", Some(Documentation)),
            ("224.0.0.1", Some(Multicast)),
            ("239.255.255.255", Some(Multicast)),
            ("240.0.0.1", Some(Reserved)),
            ("255.255.255.255", Some(Reserved)),
            ("::", Some(Unspecified)),
            ("::1", Some(Loopback)),
            ("::2", Some(Translated)),
            ("::127.0.0.1", Some(Translated)),
            ("::ffff:127.0.0.1", Some(Translated)),
            ("::ffff:8.8.8.8", Some(Translated)),
            ("::ffff:0:127.0.0.1", Some(Translated)),
            ("64:ff9b::7f00:1", Some(Translated)),
            ("64:ff9b::8.8.8.8", Some(Translated)),
            ("64:ff9b:1::a9fe:a9fe", Some(Translated)),
            ("2001::1", Some(Translated)),
            ("2001:0:7f00:1::", Some(Translated)),
            ("2001:10::1", Some(Reserved)),
            ("2001:db8::1", Some(Documentation)),
            ("2002:7f00:1::", Some(Translated)),
            ("2002:a9fe:a9fe::1", Some(Translated)),
            ("3fff::1", Some(Documentation)),
            ("100::1", Some(Reserved)),
            ("4000::1", Some(Reserved)),
            ("5f00::1", Some(Reserved)),
            ("fc00::1", Some(Private)),
            ("fd12:3456:789a::1", Some(Private)),
            ("fd00:ec2::254", Some(Metadata)),
            ("fe80::1", Some(LinkLocal)),
            ("febf::1", Some(LinkLocal)),
            ("fec0::1", Some(Private)),
            ("ff02::1", Some(Multicast)),
        ];
        for (address, expected) in cases {
            assert_eq!(Special::of(address.parse().unwrap()), *expected, "{address}");
        }
    }
}
