//! What outlives an owner: a store in memory, the ledger of all that was written to it, and now and then an embedded store that is written
//! to alike.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fermata::store::memory::Memory;
use fermata::store::{Filter, Instance, Lease, Module, Store as _, StoreError, Write};
use futures_executor::block_on;

use super::fate::{Fate, lock};
use super::ledger::Ledger;
use super::modules::first_module;
use super::twin::Twin;

pub struct Disk {
    fate: Arc<Fate>,
    memory: Memory,
    ledger: Mutex<Ledger>,
    twin: Option<Twin>,
    /// Who acquired it last.
    owner: AtomicUsize,
}

impl Disk {
    pub fn new(fate: Arc<Fate>) -> Arc<Disk> {
        let twin = fate.swarm.twin.then(Twin::new);
        let (memory, ledger, owner) = (Memory::new(), Mutex::default(), AtomicUsize::new(0));
        let disk = Arc::new(Disk { fate, memory, ledger, twin, owner });
        disk.deploy(0, first_module()).expect("nobody owns it yet");
        disk
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    pub fn ledger<T>(&self, look: impl FnOnce(&mut Ledger) -> T) -> T {
        look(&mut lock(&self.ledger))
    }

    /// Of all instances, in the order of creation.
    pub fn instances(&self) -> Vec<Instance> {
        block_on(self.memory.list(Filter::default())).unwrap().instances
    }

    pub fn find(&self, id: &str) -> Option<Instance> {
        block_on(self.memory.find(id)).unwrap()
    }

    /// A write takes effect, unless it is refused.
    pub fn write(&self, owner: usize, write: Write) -> Result<(), StoreError> {
        let outcome = self.memory.write(write.clone());
        self.fate.note(format_args!("  {owner}: {outcome:?}: {} {:?}", write.key, write.change));
        if let Some(twin) = &self.twin {
            twin.write(write.clone(), outcome.clone());
        }
        match &outcome {
            Ok(()) => self.ledger(|ledger| ledger.note(&write)),
            // It was purged meanwhile; or its owner is one no more.
            Err(StoreError::Missing | StoreError::Fenced(_)) => {}
            Err(refused) => {
                assert!(self.fate.is_troubled(), "the owner does not know its instance: {refused}: {write:?}");
            }
        }
        outcome
    }

    /// Modules are under no lease: whoever owns the disk owns it alone.
    pub fn check_owner(&self, owner: usize) -> Result<(), StoreError> {
        if owner == self.owner.load(Ordering::Relaxed) { Ok(()) } else { Err(StoreError::Fenced(0)) }
    }

    pub fn deploy(&self, owner: usize, module: Module) -> Result<(), StoreError> {
        self.check_owner(owner)?;
        block_on(self.memory.deploy(module.clone()))?;
        self.ledger(|ledger| ledger.deployed(&module.digest));
        if let Some(twin) = &self.twin {
            twin.deploy(module);
        }
        Ok(())
    }

    pub fn delete_module(&self, owner: usize, digest: &str, move_to: &str) -> Result<u64, StoreError> {
        self.check_owner(owner)?;
        let needed = block_on(self.memory.delete_module(digest, move_to));
        self.fate.note(format_args!("  {owner}: {digest} is deleted, needed: {needed:?}"));
        if needed == Ok(0) {
            self.ledger(|ledger| ledger.deleted(digest));
        }
        if let Some(twin) = &self.twin {
            assert_eq!(
                twin.delete_module(digest, move_to),
                needed,
                "the embedded store answers otherwise: {digest} is deleted"
            );
        }
        needed
    }

    pub fn acquire(&self, number: usize, owner: &str) -> Vec<Lease> {
        self.owner.store(number, Ordering::Relaxed);
        let leases = block_on(self.memory.acquire(owner)).unwrap();
        if let Some(twin) = &self.twin {
            assert_eq!(twin.acquire(owner), leases);
        }
        leases
    }

    pub fn release(&self, leases: &[Lease]) {
        block_on(self.memory.release(leases)).unwrap();
        if let Some(twin) = &self.twin {
            twin.release(leases);
        }
    }

    /// What is stored is what was written, and the twin stores the same.
    pub fn check(&self) {
        self.ledger(|ledger| ledger.check(&self.memory));
        if let Some(twin) = &self.twin {
            twin.check(&self.memory);
        }
    }

    /// The same, between two owners.
    pub fn check_without_owner(&self) {
        self.check();
        if let Some(twin) = &self.twin {
            twin.reopen();
            twin.check(&self.memory);
        }
    }
}
