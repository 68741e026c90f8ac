//! The one thread that writes.
//!
//! It takes what is queued, makes it one transaction with one fsync, and answers. While that fsync runs the next batch gathers. An arrival that is
//! alone waits for a moment: the turn that it causes comes right behind it, and both are written at once.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::apply::Batch;
use super::checkpoint::{Checkpoints, PAGES_BETWEEN_LOOKS};
use super::health::{Failure, Health, Reach, reach, read_error};
use super::lock::Lock;
use super::space::{PAGES, Space};
use crate::store::{OnDurable, StoreError, Write};

/// What one transaction takes at most: enough to share an fsync well, little enough to answer soon.
const MAX_WRITES: usize = 1_024;
const MAX_BYTES: usize = 1 << 20;

const PAGE_BYTES: usize = 4_096;

/// How long an arrival waits for its turn at most; never longer than half of what a commit takes, for it saves one.
const LONGEST_PAUSE: Duration = Duration::from_micros(250);

#[expect(clippy::large_enum_variant, reason = "nearly every job is a write")]
pub(super) enum Job {
    Write(Write, Answer),
    /// Anything else that writes, in its place in the queue.
    Task(Box<dyn FnOnce(&Writer) + Send>),
}

/// A write's answer, given exactly once: one that is dropped instead says that the store is lost.
pub(super) struct Answer {
    on_durable: Option<OnDurable>,
    health: Arc<Health>,
}

impl Answer {
    pub(super) fn new(on_durable: OnDurable, health: Arc<Health>) -> Self {
        Answer { on_durable: Some(on_durable), health }
    }

    fn give(mut self, outcome: Result<(), StoreError>) {
        self.call(outcome);
    }

    fn call(&mut self, outcome: Result<(), StoreError>) {
        if let Some(on_durable) = self.on_durable.take()
            && catch_unwind(AssertUnwindSafe(|| on_durable(outcome))).is_err()
        {
            self.health.poison("whoever waited for a write panicked when it was answered");
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.on_durable.is_some() {
            let lost = self.health.poison("the writer thread stopped");
            self.call(Err(lost));
        }
    }
}

pub(super) struct Writer {
    db: Connection,
    health: Arc<Health>,
    /// How long the last commit took.
    last_commit: Cell<Duration>,
    /// About how many pages were written since the last checkpoint was thought of, at least: one for a write, and those that it fills.
    written: Cell<usize>,
}

/// Starts the thread; it ends when every sender of the queue is gone and all is written. Until then it has the directory's lock.
pub(super) fn start(
    db: Connection,
    checkpoints: Checkpoints,
    health: Arc<Health>,
    lock: Lock,
) -> std::io::Result<(Sender<Job>, JoinHandle<()>)> {
    let (queue, jobs) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new().name("fermata-writer".to_owned()).spawn(move || {
        let writer = Writer { db, health: health.clone(), last_commit: Cell::default(), written: Cell::default() };
        if catch_unwind(AssertUnwindSafe(|| writer.run(jobs, checkpoints))).is_err() {
            health.poison("the writer thread panicked");
        }
        drop(lock);
    })?;
    Ok((queue, thread))
}

impl Writer {
    fn run(self, jobs: Receiver<Job>, mut checkpoints: Checkpoints) {
        let mut space = Space::new();
        while let Some(job) = self.next(&jobs, &mut space, &mut checkpoints) {
            let mut next = Some(job);
            while let Some(job) = next.take() {
                match job {
                    Job::Write(write, answer) => next = self.commit_with_others(write, answer, &jobs),
                    Job::Task(task) => {
                        task(&self);
                        self.note_written(PAGES_BETWEEN_LOOKS);
                    }
                }
            }
            space.written();
            checkpoints.after_commit(self.written.take(), &self.db, &self.health);
        }
        self.close(checkpoints);
    }

    /// The next job; none when all is done. While there is none, gives space back.
    fn next(&self, jobs: &Receiver<Job>, space: &mut Space, checkpoints: &mut Checkpoints) -> Option<Job> {
        loop {
            if let Ok(job) = jobs.try_recv() {
                return Some(job);
            }
            let Some(wait) = space.wait().filter(|_| self.health.check().is_ok()) else {
                if space.take_given() {
                    checkpoints.wake();
                }
                return jobs.recv().ok();
            };
            match jobs.recv_timeout(wait) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => space.give_back(self),
            }
            checkpoints.after_commit(PAGES, &self.db, &self.health);
        }
    }

