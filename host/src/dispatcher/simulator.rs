//! A dispatcher that can be made to do the same again: it has no threads of its own, and what chance would decide somebody decides.

use std::pin::Pin;
use std::sync::Arc;

use fermata_replay::Outcome;

use super::{Dispatcher, asleep};
use crate::store::{Activity, StoreError};

/// What an activity came to; an error says nothing about it: the host could not run it.
pub type Performed = Pin<Box<dyn Future<Output = Result<Outcome, String>> + Send>>;

/// Decides what is left to threads and to chance otherwise. Two runs of which all decisions, and all answers of store and clock, are the
/// same do the same.
pub trait Simulator: Send + Sync + 'static {
    /// Threads would begin to run orchestrators: from now on [`Dispatcher::run_one`] does.
    fn begins(&self, dispatcher: &Arc<Dispatcher>);

    /// A thread is at a place where it holds no lock: whatever others could do there may be done now.
    fn meanwhile(&self);

    /// Does the work of an activity, in the place of modules and endpoints.
    fn perform(&self, activity: &Activity) -> Performed;

    /// Fills in bytes that are random otherwise: names of executions, seeds of guests.
    fn fill(&self, bytes: &mut [u8]);
}

impl Dispatcher {
    /// Runs one of the instances that have something to do, until it has nothing more to do: `choose` names its place among so many. False
    /// where there is none.
    pub fn run_one(self: &Arc<Self>, choose: impl FnOnce(usize) -> usize) -> bool {
        let Some(slot) = self.queue.take(choose) else { return false };
        let asleep = asleep();
        let _runtime = asleep.enter();
        self.turn(&slot, None);
        true
    }

    /// Does what takes long where it holds up nobody.
    pub(super) async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        match &self.simulator {
            Some(_) => Ok(work()),
            None => tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Io(error.to_string().into())),
        }
    }

    /// To be called where no lock is held, and where what other threads do makes a difference.
    pub(super) fn meanwhile(&self) {
        if let Some(simulator) = &self.simulator {
            simulator.meanwhile();
        }
    }

    /// A name that nothing else has. It begins with the time.
    pub(super) fn new_name(&self) -> String {
        let millis = u64::try_from(self.clock.now().0 / 1_000).unwrap_or(0);
        let random = random(self.simulator.as_deref());
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid().simple().to_string()
    }
}

/// Bytes that nobody foresees but who simulates.
pub(super) fn random<const N: usize>(simulator: Option<&dyn Simulator>) -> [u8; N] {
    let mut bytes = [0; N];
    match simulator {
        Some(simulator) => simulator.fill(&mut bytes),
        None => rand::Rng::fill_bytes(&mut rand::rng(), &mut bytes),
    }
    bytes
}
