//! The store in one SQLite file, `fermata.db`. `docs/persistence.md` describes it for those who run it.
//!
//! - [`writer`]: the one thread that writes, a transaction and an fsync per batch
//! - [`apply`]: writes inside a transaction; [`row`]: an instance in it; [`chain`]: how history is laid out; [`requests`]: what must not
//!   be done twice
//! - [`partitions`], [`modules`]: the other things that are written
//! - [`reader`]: reads, on other connections; [`listing`]: those of many instances; [`salvage`]: what they can still have where some of it is damaged;
//!   [`mend`]: a table that goes on without what is
//! - [`copy`]: a file read beside its host, for a copy or to be checked; [`check`]: whether its rows fit each other; [`rescue`]: a new one out of what
//!   a damaged one still has
//! - [`checkpoint`]: the log goes into the database; [`space`]: what is free goes back to the system
//! - [`open`], [`lock`]: the way to a file that is ours; [`format`]: what is in it; [`pages`], [`frames`]: whether it still is what was written;
//!   [`health`]: which errors mean what

mod apply;
mod chain;
mod check;
mod checkpoint;
pub mod copy;
mod format;
mod frames;
mod health;
mod listing;
mod lock;
mod mend;
mod modules;
mod open;
pub mod pages;
mod partitions;
mod reader;
mod requests;
pub mod rescue;
mod row;
mod salvage;
mod space;
#[cfg(test)]
mod tests;
mod writer;

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use self::checkpoint::Checkpoints;
use self::health::{Failure, Health};
pub use self::open::directory;
use self::partitions::Numbers;
use self::reader::Readers;
use self::writer::{Answer, Job, Writer};
use super::*;

/// The database's name in the data directory.
pub const FILE: &str = "fermata.db";

/// Dropping it writes what is queued, and closes the file.
pub struct Embedded {
    /// None only while it is dropped.
    queue: Option<Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    health: Arc<Health>,
    readers: Arc<Readers>,
    numbers: Arc<Numbers>,
}

impl Embedded {
    /// Opens the store in this directory, or makes a new one.
    pub fn open(dir: &Path) -> Result<Embedded, StoreError> {
        open::directory(dir)?;
        let mut lock = lock::lock(dir)?;
        let file = dir.join(FILE);
        let db = open::database(&file)?;
        lock.announce()?;
        let numbers = Numbers::read(&db).map_err(health::read_error)?;
        let health = Arc::new(Health::default());
        let checkpoints = Checkpoints::start(&file, health.clone())?;
        let (queue, writer) = writer::start(db, checkpoints, health.clone(), lock)
            .map_err(|error| StoreError::Io(error.to_string().into()))?;
        Ok(Embedded {
            queue: Some(queue),
            writer: Some(writer),
            readers: Arc::new(Readers::new(file, health.clone())),
            health,
            numbers: Arc::new(numbers),
        })
    }

    fn send(&self, job: Job) {
        if let Some(queue) = &self.queue {
            // Where the writer is gone, the job is dropped here, and with it goes the answer that says so.
            let _ = queue.send(job);
        }
    }

    /// Runs work on the writer's thread, after all that was queued before.
    fn on_writer<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Writer) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let (answer, outcome) = oneshot::channel();
        self.send(Job::Task(Box::new(move |writer| {
            let _ = answer.send(work(writer));
        })));
        Box::pin(async move { outcome.await.unwrap_or_else(|_| Err(self.health.poison("the writer thread stopped"))) })
    }

    fn transaction<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        self.on_writer(move |writer| writer.transaction(work))
    }

    /// A read that may take long does so on a thread for such work, where there is a runtime that has one.
    fn read_apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        self.apart(move |readers| readers.read(work))
    }

    /// The same, for what takes several reads where the first finds damage.
    fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Readers) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<'static, T> {
        let readers = self.readers.clone();
        Box::pin(async move {
            match tokio::runtime::Handle::try_current() {
                Err(_) => work(&readers),
                Ok(runtime) => runtime
                    .spawn_blocking(move || work(&readers))
                    .await
                    .unwrap_or_else(|error| Err(StoreError::Io(error.to_string().into()))),
            }
        })
    }
}

/// `find`, `remembered`, `snapshot` and `load` read a few rows: a thread switch would cost more than they do.
impl Store for Embedded {
    fn acquire<'a>(&'a self, owner: &'a str) -> StoreFuture<'a, Vec<Lease>> {
        let owner = owner.to_owned();
        self.transaction(move |db| partitions::acquire(db, &owner))
    }

    fn release<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, ()> {
        let leases = leases.to_vec();
        self.transaction(move |db| partitions::release(db, &leases))
    }