    /// Commits this write together with those queued behind it. Returns the job that stopped the gathering.
    fn commit_with_others(&self, write: Write, answer: Answer, jobs: &Receiver<Job>) -> Option<Job> {
        let mut bytes = write.change.bytes();
        let mut writes = vec![write];
        let mut answers = vec![answer];
        let mut next = None;
        let mut pause = self.last_commit.get() / 2;
        while writes.len() < MAX_WRITES && bytes < MAX_BYTES {
            let job = jobs.try_recv().ok().or_else(|| {
                // Once: what comes after that takes the next batch.
                let pause = std::mem::take(&mut pause).min(LONGEST_PAUSE);
                let is_alone = !pause.is_zero() && writes.iter().all(Write::is_arrival);
                is_alone.then(|| jobs.recv_timeout(pause).ok()).flatten()
            });
            match job {
                Some(Job::Write(write, answer)) => {
                    bytes += write.change.bytes();
                    writes.push(write);
                    answers.push(answer);
                }
                Some(task) => {
                    next = Some(task);
                    break;
                }
                None => break,
            }
        }
        self.note_written(writes.len() + bytes / PAGE_BYTES);
        let begun = Instant::now();
        let committed = self.commit(&writes);
        self.last_commit.set(begun.elapsed());
        match committed {
            Ok(outcomes) => answers.into_iter().zip(outcomes).for_each(|(answer, outcome)| answer.give(outcome)),
            Err(all) => answers.into_iter().for_each(|answer| answer.give(Err(all.clone()))),
        }
        next
    }

    pub(super) fn db(&self) -> &Connection {
        &self.db
    }

    fn note_written(&self, pages: usize) {
        self.written.set(self.written.get() + pages);
    }

    /// One transaction for all; an outcome for each, or one error that they share.
    fn commit(&self, writes: &[Write]) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let together = self.transaction(|db| {
            let mut batch = Batch::new(db);
            writes.iter().try_for_each(|write| batch.apply(write))?;
            batch.flush()
        });
        match together {
            Ok(()) => Ok(vec![Ok(()); writes.len()]),
            Err(error @ (StoreError::Full | StoreError::Poisoned(_))) => Err(error),
            Err(error) if writes.len() == 1 => Ok(vec![Err(error)]),
            // Somebody is at fault, and nothing was written: find out who, and leave the others their effect.
            Err(_) => match self.transaction(|db| writes.iter().map(|write| apart(db, write)).collect()) {
                // A page that can not be read ends the transaction, savepoints or not.
                Err(StoreError::Damaged(_)) => {
                    Ok(writes.iter().map(|write| self.transaction(|db| apply(db, write))).collect())
                }
                done => done,
            },
        }
    }

    /// Runs work in a transaction of its own. An error means that nothing of it is there, save for `Poisoned`, which means that
    /// nobody knows.
    pub(super) fn transaction<T>(&self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.health.check()?;
        let db = &self.db;
        let done = execute(db, "BEGIN IMMEDIATE")
            .map_err(Failure::Sql)
            .and_then(|()| work(db))
            .map(|value| execute(db, "COMMIT").map(|()| value));
        let (failure, reach) = match done {
            Ok(Ok(value)) => return Ok(value),
            // A commit fails for want of room, which leaves nothing behind, or for reasons that leave no certainty.
            Ok(Err(error)) if reach(&error) == Reach::Full => (Failure::Sql(error), Reach::Full),
            Ok(Err(error)) => (Failure::Sql(error), Reach::Unknown),
            Err(Failure::Refused(error)) => (Failure::Refused(error), Reach::Statement),
            Err(Failure::Sql(error)) => {
                let reach = reach(&error);
                (Failure::Sql(error), reach)
            }
        };
        let rolled_back = db.is_autocommit() || (execute(db, "ROLLBACK").is_ok() && db.is_autocommit());
        Err(match (failure, reach) {
            (Failure::Sql(error), Reach::Unknown) => self.health.poison(&error.to_string()),
            (failure, _) if !rolled_back => {
                self.health.poison(&format!("a transaction could not be rolled back: {failure:?}"))
            }
            (_, Reach::Full) => StoreError::Full,
            (Failure::Sql(error), _) => read_error(error),
            (Failure::Refused(error), _) => error,
        })
    }

    fn close(self, checkpoints: Checkpoints) {
        checkpoints.stop();
        if self.health.check().is_ok() {
            // So that the next open has nothing to recover. What is in the log is durable either way.
            let _ = self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        } else {
            // A poisoned store touches nothing on its way out: recovery is for the next open.
            let _ = self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }
}

fn apply(db: &Connection, write: &Write) -> Result<(), Failure> {
    let mut batch = Batch::new(db);
    batch.apply(write)?;
    batch.flush()
}

/// Applies one write so that it can fail without harm to its neighbours in the transaction.
fn apart(db: &Connection, write: &Write) -> Result<Result<(), StoreError>, Failure> {
    execute(db, "SAVEPOINT one")?;
    let outcome = match apply(db, write) {
        Ok(()) => Ok(()),
        Err(Failure::Refused(error)) => Err(error),
        Err(Failure::Sql(error)) if reach(&error) == Reach::Statement && !db.is_autocommit() => Err(read_error(error)),
        Err(failure) => return Err(failure),
    };
    if outcome.is_err() {
        execute(db, "ROLLBACK TO one")?;
    }
    execute(db, "RELEASE one")?;
    Ok(outcome)
}

fn execute(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([]).map(|_| ())
}
