//! Writes inside one transaction.
//!
//! A [`Batch`] holds back what the next write may change again: instance rows, messages and activities are written once, at
//! [`Batch::flush`], and a message that is accepted and consumed in the same batch never. History goes straight to its table.
//! After an error a batch is of no more use: its transaction, or savepoint, must be rolled back.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::chain::Chain;
use super::health::Failure;
use crate::store::{
    Change, InstanceKey, Lease, NewActivity, NewInstance, StoreError, StoredMessage, TurnRecord, Write,
};

pub(super) struct Batch<'w, 'c> {
    db: &'c Connection,
    epochs: HashMap<u32, Option<u64>>,
    instances: BTreeMap<InstanceKey, Row<'w>>,
    /// The instances that are not in the database as yet, by their ids.
    created: HashMap<&'w str, InstanceKey>,
    inbox: BTreeMap<u64, (InstanceKey, &'w StoredMessage)>,
    activities: BTreeMap<(InstanceKey, u32), &'w NewActivity>,
}

/// An instance that the batch has touched.
struct Row<'w> {
    origin: Origin<'w>,
    changed: bool,
    status: RuntimeStatus,
    updated: Timestamp,
    version: u64,
    chain: Chain,
    /// None: as it was.
    custom_status: Option<&'w str>,
    /// None: as it was.
    parked: Option<Option<&'w str>>,
}

enum Origin<'w> {
    /// In the database, with this status.
    Stored(RuntimeStatus),
    /// Not there as yet.
    Created(&'w NewInstance, Lease),
}

impl<'w, 'c> Batch<'w, 'c> {
    pub(super) fn new(db: &'c Connection) -> Self {
        Batch {
            db,
            epochs: HashMap::new(),
            instances: BTreeMap::new(),
            created: HashMap::new(),
            inbox: BTreeMap::new(),
            activities: BTreeMap::new(),
        }
    }

    pub(super) fn apply(&mut self, write: &'w Write) -> Result<(), Failure> {
        self.fence(write.lease)?;
        match &write.change {
            Change::Create { instance, replaces, message } => {
                self.create(write.lease, write.key, instance, *replaces)?;
                self.accept(write.key, message)
            }
            Change::Accept { message } => self.accept(write.key, message),
            Change::Turn(turn) => self.turn(write.key, turn),
            Change::Park { reason } => {
                let row = self.row(write.key)?;
                row.parked = Some(reason.as_deref());
                row.changed = true;
                Ok(())
            }
        }
    }

    fn fence(&mut self, lease: Lease) -> Result<(), Failure> {
        let epoch = match self.epochs.get(&lease.partition) {
            Some(epoch) => *epoch,
            None => {
                let epoch = self
                    .db
                    .prepare_cached("SELECT epoch FROM partition WHERE p = ?")?
                    .query_row([lease.partition], |row| row.get::<_, i64>(0))
                    .optional()?
                    .map(|epoch| epoch as u64);
                *self.epochs.entry(lease.partition).or_insert(epoch)
            }
        };
        if epoch == Some(lease.epoch) { Ok(()) } else { Err(StoreError::Fenced(lease.partition).into()) }
    }

    fn create(
        &mut self,
        lease: Lease,
        key: InstanceKey,
        instance: &'w NewInstance,
        replaces: Option<InstanceKey>,
    ) -> Result<(), Failure> {
        if let Some(holder) = self.holder(&instance.id)? {
            if replaces != Some(holder) {
                return Err(StoreError::Exists.into());
            }
            self.remove(holder)?;
        }
        if self.find(key)?.is_some() {
            return Err(StoreError::Exists.into());
        }
        self.created.insert(&instance.id, key);
        self.instances.insert(
            key,
            Row {
                origin: Origin::Created(instance, lease),
                changed: true,
                status: RuntimeStatus::Pending,
                updated: instance.created,
                version: 0,
                chain: Chain::default(),
                custom_status: None,
                parked: None,
            },
        );
        Ok(())
    }

    fn accept(&mut self, key: InstanceKey, message: &'w StoredMessage) -> Result<(), Failure> {
        self.row(key)?;
        let stored = self.db.prepare_cached("SELECT 1 FROM inbox WHERE seq = ?")?.exists([message.seq as i64])?;
        match self.inbox.entry(message.seq) {
            Entry::Vacant(place) if !stored => {
                place.insert((key, message));
                Ok(())
            }
            _ => Err(StoreError::Conflict.into()),
        }
    }

    fn turn(&mut self, key: InstanceKey, turn: &'w TurnRecord) -> Result<(), Failure> {
        let db = self.db;
        let row = self.row(key)?;
        if row.version != turn.expected_version {
            return Err(StoreError::Conflict.into());
        }
        row.version += 1;
        row.status = turn.status;
        row.updated = turn.updated;
        row.changed = true;
        if let Some(custom_status) = &turn.custom_status {
            row.custom_status = Some(custom_status);
        }
        if let Some(steps) = &turn.steps {
            // The last step of a finished instance is what its status shows: alone in its row it is cheap to find.
            row.chain.append(db, key, steps, turn.status.is_final())?;
        }
        for seq in &turn.consumed {
            self.consume(key, *seq)?;
        }
        if turn.status.is_final() {
            return self.settle_all(key);
        }
        for activity in &turn.activities {
            self.activities.insert((key, activity.task), activity);
        }
        for task in &turn.settled {
            self.activities.remove(&(key, *task));
            db.prepare_cached("DELETE FROM activity WHERE key = ? AND task = ?")?.execute(params![key as i64, task])?;
        }
        Ok(())
    }

