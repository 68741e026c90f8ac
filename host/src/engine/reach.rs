//! The network of an activity: what it may look up and connect to. An address that a name led to may be connected to as long as the attempt
//! lasts, so what is connected to is what was checked.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::IntoIter;

use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{
    self, Host, HostResolveAddressStream, ResolveAddressStream,
};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, HostNetwork, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, subscribe};
use wasmtime_wasi::runtime::AbortOnDropJoinHandle;
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsView as _};

use super::log::GuestLog;
use super::world::World;
use crate::outbound::Trust;
use crate::outbound::destination::{self, Destination, Place};
use crate::outbound::resolve::Resolver;

/// What one attempt at an activity may reach.
pub struct Reach {
    destinations: Vec<Destination>,
    resolver: Resolver,
    /// Addresses that a name led to, with the ports that were granted with it.
    found: Mutex<HashSet<(IpAddr, Option<u16>)>>,
    log: GuestLog,
}

/// A look-up under way, or what came of it. Stands behind a handle that wasmtime takes for one of its own.
struct LookUp {
    task: Option<AbortOnDropJoinHandle<Result<Vec<IpAddr>, ErrorCode>>>,
    found: Result<IntoIter<IpAddr>, ErrorCode>,
}

impl Reach {
    pub fn new(destinations: Vec<Destination>, resolver: Resolver, log: GuestLog) -> Reach {
        Reach { destinations, resolver, found: Mutex::default(), log }
    }

    /// Whether a socket may be used so. Nothing may be waited for on the network, and what is not TCP is not to be had at all.
    pub fn allows(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpConnect => self.may_connect(address),
            // What every connection begins with.
            SocketAddrUse::TcpBind => address.ip().is_unspecified() && address.port() == 0,
            _ => false,
        }
    }

    fn may_connect(&self, address: SocketAddr) -> bool {
        let is_granted = self.destinations.iter().any(|destination| destination.has_address(address));
        let is_found = || {
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            [None, Some(address.port())].iter().any(|port| found.contains(&(address.ip(), *port)))
        };
        if !is_granted && !is_found() {
            self.refuse(&format!("connect to {address}"), &address.to_string());
            return false;
        }
        true
    }

    /// The addresses that a name may lead to.
    async fn look_up(&self, name: String) -> Result<Vec<IpAddr>, ErrorCode> {
        let name = match name.parse() {
            // Nothing is looked up. Whether it may be connected to is another question.
            Ok(destination::Host::Address(address)) => return Ok(vec![address]),
            Ok(destination::Host::Name(name)) => name,
            Err(why) => {
                self.tell(&why);
                return Err(ErrorCode::InvalidArgument);
            }
        };
        let is_meant = |destination: &&Destination| destination.is_named(&name) || destination.place == Place::Public;
        let ports: Vec<Option<u16>> = self.destinations.iter().filter(is_meant).map(|meant| meant.port).collect();
        if ports.is_empty() {
            self.refuse(&format!("look up {name:?}"), &name);
            return Err(ErrorCode::AccessDenied);
        }
        match self.resolver.addresses(&name, Trust::Guest).await {
            Ok(addresses) => {
                let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
                found.extend(addresses.iter().flat_map(|address| ports.iter().map(|port| (*address, *port))));
                Ok(addresses)
            }
            Err(error) => {
                self.tell(&error.to_string());
                Err(ErrorCode::NameUnresolvable)
            }
        }
    }

    /// Tells the operator what was refused, and how it would be granted.
    fn refuse(&self, what: &str, place: &str) {
        self.tell(&format!(
            "this activity may not {what}: outbound = [{place:?}] in its [modules.\"…\"] of the configuration would grant it"
        ));
    }

    fn tell(&self, text: &str) {
        self.log.line(tracing::Level::WARN, text);
    }
}

/// Names are looked up here and not by wasmtime, which would look up any.
pub fn add_name_lookup(linker: &mut Linker<World>) -> wasmtime::Result<()> {
    struct OfWorld;
    impl HasData for OfWorld {
        type Data<'a> = &'a mut World;
    }
    linker.allow_shadowing(true);
    ip_name_lookup::add_to_linker::<World, OfWorld>(linker, |world| world)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What the look-up of names shares with the rest of the network stays as it is.
impl network::Host for World {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        self.sockets().convert_error_code(error)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        self.sockets().network_error_code(error)
    }
}

impl HostNetwork for World {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        HostNetwork::drop(&mut self.sockets(), network)
    }
}

impl Host for World {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> Result<Resource<ResolveAddressStream>, SocketError> {
        let (table, reach) = self.network();
        table.get(&network)?;
        // An orchestrator is told what every look-up without a network comes to.
        let reach = reach.cloned().ok_or(ErrorCode::PermanentResolverFailure)?;
        let task = wasmtime_wasi::runtime::spawn(async move { reach.look_up(name).await });
        let look_up = table.push(LookUp { task: Some(task), found: Ok(Vec::new().into_iter()) })?;
        Ok(Resource::new_own(look_up.rep()))
    }
}

