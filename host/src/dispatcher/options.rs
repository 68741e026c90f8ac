//! How the dispatcher is set up.

use std::sync::Arc;

use super::{Residency, Retention, Services, Simulator};
use crate::capabilities::Capabilities;
use crate::limits::HostLimits;
use crate::outbound::Outbound;

#[derive(Clone)]
pub struct Options {
    pub residency: Residency,
    /// Threads that run orchestrators.
    pub workers: usize,
    /// Activities that run at a time.
    pub activities: usize,
    /// Who serves which activity.
    pub services: Services,
    /// Where names may lead.
    pub outbound: Outbound,
    /// What activities of modules may do.
    pub capabilities: Capabilities,
    pub retention: Retention,
    pub limits: HostLimits,
    /// In the place of threads and chance.
    pub simulator: Option<Arc<dyn Simulator>>,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Options {
            residency: Residency::default(),
            workers: cores,
            activities: 16 * cores,
            services: Services::default(),
            outbound: Outbound::default(),
            capabilities: Capabilities::default(),
            retention: Retention::default(),
            limits: HostLimits::default(),
            simulator: None,
        }
    }
}

impl Options {
    /// Guests that may exist at a time.
    pub fn guests(&self) -> u32 {
        // A guest that is over the budget is dropped only after it blocked, and none that has messages; and modules are asked what they hold.
        self.residency.guests() + self.guests_beside_residents()
    }

    /// How many of these are not resident: they run, are about to, or are over the budget for a moment.
    pub(super) fn guests_beside_residents(&self) -> u32 {
        let interrupted = self.limits.interrupted_guests as u32;
        self.residency.guests() / 32 + 2 * self.workers as u32 + self.activities as u32 + interrupted + 128
    }
}
