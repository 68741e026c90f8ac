//! Clients as far as they can be told apart without a key, and how many connections each may have.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

/// An address; of IPv6 the network of 64 bits, all of which one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Client {
    pub fn of(address: IpAddr) -> Client {
        Client(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
            address => address,
        })
    }
}

/// Whether an address is in one of these networks.
pub fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address.to_canonical()))
}

/// The connections there are of each client.
pub struct Connections {
    by_client: Mutex<HashMap<Client, usize>>,
    each: usize,
    /// Of whom it is not counted: proxies have many clients.
    uncounted: Vec<IpNet>,
}

/// A connection that is counted until this is dropped.
pub struct Connection {
    of: Option<(Client, Arc<Connections>)>,
}

impl Connections {
    pub fn new(each: usize, uncounted: Vec<IpNet>) -> Arc<Connections> {
        Arc::new(Connections { by_client: Mutex::default(), each, uncounted })
    }

    /// None where this client has as many as it may have.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Connection> {
        if is_in(&self.uncounted, address) {
            return Some(Connection { of: None });
        }
        let client = Client::of(address);
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by_client.get(&client).copied().unwrap_or(0);
        (count < self.each).then(|| {
            by_client.insert(client, count + 1);
            Connection { of: Some((client, self.clone())) }
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some((client, connections)) = &self.of else { return };
        let mut by_client = connections.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        match by_client.get_mut(client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(by_client.remove(client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_is_one_client() {
        let same = |one, other| Client::of(address(one)) == Client::of(address(other));
        assert!(same("203.0.113.1", "::ffff:203.0.113.1"));
        assert!(!same("203.0.113.1", "203.0.113.2"));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    }

    #[test]
    fn so_many_connections_each_and_nothing_is_kept_of_who_has_gone() {
        let connections = Connections::new(2, vec!["10.0.0.0/8".parse().unwrap()]);
        let admit = |text| connections.admit(address(text));
        let (first, second) = (admit("2001:db8::1"), admit("2001:db8::2"));
        assert!(first.is_some() && second.is_some() && admit("2001:db8::3").is_none());
        assert!(admit("2001:db8:0:1::1").is_some(), "another client");
        drop(first);
        let third = admit("2001:db8::3");
        assert!(third.is_some() && admit("2001:db8::4").is_none());
        drop((second, third));
        assert!(connections.by_client.lock().unwrap().is_empty());
        let uncounted: Vec<_> = (0..10).map(|_| admit("::ffff:10.1.1.1")).collect();
        assert!(uncounted.iter().all(Option::is_some));
    }
}
