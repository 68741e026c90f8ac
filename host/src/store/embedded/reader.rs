//! Reads, on connections of their own: they see what is committed, and a commit is seen only once it is on disk.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde::de::DeserializeOwned;

use super::chain::Chain;
use super::health::{Health, read_error};
use super::open::connect_reader;
use crate::store::{
    Activity, Due, Ended, Instance, InstanceKey, Loaded, Sent, Snapshot, StoreError, StoredMessage, UnreadInstance,
};

/// How many idle connections are kept.
const IDLE: usize = 8;

pub(super) struct Readers {
    file: PathBuf,
    health: Arc<Health>,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn new(file: PathBuf, health: Arc<Health>) -> Self {
        Readers { file, health, idle: Mutex::default() }
    }

    /// Reads one consistent picture.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.health.check()?;
        let idle = self.idle().pop();
        let db = match idle {
            Some(db) => db,
            None => connect_reader(&self.file)?,
        };
        // On an error the connection is dropped, and its transaction with it.
        let execute = |sql| db.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map_err(read_error);
        execute("BEGIN")?;
        let value = work(&db)?;
        execute("COMMIT")?;
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push(db);
        }
        // What was read while the store was lost must not be told.
        self.health.check().map(|()| value)
    }

    pub(super) fn close(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn find(db: &Connection, id: &str) -> Result<Option<Instance>, StoreError> {
    Ok(stored(db, "id", id)?.map(|(instance, _)| instance))
}

pub(super) fn snapshot(db: &Connection, id: &str) -> Result<Option<Snapshot>, StoreError> {
    let Some((instance, chain)) = stored(db, "id", id)? else { return Ok(None) };
    let first = chain.first(db, instance.key)?;
    let last = if instance.status.is_final() { chain.last(db, instance.key)? } else { None };
    let unread = if chain.first.is_none() { messages(db, instance.key)? } else { Vec::new() };
    Ok(Some(Snapshot { instance, first, last, unread }))
}

pub(super) fn load(db: &Connection, key: InstanceKey) -> Result<Option<Loaded>, StoreError> {
    let Some((instance, chain)) = stored(db, "key", key as i64)? else { return Ok(None) };
    Ok(Some(Loaded { history: chain.read(db, key)?, unread: messages(db, key)?, instance }))
}

pub(super) fn unread(db: &Connection) -> Result<Vec<UnreadInstance>, StoreError> {
    rows(db, "SELECT key, id FROM instance WHERE key IN (SELECT key FROM inbox) ORDER BY key", &[], |row| {
        Ok(UnreadInstance { key: key(row, 0)?, id: row.get(1)? })
    })
}

pub(super) fn open_activities(db: &Connection) -> Result<Vec<Activity>, StoreError> {
    let query = "SELECT a.key, a.task, a.name, a.input, a.attempt, a.timeout, i.id, i.execution, i.module
                 FROM activity AS a JOIN instance AS i ON i.key = a.key ORDER BY a.key, a.task";
    rows(db, query, &[], |row| activity(row, Owner { id: row.get(6)?, execution: row.get(7)?, module: row.get(8)? }))
}

/// What an activity has of its instance.
#[derive(Clone, Default)]
pub(super) struct Owner {
    pub id: String,
    pub execution: String,
    pub module: String,
}

/// A row of the columns of an activity, in the order of the table.
pub(super) fn activity(row: &Row<'_>, owner: Owner) -> rusqlite::Result<Activity> {
    Ok(Activity {
        key: key(row, 0)?,
        instance_id: owner.id,
        execution: owner.execution,
        module: owner.module,
        task: row.get(1)?,
        name: row.get(2)?,
        input: row.get(3)?,
        attempt: row.get(4)?,
        timeout: row.get::<_, Option<i64>>(5)?.map(|timeout| timeout as u64),
    })
}

pub(super) fn outbox(db: &Connection) -> Result<Vec<Sent>, StoreError> {
    rows(db, "SELECT seq, sender, sender_id, target, body FROM outbox ORDER BY seq", &[], sent)
}

/// A row of the columns of the outbox, in the order of the table.
pub(super) fn sent(row: &Row<'_>) -> rusqlite::Result<Sent> {
    Ok(Sent { seq: key(row, 0)?, from: key(row, 1)?, from_id: row.get(2)?, to: row.get(3)?, body: row.get(4)? })
}

pub(super) const DUE: &str = "SELECT due, key, id FROM instance
    WHERE due IS NOT NULL AND parked IS NULL AND (due, key) > (?, ?) ORDER BY due, key LIMIT ?";

pub(super) fn due(
    db: &Connection,
    after: Option<(Timestamp, InstanceKey)>,
    limit: usize,
) -> Result<Vec<Due>, StoreError> {
    let (at, after) = place(after);
    rows(db, DUE, &[at.into(), after.into(), at_most(limit as u64).into()], |row| {
        Ok(Due { due: Timestamp(row.get(0)?), key: key(row, 1)?, id: row.get(2)? })
    })
}

/// A place in the order of deadlines, as the file has it; none: before all.
pub(super) fn place(after: Option<(Timestamp, InstanceKey)>) -> (i64, i64) {
    // No instance has the key 0.
    after.map_or((i64::MIN, 0), |(at, key)| (at.0, at_most(key)))
}

pub(super) const ENDED: &str =
    "SELECT ended, key, id FROM instance WHERE ended IS NOT NULL ORDER BY ended, key LIMIT ?";

pub(super) fn ended(db: &Connection, limit: usize) -> Result<Vec<Ended>, StoreError> {
    rows(db, ENDED, &[at_most(limit as u64).into()], |row| {
        Ok(Ended { ended: Timestamp(row.get(0)?), key: key(row, 1)?, id: row.get(2)? })
    })
}

pub(super) const COUNT_ENDED: &str = "SELECT count(*) FROM instance WHERE ended IS NOT NULL";

pub(super) fn count_ended(db: &Connection) -> Result<u64, StoreError> {
    db.prepare_cached(COUNT_ENDED).and_then(|mut query| query.query_row([], |row| key(row, 0))).map_err(read_error)
}

/// SQLite's integers have a sign.
pub(super) fn at_most(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const INSTANCE: &str = "key, id, name, module, execution, status, created, updated, version, custom_status, parked,
                        due, ended, first_row, last_row, rows, waiting";

pub(super) fn stored(
    db: &Connection,
    column: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<(Instance, Chain)>, StoreError> {
    db.prepare_cached(&format!("SELECT {INSTANCE} FROM instance WHERE {column} = ?"))
        .and_then(|mut query| query.query_row([value], instance).optional())
        .map_err(read_error)
}

/// A row of the columns [`INSTANCE`].
fn instance(row: &Row<'_>) -> rusqlite::Result<(Instance, Chain)> {
    let waiting = row.get_ref(16)?.as_str_or_null()?;
    let instance = Instance {
        key: key(row, 0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        module: row.get(3)?,
        execution: row.get(4)?,
        status: status(row, 5)?,
        created: Timestamp(row.get(6)?),
        updated: Timestamp(row.get(7)?),
        version: key(row, 8)?,
        custom_status: row.get(9)?,
        parked: row.get(10)?,
        due: row.get::<_, Option<i64>>(11)?.map(Timestamp),
        ended: row.get::<_, Option<i64>>(12)?.map(Timestamp),
        waiting: waiting.map(|names| json(16, names)).transpose()?,
    };
    Ok((instance, Chain { first: row.get(13)?, last: row.get(14)?, rows: row.get(15)? }))
}

fn messages(db: &Connection, instance: InstanceKey) -> Result<Vec<StoredMessage>, StoreError> {
    let query = "SELECT seq, at, body FROM inbox WHERE key = ? ORDER BY seq";
    rows(db, query, &[(instance as i64).into()], |row| {
        Ok(StoredMessage { seq: key(row, 0)?, at: Timestamp(row.get(1)?), body: row.get(2)? })
    })
}

fn rows<T>(
    db: &Connection,
    query: &str,
    values: &[rusqlite::types::Value],
    each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    db.prepare_cached(query)
        .and_then(|mut query| query.query_map(params_from_iter(values), each)?.collect())
        .map_err(read_error)
}

/// A number that is never negative: SQLite's integers have a sign.
pub(super) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(|number| number as u64)
}

pub(super) fn status(row: &Row<'_>, column: usize) -> rusqlite::Result<RuntimeStatus> {
    let code = row.get(column)?;
    RuntimeStatus::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, code))
}

/// The JSON text of a column.
pub(super) fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error)))
}