    fn consume(&mut self, key: InstanceKey, seq: u64) -> Result<(), Failure> {
        if self.inbox.get(&seq).is_some_and(|(owner, _)| *owner == key) {
            self.inbox.remove(&seq);
            return Ok(());
        }
        let mut delete = self.db.prepare_cached("DELETE FROM inbox WHERE seq = ? AND key = ?")?;
        match delete.execute([seq as i64, key as i64])? {
            1 => Ok(()),
            _ => Err(StoreError::Conflict.into()),
        }
    }

    fn settle_all(&mut self, key: InstanceKey) -> Result<(), Failure> {
        while let Some((&activity, _)) = self.activities.range((key, 0)..=(key, u32::MAX)).next() {
            self.activities.remove(&activity);
        }
        self.db.prepare_cached("DELETE FROM activity WHERE key = ?")?.execute([key as i64])?;
        Ok(())
    }

    /// Removes an instance with all it has.
    fn remove(&mut self, key: InstanceKey) -> Result<(), Failure> {
        self.row(key)?.chain.remove(self.db)?;
        self.settle_all(key)?;
        self.inbox.retain(|_, (owner, _)| *owner != key);
        if let Some(Row { origin: Origin::Created(instance, _), .. }) = self.instances.remove(&key) {
            self.created.remove(instance.id.as_str());
            return Ok(());
        }
        self.db.prepare_cached("DELETE FROM inbox WHERE key = ?")?.execute([key as i64])?;
        self.db.prepare_cached("DELETE FROM instance WHERE key = ?")?.execute([key as i64])?;
        Ok(())
    }

    /// Who has this id.
    fn holder(&self, id: &str) -> Result<Option<InstanceKey>, Failure> {
        if let Some(key) = self.created.get(id) {
            return Ok(Some(*key));
        }
        let mut query = self.db.prepare_cached("SELECT key FROM instance WHERE id = ?")?;
        let key: Option<i64> = query.query_row([id], |row| row.get(0)).optional()?;
        Ok(key.map(|key| key as InstanceKey))
    }

    fn row(&mut self, key: InstanceKey) -> Result<&mut Row<'w>, Failure> {
        self.find(key)?.ok_or(Failure::Refused(StoreError::Missing))
    }

    fn find(&mut self, key: InstanceKey) -> Result<Option<&mut Row<'w>>, Failure> {
        match self.instances.entry(key) {
            Entry::Occupied(row) => Ok(Some(row.into_mut())),
            Entry::Vacant(place) => Ok(read(self.db, key)?.map(|row| place.insert(row))),
        }
    }

    /// Writes what was held back.
    pub(super) fn flush(self) -> Result<(), Failure> {
        for (key, row) in &self.instances {
            if row.changed {
                row.write(self.db, *key)?;
            }
        }
        for (seq, (key, message)) in &self.inbox {
            self.db.prepare_cached("INSERT INTO inbox (seq, key, at, body) VALUES (?, ?, ?, ?)")?.execute(params![
                *seq as i64,
                *key as i64,
                message.at.0,
                message.body
            ])?;
        }
        for ((key, task), activity) in &self.activities {
            self.db
                .prepare_cached("INSERT OR REPLACE INTO activity (key, task, name, input) VALUES (?, ?, ?, ?)")?
                .execute(params![*key as i64, task, activity.name, activity.input])?;
        }
        Ok(())
    }
}

fn read<'w>(db: &Connection, key: InstanceKey) -> Result<Option<Row<'w>>, Failure> {
    let found = db
        .prepare_cached("SELECT status, updated, version, first_row, last_row, rows FROM instance WHERE key = ?")?
        .query_row([key as i64], |row| {
            let chain = Chain { first: row.get(3)?, last: row.get(4)?, rows: row.get(5)? };
            Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, chain))
        })
        .optional()?;
    let Some((code, updated, version, chain)) = found else { return Ok(None) };
    let status = RuntimeStatus::from_code(code)
        .ok_or_else(|| StoreError::Damaged(format!("instance {key} has the status {code}")))?;
    Ok(Some(Row {
        origin: Origin::Stored(status),
        changed: false,
        status,
        updated: Timestamp(updated),
        version: version as u64,
        chain,
        custom_status: None,
        parked: None,
    }))
}

impl Row<'_> {
    fn write(&self, db: &Connection, key: InstanceKey) -> Result<(), Failure> {
        let key = key as i64;
        let Row { updated, chain, .. } = self;
        let version = self.version as i64;
        let was = match self.origin {
            Origin::Stored(was) => was,
            Origin::Created(instance, lease) => {
                db.prepare_cached(
                    "INSERT INTO instance (key, partition, id, name, module, execution, status, created, updated, version,
                                           first_row, last_row, rows, parked, custom_status)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    key,
                    lease.partition,
                    instance.id,
                    instance.name,
                    instance.module,
                    instance.execution,
                    self.status as i64,
                    instance.created.0,
                    updated.0,
                    version,
                    chain.first,
                    chain.last,
                    chain.rows,
                    self.parked.flatten(),
                    self.custom_status,
                ])?;
                return Ok(());
            }
        };
        db.prepare_cached(
            "UPDATE instance SET updated = ?, version = ?, first_row = ?, last_row = ?, rows = ?,
                                 custom_status = coalesce(?, custom_status)
             WHERE key = ?",
        )?
        .execute(params![updated.0, version, chain.first, chain.last, chain.rows, self.custom_status, key])?;
        // On its own, for a column that is set is written to its index whether it changed or not.
        if self.status != was {
            db.prepare_cached("UPDATE instance SET status = ? WHERE key = ?")?
                .execute(params![self.status as i64, key])?;
        }
        if let Some(reason) = self.parked {
            db.prepare_cached("UPDATE instance SET parked = ? WHERE key = ?")?.execute(params![reason, key])?;
        }
        Ok(())
    }
}
