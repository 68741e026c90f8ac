//! Writes inside one transaction.
//!
//! A [`Batch`] holds back what the next write may change again: instance rows, messages and activities are written once, at
//! [`Batch::flush`], and a message that is accepted and consumed, or sent and delivered, in the same batch never. History goes
//! straight to its table, and so do requests that are to be remembered.
//! After an error a batch is of no more use: its transaction, or savepoint, must be rolled back.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use rusqlite::{Connection, OptionalExtension, params};

use super::health::Failure;
use super::requests::Requests;
use super::row::Row;
use crate::store::{
    Change, InstanceKey, Lease, NewActivity, NewInstance, Outgoing, StoreError, StoredMessage, TurnRecord, Write,
};

pub(super) struct Batch<'w, 'c> {
    db: &'c Connection,
    epochs: HashMap<u32, Option<u64>>,
    instances: BTreeMap<InstanceKey, Row<'w>>,
    /// The instances that are not in the database as yet, by their ids.
    created: HashMap<&'w str, InstanceKey>,
    inbox: BTreeMap<u64, (InstanceKey, &'w StoredMessage)>,
    outbox: BTreeMap<u64, (Sender, &'w Outgoing)>,
    activities: BTreeMap<(InstanceKey, u32), &'w NewActivity>,
    requests: Requests,
}

/// Who sent a message. Its id is kept beside the message, for the sender may go first.
type Sender = (InstanceKey, Rc<str>);

impl<'w, 'c> Batch<'w, 'c> {
    pub(super) fn new(db: &'c Connection) -> Self {
        Batch {
            db,
            epochs: HashMap::new(),
            instances: BTreeMap::new(),
            created: HashMap::new(),
            inbox: BTreeMap::new(),
            outbox: BTreeMap::new(),
            activities: BTreeMap::new(),
            requests: Requests::default(),
        }
    }

    pub(super) fn apply(&mut self, write: &'w Write) -> Result<(), Failure> {
        self.fence(write.lease)?;
        match &write.change {
            Change::Create { instance, replaces, message, sent, once } => {
                if let Some(once) = once {
                    self.requests.remember(self.db, &instance.id, once, message)?;
                }
                self.create(write.lease, write.key, instance, *replaces)?;
                self.accept(write.key, message)?;
                sent.map_or(Ok(()), |seq| self.delivered(seq))
            }
            Change::Accept { message, sent, once } => {
                if let Some(once) = once {
                    let id = self.id_of(write.key)?;
                    self.requests.remember(self.db, &id, once, message)?;
                }
                self.accept(write.key, message)?;
                sent.map_or(Ok(()), |seq| self.delivered(seq))
            }
            Change::Turn(turn) => self.turn(write.key, turn),
            Change::Park { reason } => {
                self.row(write.key)?.park(reason.as_deref());
                Ok(())
            }
            Change::Discard { sent } => self.delivered(*sent),
            Change::Remove => self.remove(write.key),
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
        self.instances.insert(key, Row::new(instance, lease));
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
        row.turn(turn);
        match (&turn.generation, &turn.steps) {
            (Some(_), _) => std::mem::take(&mut row.chain).remove(db, key)?,
            // The last step of a finished instance is what its status shows: alone in its row it is cheap to find.
            (None, Some(steps)) => row.chain.append(db, key, steps, turn.status.is_final())?,
            (None, None) => {}
        }
        for seq in &turn.consumed {
            self.consume(key, *seq)?;
        }
        if let Some(generation) = &turn.generation {
            self.accept(key, &generation.start)?;
        }
        for message in &turn.returned {
            self.accept(key, message)?;
        }
        self.send(key, &turn.outgoing)?;
        if turn.status.is_final() || turn.generation.is_some() {
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

    fn send(&mut self, key: InstanceKey, outgoing: &'w [Outgoing]) -> Result<(), Failure> {
        if outgoing.is_empty() {
            return Ok(());
        }
        let db = self.db;
        let id = self.id_of(key)?;
        for message in outgoing {
            let stored = db.prepare_cached("SELECT 1 FROM outbox WHERE seq = ?")?.exists([message.seq as i64])?;
            match self.outbox.entry(message.seq) {
                Entry::Vacant(place) if !stored => place.insert(((key, id.clone()), message)),
                _ => return Err(StoreError::Conflict.into()),
            };
        }
        Ok(())
    }

    /// Takes an entry out of the outbox.
    fn delivered(&mut self, seq: u64) -> Result<(), Failure> {
        if self.outbox.remove(&seq).is_some() {
            return Ok(());
        }
        match self.db.prepare_cached("DELETE FROM outbox WHERE seq = ?")?.execute([seq as i64])? {
            1 => Ok(()),
            _ => Err(StoreError::Delivered.into()),
        }
    }

    fn settle_all(&mut self, key: InstanceKey) -> Result<(), Failure> {
        while let Some((&activity, _)) = self.activities.range((key, 0)..=(key, u32::MAX)).next() {
            self.activities.remove(&activity);
        }
        self.db.prepare_cached("DELETE FROM activity WHERE key = ?")?.execute([key as i64])?;
        Ok(())
    }

    /// Removes an instance with all it has. What it sent is on its way, and goes on.
    fn remove(&mut self, key: InstanceKey) -> Result<(), Failure> {
        self.row(key)?.chain.remove(self.db, key)?;
        self.settle_all(key)?;
        self.inbox.retain(|_, (owner, _)| *owner != key);
        if let Some(id) = self.instances.remove(&key).and_then(|row| row.new_id()) {
            self.created.remove(id);
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

    fn id_of(&mut self, key: InstanceKey) -> Result<Rc<str>, Failure> {
        if let Some(id) = self.row(key)?.new_id() {
            return Ok(id.into());
        }
        let mut query = self.db.prepare_cached("SELECT id FROM instance WHERE key = ?")?;
        Ok(query.query_row([key as i64], |row| Ok(row.get_ref(0)?.as_str()?.into()))?)
    }

    fn row(&mut self, key: InstanceKey) -> Result<&mut Row<'w>, Failure> {
        self.find(key)?.ok_or(Failure::Refused(StoreError::Missing))
    }

    fn find(&mut self, key: InstanceKey) -> Result<Option<&mut Row<'w>>, Failure> {
        match self.instances.entry(key) {
            Entry::Occupied(row) => Ok(Some(row.into_mut())),
            Entry::Vacant(place) => Ok(Row::read(self.db, key)?.map(|row| place.insert(row))),
        }
    }

    /// Writes what was held back.
    pub(super) fn flush(self) -> Result<(), Failure> {
        for (key, row) in &self.instances {
            row.write(self.db, *key)?;
        }
        for (seq, (key, message)) in &self.inbox {
            self.db.prepare_cached("INSERT INTO inbox (seq, key, at, body) VALUES (?, ?, ?, ?)")?.execute(params![
                *seq as i64,
                *key as i64,
                message.at.0,
                message.body
            ])?;
        }
        for (seq, ((sender, sender_id), message)) in &self.outbox {
            self.db
                .prepare_cached("INSERT INTO outbox (seq, sender, sender_id, target, body) VALUES (?, ?, ?, ?, ?)")?
                .execute(params![*seq as i64, *sender as i64, sender_id, message.to, message.body])?;
        }
        for ((key, task), activity) in &self.activities {
            self.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO activity (key, task, name, input, attempt, timeout) VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    *key as i64,
                    task,
                    activity.name,
                    activity.input,
                    activity.attempt,
                    activity.timeout.map(|timeout| timeout as i64)
                ])?;
        }
        self.requests.make_room(self.db)
    }
}
