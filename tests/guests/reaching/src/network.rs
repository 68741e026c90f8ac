//! A client of TCP. Rust's own has no sockets on `wasm32-wasip1`, so WASI is asked itself.

#[cfg(target_family = "wasm")]
pub use wasm::*;

#[cfg(target_family = "wasm")]
mod wasm {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    mod bindings {
        #![allow(unsafe_code, reason = "generated: the calls of the component model")]
        wit_bindgen::generate!({ path: "wit", world: "reaching", generate_all });
    }

    use bindings::wasi::sockets::instance_network::instance_network;
    use bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
    use bindings::wasi::sockets::network::{
        ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
    };
    use bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
    use bindings::wasi::sockets::udp_create_socket::create_udp_socket;

    fn says(what: &'static str) -> impl Fn(ErrorCode) -> String {
        move |error| format!("{what}: {}", error.name())
    }

    /// Looks the name up, and connects to the first address.
    pub fn connect_by_name(name: &str, port: u16) -> Result<String, String> {
        let says = says("look up");
        let addresses = resolve_addresses(&instance_network(), name).map_err(&says)?;
        let first = loop {
            match addresses.resolve_next_address() {
                Err(ErrorCode::WouldBlock) => addresses.subscribe().block(),
                found => break found.map_err(&says)?,
            }
        };
        connect(of_wasi(first.ok_or("no address")?), port)
    }

    /// Connects, and tells what is said there.
    pub fn connect(address: IpAddr, port: u16) -> Result<String, String> {
        let says = says("connect");
        let socket = create_tcp_socket(family(address)).map_err(&says)?;
        socket.start_connect(&instance_network(), to_wasi(address, port)).map_err(&says)?;
        let (input, _output) = loop {
            match socket.finish_connect() {
                Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
                connected => break connected.map_err(&says)?,
            }
        };
        let mut said = Vec::new();
        while let Ok(piece) = input.blocking_read(1024) {
            said.extend(piece);
        }
        String::from_utf8(said).map_err(|error| error.to_string())
    }

    pub fn listen() -> Result<String, String> {
        let says = says("listen");
        let socket = create_tcp_socket(IpAddressFamily::Ipv4).map_err(&says)?;
        let anywhere = to_wasi(Ipv4Addr::UNSPECIFIED.into(), 0);
        socket.start_bind(&instance_network(), anywhere).map_err(&says)?;
        socket.finish_bind().map_err(&says)?;
        socket.start_listen().map_err(&says)?;
        loop {
            match socket.finish_listen() {
                Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
                listens => break listens.map(|()| "listens".into()).map_err(&says),
            }
        }
    }

    pub fn udp() -> Result<String, String> {
        create_udp_socket(IpAddressFamily::Ipv4).map(|_| "a socket".into()).map_err(says("udp"))
    }

    fn family(address: IpAddr) -> IpAddressFamily {
        if address.is_ipv4() { IpAddressFamily::Ipv4 } else { IpAddressFamily::Ipv6 }
    }

    fn to_wasi(address: IpAddr, port: u16) -> IpSocketAddress {
        match address {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (a, b, c, d) })
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h] = address.segments();
                let address = (a, b, c, d, e, f, g, h);
                IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 })
            }
        }
    }

    fn of_wasi(address: IpAddress) -> IpAddr {
        match address {
            IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
            IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
        }
    }
}

/// There is no guest here: the module is only for a host.
#[cfg(not(target_family = "wasm"))]
mod native {
    use std::net::IpAddr;

    pub fn connect_by_name(_: &str, _: u16) -> Result<String, String> {
        Err("no network".into())
    }

    pub fn connect(_: IpAddr, _: u16) -> Result<String, String> {
        Err("no network".into())
    }

    pub fn listen() -> Result<String, String> {
        Err("no network".into())
    }

    pub fn udp() -> Result<String, String> {
        Err("no network".into())
    }
}

#[cfg(not(target_family = "wasm"))]
pub use native::*;
