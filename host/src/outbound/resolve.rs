//! From names to addresses that may be connected to.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::address::Special;
use super::{Outbound, Trust};

/// What is asked for the addresses of a name.
pub trait Names: Send + Sync {
    fn look_up(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the system. It keeps a thread busy, also for somebody who waits no more.
struct System {
    at_a_time: Arc<Semaphore>,
}

/// Names that the system looks up at a time.
const LOOK_UPS: usize = 32;

impl Names for System {
    fn look_up(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let at_a_time = self.at_a_time.clone();
        Box::pin(async move {
            let place = at_a_time.acquire_owned().await.map_err(io::Error::other)?;
            let look_up = move || {
                let _place = place;
                let addresses = (name.as_str(), 0).to_socket_addrs()?;
                Ok(addresses.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(look_up).await.map_err(io::Error::other)?
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error("the name {0:?} can not be looked up: {1}")]
    Unknown(String, io::Error),
    #[error(
        "the name {name:?} leads to {address}, which {special}; where that is meant, write the address itself in place of the \
         name, or its network into [outbound] networks of the configuration"
    )]
    Forbidden { name: String, address: IpAddr, special: Special },
}

/// Looks names up, and lets through where they may lead.
#[derive(Clone)]
pub struct Resolver {
    names: Arc<dyn Names>,
    rules: Arc<Outbound>,
}

impl Resolver {
    /// By the resolver of the system.
    pub fn new(rules: Outbound) -> Resolver {
        Resolver::with_names(rules, Arc::new(System { at_a_time: Arc::new(Semaphore::new(LOOK_UPS)) }))
    }

    pub fn with_names(rules: Outbound, names: Arc<dyn Names>) -> Resolver {
        Resolver { names, rules: Arc::new(rules) }
    }

    /// The addresses that may be connected to, at least one.
    pub async fn addresses(&self, name: &str, trust: Trust) -> Result<Vec<IpAddr>, Unreachable> {
        let unknown = |error| Unreachable::Unknown(name.to_owned(), error);
        let found = self.names.look_up(name.to_owned()).await.map_err(unknown)?;
        let forbidden = |address: &IpAddr| self.rules.check(*address, trust).err().map(|special| (*address, special));
        let first_forbidden = found.iter().find_map(forbidden);
        let allowed: Vec<IpAddr> = found.into_iter().filter(|address| forbidden(address).is_none()).collect();
        match first_forbidden {
            _ if !allowed.is_empty() => Ok(allowed),
            Some((address, special)) => Err(Unreachable::Forbidden { name: name.to_owned(), address, special }),
            None => Err(unknown(io::Error::new(io::ErrorKind::NotFound, "it has no address"))),
        }
    }
}

/// The resolver of a client of HTTP, which connects to the addresses that it is given.
#[derive(Clone)]
pub struct OfEndpoints(pub Resolver);

impl Service<Name> for OfEndpoints {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Unreachable;
    type Future = BoxFuture<'static, Result<Self::Response, Unreachable>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unreachable>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let resolver = self.0.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str(), Trust::Endpoint).await?;
            // The client puts the port of the URL in.
            Ok(addresses.into_iter().map(|address| SocketAddr::new(address, 0)).collect::<Vec<_>>().into_iter())
        })
    }
}

#[cfg(test)]
pub mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Knows some names; of one that has several lists of addresses each look-up gets the next one.
    #[derive(Default)]
    pub struct Stub {
        pub names: HashMap<&'static str, Vec<&'static str>>,
        pub look_ups: AtomicUsize,
    }

    impl Names for Stub {
        fn look_up(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let count = self.look_ups.fetch_add(1, Ordering::SeqCst);
            let lists = self.names.get(&*name).cloned();
            Box::pin(async move {
                let lists = lists.ok_or_else(|| io::Error::other("no such name"))?;
                let list = lists[count.min(lists.len() - 1)];
                Ok(list.split_whitespace().map(|address| address.parse().unwrap()).collect())
            })
        }
    }

