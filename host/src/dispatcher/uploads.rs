//! Modules on their way in. One may take minutes to compile, so a few are compiled at a time, some more wait for that, and the others are
//! refused. A client that hangs up gives its place away only when the work is done.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::DeployError;
use crate::engine::{Admitted, Engine};
use crate::limits::{UPLOADS_AT_HAND, UPLOADS_COMPILED};
use crate::store::StoreError;

pub struct Uploads {
    at_hand: Arc<Semaphore>,
    compiled: Arc<Semaphore>,
}

impl Default for Uploads {
    fn default() -> Self {
        Uploads {
            at_hand: Arc::new(Semaphore::new(UPLOADS_AT_HAND)),
            compiled: Arc::new(Semaphore::new(UPLOADS_COMPILED)),
        }
    }
}

impl Uploads {
    /// Checks and compiles an upload, when it is its turn.
    pub async fn admit(&self, engine: Arc<Engine>, module: Bytes) -> Result<Admitted, DeployError> {
        let at_hand = self.at_hand.clone().try_acquire_owned().map_err(|_| DeployError::Busy)?;
        let compiled = self.compiled.clone().acquire_owned().await.map_err(|_| DeployError::Busy)?;
        let admit = move || {
            let _places = (at_hand, compiled);
            engine.admit(&module)
        };
        let admitted = tokio::task::spawn_blocking(admit).await;
        Ok(admitted.map_err(|error| StoreError::Io(error.to_string().into()))??)
    }
}
