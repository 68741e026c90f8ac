//! What this host, and guests that may, connect to. An address is looked at before it is connected to, and it is that very address which is
//! connected to: no name is resolved twice.
//!
//! - [`address`]: which addresses are special, and how
//! - [`destination`]: what an operator has written down as a place that may be reached
//! - [`resolve`]: from a name to addresses that it may lead to
//!
//! | written down as | may lead to |
//! |---|---|
//! | an address, or a network | this address, or those in it; clouds' metadata by its address alone |
//! | a name, in the URL of an activity's endpoint | public addresses, private ones, this machine, for the endpoint is the operator's; the networks that the configuration allows |
//! | a name, in what a module may reach | public addresses, and those in the networks that the configuration allows |

pub mod address;
pub mod destination;
pub mod resolve;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use address::Special;

/// The table `[outbound]` of the configuration file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Outbound {
    /// Networks to which a name may lead although they are not public.
    pub networks: Vec<IpNet>,
}

/// Whose word a name is: it decides where it may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A service of the operator's own.
    Endpoint,
    /// Something outside, which a guest asks for.
    Guest,
}

impl Outbound {
    /// Whether a name may lead to this address; if not, what is special about it.
    pub fn check(&self, address: IpAddr, trust: Trust) -> Result<(), Special> {
        let Some(special) = Special::of(address) else { return Ok(()) };
        let is_own = trust == Trust::Endpoint && special.is_own_network();
        if is_own || self.networks.iter().any(|network| names(network, address)) { Ok(()) } else { Err(special) }
    }
}

/// Whether who wrote this network down meant the address. Where machines ask who they are is never meant by what lies around it: such an address
/// must stand there by itself.
fn names(network: &IpNet, address: IpAddr) -> bool {
    let is_alone = network.prefix_len() == network.max_prefix_len();
    network.contains(&address) && (is_alone || Special::of(address) != Some(Special::Metadata))
}
