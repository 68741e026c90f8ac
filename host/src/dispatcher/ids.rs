//! Numbers for instances and messages: unique for ever, growing, no storage round trip on the way of a message.

use std::sync::{Arc, Mutex};

use crate::store::{Store, StoreError};

/// Numbers reserved at a time.
const BLOCK: u64 = 1 << 24;
/// When so few are left, the next block is reserved in the background.
const LOW: u64 = 1 << 22;

pub struct Ids {
    store: Arc<dyn Store>,
    runtime: tokio::runtime::Handle,
    blocks: Mutex<Blocks>,
}

struct Blocks {
    next: u64,
    end: u64,
    /// The first number of the block that comes after this one.
    spare: Option<u64>,
    reserving: bool,
}

impl Ids {
    pub async fn new(store: Arc<dyn Store>) -> Result<Arc<Ids>, StoreError> {
        let next = store.reserve(BLOCK).await?;
        let blocks = Blocks { next, end: next + BLOCK, spare: None, reserving: false };
        Ok(Arc::new(Ids { store, runtime: tokio::runtime::Handle::current(), blocks: Mutex::new(blocks) }))
    }

    /// The next number. Fails only where four million were used up in less time than storage takes to reserve more.
    pub fn next(self: &Arc<Self>) -> Result<u64, StoreError> {
        let mut blocks = self.blocks.lock().expect("no panic while it is held");
        if blocks.next == blocks.end {
            let spare = blocks.spare.take().ok_or_else(|| StoreError::Io("no numbers are reserved".into()))?;
            (blocks.next, blocks.end) = (spare, spare + BLOCK);
        }
        let number = blocks.next;
        blocks.next += 1;
        if blocks.end - blocks.next < LOW && blocks.spare.is_none() && !blocks.reserving {
            blocks.reserving = true;
            self.runtime.spawn(self.clone().reserve());
        }
        Ok(number)
    }

    async fn reserve(self: Arc<Self>) {
        let reserved = self.store.reserve(BLOCK).await;
        let mut blocks = self.blocks.lock().expect("no panic while it is held");
        blocks.reserving = false;
        match reserved {
            Ok(first) => blocks.spare = Some(first),
            Err(error) => tracing::error!("numbers can not be reserved: {error}"),
        }
    }
}