impl HostResolveAddressStream for World {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Option<IpAddress>, SocketError> {
        let look_up = self.network().0.get_mut(&own(&stream))?;
        match &mut look_up.found {
            _ if look_up.task.is_some() => Err(ErrorCode::WouldBlock.into()),
            Ok(addresses) => Ok(addresses.next().map(Into::into)),
            Err(error) => Err((*error).into()),
        }
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.network().0, own(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> wasmtime::Result<()> {
        self.network().0.delete(Resource::<LookUp>::new_own(stream.rep()))?;
        Ok(())
    }
}

/// What stands behind a handle.
fn own(stream: &Resource<ResolveAddressStream>) -> Resource<LookUp> {
    Resource::new_borrow(stream.rep())
}

#[wasmtime_wasi::async_trait]
impl Pollable for LookUp {
    async fn ready(&mut self) {
        if let Some(task) = &mut self.task {
            self.found = task.await.map(Vec::into_iter);
            self.task = None;
        }
    }
}

/// The check of each use of a socket, as wasmtime asks for it.
pub fn check(
    reach: Arc<Reach>,
) -> impl Fn(SocketAddr, SocketAddrUse) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + Sync>> {
    move |address, purpose| {
        let allowed = reach.allows(address, purpose);
        Box::pin(std::future::ready(allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::GuestLimits;
    use crate::outbound::Outbound;
    use crate::outbound::resolve::tests::stub;

    fn reach(destinations: &[&str], names: &[(&'static str, &[&'static str])]) -> Reach {
        let destinations = destinations.iter().map(|destination| destination.parse().unwrap()).collect();
        let rules = Outbound { networks: vec!["10.9.0.0/16".parse().unwrap()] };
        Reach::new(destinations, stub(rules, names).0, GuestLog::new("i", &GuestLimits::default(), &Arc::default()))
    }

    fn connects(reach: &Reach, address: &str) -> bool {
        reach.allows(address.parse().unwrap(), SocketAddrUse::TcpConnect)
    }

    #[tokio::test]
    async fn what_was_looked_up_may_be_connected_to_and_nothing_else() {
        let names: &[(&str, &[&str])] =
            &[("api.example.com", &["93.184.216.34", "93.184.216.35"]), ("evil.example", &["10.0.0.1"])];
        let reach = reach(&["api.example.com:443", "evil.example", "10.1.0.0/16:5432"], names);
        assert!(!connects(&reach, "93.184.216.34:443"), "not before it was looked up");
        assert_eq!(reach.look_up("API.example.com.".into()).await.unwrap().len(), 1);
        assert!(connects(&reach, "93.184.216.34:443"));
        assert!(!connects(&reach, "93.184.216.34:80") && !connects(&reach, "93.184.216.35:443"));
        assert_eq!(reach.look_up("evil.example".into()).await, Err(ErrorCode::NameUnresolvable));
        assert!(!connects(&reach, "10.0.0.1:443"));
        assert_eq!(reach.look_up("other.example".into()).await, Err(ErrorCode::AccessDenied));
        assert_eq!(reach.look_up("127.1".into()).await, Err(ErrorCode::InvalidArgument));
        assert_eq!(reach.look_up("127.0.0.1".into()).await.unwrap().len(), 1);
        assert!(!connects(&reach, "127.0.0.1:80"), "an address is no right to it");
        assert!(connects(&reach, "10.1.2.3:5432") && !connects(&reach, "10.1.2.3:80"));
    }

    #[tokio::test]
    async fn public_is_any_name_and_no_special_address() {
        let names: &[(&str, &[&str])] =
            &[("a.example", &["93.184.216.34"]), ("b.example", &["169.254.169.254"]), ("c.example", &["10.9.0.1"])];
        let reach = reach(&["public:443"], names);
        assert!(reach.look_up("a.example".into()).await.is_ok());
        assert!(reach.look_up("b.example".into()).await.is_err());
        assert!(reach.look_up("c.example".into()).await.is_ok(), "the operator allows its network");
        assert!(connects(&reach, "10.9.0.1:443") && connects(&reach, "8.8.8.8:443"));
        for special in ["127.0.0.1:443", "[::1]:443", "169.254.169.254:443", "10.9.0.2:443", "8.8.8.8:80"] {
            assert!(!connects(&reach, special), "{special}");
        }
    }

    #[test]
    fn a_socket_is_good_for_connections_alone() {
        let reach = reach(&["0.0.0.0/0"], &[]);
        let allows = |address: &str, purpose| reach.allows(address.parse().unwrap(), purpose);
        assert!(allows("0.0.0.0:0", SocketAddrUse::TcpBind) && allows("[::]:0", SocketAddrUse::TcpBind));
        assert!(!allows("0.0.0.0:80", SocketAddrUse::TcpBind) && !allows("127.0.0.1:0", SocketAddrUse::TcpBind));
        for purpose in [
            SocketAddrUse::TcpListen,
            SocketAddrUse::TcpAccept,
            SocketAddrUse::UdpBind,
            SocketAddrUse::UdpSend,
            SocketAddrUse::UdpReceive,
        ] {
            assert!(!allows("8.8.8.8:0", purpose) && !allows("0.0.0.0:0", purpose), "{purpose:?}");
        }
    }
}