    fn reserve(&self, count: u64) -> StoreFuture<'_, u64> {
        match self.health.check().map(|()| self.numbers.take(count)) {
            Err(error) => Box::pin(ready(Err(error))),
            Ok(Some(first)) => Box::pin(ready(Ok(first))),
            Ok(None) => {
                let numbers = self.numbers.clone();
                self.on_writer(move |writer| numbers.extend_and_take(writer, count))
            }
        }
    }

    fn deploy(&self, module: Module) -> StoreFuture<'_, ()> {
        self.transaction(move |db| modules::deploy(db, &module))
    }

    fn modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>> {
        self.read_apart(modules::all)
    }

    fn readable_modules(&self) -> StoreFuture<'_, Vec<ModuleInfo>> {
        self.apart(Readers::readable_modules)
    }

    /// Counted apart first: while a module is needed, nobody has to wait for the count.
    fn delete_module<'a>(&'a self, digest: &'a str, move_to: &'a str) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let (wanted, moved) = (digest.to_owned(), move_to.to_owned());
            let count = move |db: &Connection| modules::needed(db, &wanted, &moved).map_err(health::failed_read);
            let needed = self.read_apart(count).await?;
            if needed > 0 {
                return Ok(needed);
            }
            let (digest, move_to) = (digest.to_owned(), move_to.to_owned());
            self.transaction(move |db| modules::delete(db, &digest, &move_to)).await
        })
    }

    fn module_bytes<'a>(&'a self, digest: &'a str) -> StoreFuture<'a, Option<Vec<u8>>> {
        let digest = digest.to_owned();
        self.read_apart(move |db| modules::bytes(db, &digest))
    }

    fn submit(&self, write: Write, on_durable: OnDurable) {
        self.send(Job::Write(write, Answer::new(on_durable, self.health.clone())));
    }

    fn find<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Instance>> {
        Box::pin(async move { self.readers.read(|db| reader::find(db, id)) })
    }

    fn remembered<'a>(&'a self, id: &'a str, key: &'a str) -> StoreFuture<'a, Option<Remembered>> {
        Box::pin(async move { self.readers.read(|db| requests::find(db, id, key)) })
    }

    fn snapshot<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Snapshot>> {
        Box::pin(async move { self.readers.read(|db| reader::snapshot(db, id)) })
    }

    fn load(&self, key: InstanceKey) -> StoreFuture<'_, Option<Loaded>> {
        Box::pin(async move { self.readers.read(|db| reader::load(db, key)) })
    }

    fn list(&self, filter: Filter) -> StoreFuture<'_, Page> {
        self.read_apart(move |db| listing::list(db, &filter))
    }

    fn unread(&self) -> StoreFuture<'_, Vec<UnreadInstance>> {
        self.read_apart(reader::unread)
    }

    fn open_activities(&self) -> StoreFuture<'_, Vec<Activity>> {
        self.read_apart(reader::open_activities)
    }

    fn outbox(&self) -> StoreFuture<'_, Vec<Sent>> {
        self.read_apart(reader::outbox)
    }

    fn undone(&self) -> StoreFuture<'_, Undone> {
        self.apart(Readers::undone)
    }

    fn mend_edges(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let broken = self.apart(Readers::broken_edges).await?;
            if broken.is_empty() {
                return Ok(());
            }
            tracing::error!(tables = ?broken, "the place that is written next lies on a damaged page of the database: these tables begin anew without it");
            let readers = self.readers.clone();
            self.transaction(move |db| broken.iter().try_for_each(|edge| readers.mend_edge(db, *edge))).await
        })
    }

    fn mend(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let damaged = self.apart(Readers::to_mend).await?;
            self.transaction(move |db| damaged.iter().try_for_each(|rest| rest.begin_anew(db))).await
        })
    }

    fn due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        self.read_apart(move |db| reader::due(db, after, limit))
    }

    fn readable_due(&self, after: Option<(Timestamp, InstanceKey)>, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        self.apart(move |readers| readers.readable_due(after, limit))
    }

    fn ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>> {
        self.read_apart(move |db| reader::ended(db, limit))
    }

    fn readable_ended(&self, limit: usize) -> StoreFuture<'_, Vec<Ended>> {
        self.apart(move |readers| readers.readable_ended(limit))
    }

    fn count_ended(&self) -> StoreFuture<'_, u64> {
        self.read_apart(reader::count_ended)
    }

    fn poisoned(&self) -> Option<Arc<str>> {
        self.health.reason()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.readers.close();
        drop(self.queue.take());
        // Who is told of a write may be the last to hold the store, on the writer's own thread: that one ends by itself.
        if let Some(writer) = self.writer.take().filter(|writer| writer.thread().id() != std::thread::current().id()) {
            let _ = writer.join();
        }
    }
}