    pub fn stub(rules: Outbound, names: &[(&'static str, &[&'static str])]) -> (Resolver, Arc<Stub>) {
        let names = names.iter().map(|(name, lists)| (*name, lists.to_vec())).collect();
        let stub = Arc::new(Stub { names, look_ups: AtomicUsize::new(0) });
        (Resolver::with_names(rules, stub.clone()), stub)
    }

    /// What a name that has these addresses leads to.
    async fn leads_to(addresses: &'static str, networks: &[&str], trust: Trust) -> Result<String, String> {
        let rules = Outbound { networks: networks.iter().map(|network| network.parse().unwrap()).collect() };
        let (resolver, _) = stub(rules, &[("name.example", &[addresses])]);
        let found = resolver.addresses("name.example", trust).await.map_err(|error| error.to_string())?;
        Ok(found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
    }

    #[tokio::test]
    async fn where_a_name_may_lead() {
        use Trust::{Endpoint, Guest};
        let private = &["10.0.0.0/8"][..];
        for (addresses, networks, trust, expected) in [
            ("93.184.216.34", &[][..], Guest, Ok("93.184.216.34")),
            ("2606:2800:220:1::1 93.184.216.34", &[], Guest, Ok("2606:2800:220:1::1 93.184.216.34")),
            ("127.0.0.1", &[], Guest, Err("is this machine")),
            ("::1", &[], Guest, Err("is this machine")),
            ("10.0.0.1", &[], Guest, Err("is private")),
            ("192.168.1.1", &[], Guest, Err("is private")),
            ("172.20.0.1", &[], Guest, Err("is private")),
            ("fd00::1", &[], Guest, Err("is private")),
            ("100.64.0.1", &[], Guest, Err("is of a provider's own network")),
            ("169.254.169.254", &[], Guest, Err("is where a cloud tells its secrets")),
            ("fe80::1", &[], Guest, Err("is of the local link")),
            ("::ffff:127.0.0.1", &[], Guest, Err("stands for another one")),
            ("::ffff:93.184.216.34", &[], Guest, Err("stands for another one")),
            ("64:ff9b::a9fe:a9fe", &[], Guest, Err("stands for another one")),
            ("2002:7f00:1::", &[], Guest, Err("stands for another one")),
            ("2001:0:5ef5:79fd::1", &[], Guest, Err("stands for another one")),
            ("224.0.0.1", &[], Guest, Err("is of many machines")),
            ("0.0.0.0", &[], Guest, Err("is no machine's")),
            ("::", &[], Guest, Err("is no machine's")),
            // Of several only those that may be reached are.
            ("127.0.0.1 93.184.216.34 10.0.0.1", &[], Guest, Ok("93.184.216.34")),
            ("10.0.0.1", private, Guest, Ok("10.0.0.1")),
            ("127.0.0.1 10.0.0.1", private, Guest, Ok("10.0.0.1")),
            ("192.168.1.1", private, Guest, Err("is private")),
            ("::ffff:10.0.0.1", private, Guest, Err("stands for another one")),
            ("10.0.0.1", &[], Endpoint, Ok("10.0.0.1")),
            ("127.0.0.1 ::1", &[], Endpoint, Ok("127.0.0.1 ::1")),
            ("fd00::1", &[], Endpoint, Ok("fd00::1")),
            ("169.254.169.254", &[], Endpoint, Err("is where a cloud tells its secrets")),
            ("fd00:ec2::254", &[], Endpoint, Err("is where a cloud tells its secrets")),
            ("168.63.129.16", &[], Endpoint, Err("is where a cloud tells its secrets")),
            ("169.254.1.1", &[], Endpoint, Err("is of the local link")),
            ("0.0.0.0", &[], Endpoint, Err("is no machine's")),
            ("::ffff:127.0.0.1", &[], Endpoint, Err("stands for another one")),
            ("", &[], Guest, Err("it has no address")),
        ] {
            match (leads_to(addresses, networks, trust).await, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{addresses}: {found}"),
                (found, expected) => panic!("{addresses} for {trust:?}: {found:?}, not {expected:?}"),
            }
        }
        let (resolver, _) = stub(Outbound::default(), &[]);
        let error = resolver.addresses("nobody.example", Guest).await.unwrap_err().to_string();
        assert!(error.contains("nobody.example") && error.contains("no such name"), "{error}");
    }
}
