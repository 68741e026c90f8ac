//! An instance's row as a batch sees it: read once, changed in memory, written once.

use std::collections::BTreeSet;

use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::{Connection, params};

use super::chain::Chain;
use super::health::Failure;
use crate::store::{InstanceKey, Lease, NewInstance, StoreError, TurnRecord};

/// What every turn writes: only columns that no index looks at.
pub(super) const UPDATE: &str = "UPDATE instance
    SET updated = ?, version = ?, first_row = ?, last_row = ?, rows = ?, custom_status = coalesce(?, custom_status),
        module = coalesce(?, module), execution = coalesce(?, execution), waiting = iif(?, ?, waiting)
    WHERE key = ?";

/// What waits for nothing.
static NOTHING: Option<BTreeSet<String>> = Some(BTreeSet::new());

pub(super) struct Row<'w> {
    origin: Origin<'w>,
    changed: bool,
    now: Indexed,
    updated: Timestamp,
    pub(super) version: u64,
    pub(super) chain: Chain,
    // None in any of these: as it was.
    custom_status: Option<&'w str>,
    module: Option<&'w str>,
    execution: Option<&'w str>,
    parked: Option<Option<&'w str>>,
    waiting: Option<&'w Option<BTreeSet<String>>>,
}

enum Origin<'w> {
    Stored {
        was: Indexed,
        parked: bool,
    },
    /// Not in the database as yet.
    Created(&'w NewInstance, Lease),
}

/// The columns that have an index each.
#[derive(Clone, Copy)]
struct Indexed {
    status: RuntimeStatus,
    due: Option<i64>,
    ended: Option<i64>,
}

impl<'w> Row<'w> {
    pub(super) fn new(instance: &'w NewInstance, lease: Lease) -> Self {
        Row {
            origin: Origin::Created(instance, lease),
            changed: true,
            now: Indexed { status: RuntimeStatus::Pending, due: None, ended: None },
            updated: instance.created,
            version: 0,
            chain: Chain::default(),
            custom_status: None,
            module: None,
            execution: None,
            parked: None,
            waiting: Some(&NOTHING),
        }
    }

    pub(super) fn read(db: &Connection, key: InstanceKey) -> Result<Option<Self>, Failure> {
        let mut query = db.prepare_cached(
            "SELECT status, due, ended, parked IS NOT NULL, updated, version, first_row, last_row, rows FROM instance
             WHERE key = ?",
        )?;
        let mut found = query.query([key as i64])?;
        let Some(row) = found.next()? else { return Ok(None) };
        let code = row.get(0)?;
        let status = RuntimeStatus::from_code(code)
            .ok_or_else(|| StoreError::Damaged(format!("instance {key} has the status {code}")))?;
        let was = Indexed { status, due: row.get(1)?, ended: row.get(2)? };
        Ok(Some(Row {
            origin: Origin::Stored { was, parked: row.get(3)? },
            changed: false,
            now: was,
            updated: Timestamp(row.get(4)?),
            version: row.get::<_, i64>(5)? as u64,
            chain: Chain { first: row.get(6)?, last: row.get(7)?, rows: row.get(8)? },
            custom_status: None,
            module: None,
            execution: None,
            parked: None,
            waiting: None,
        }))
    }

    /// The id of an instance that is not in the database as yet.
    pub(super) fn new_id(&self) -> Option<&'w str> {
        match self.origin {
            Origin::Stored { .. } => None,
            Origin::Created(instance, _) => Some(&instance.id),
        }
    }

    /// Takes over what a turn says of the instance itself.
    pub(super) fn turn(&mut self, turn: &'w TurnRecord) {
        let is_final = turn.status.is_final();
        self.changed = true;
        self.version += 1;
        self.updated = turn.updated;
        self.now = Indexed {
            status: turn.status,
            due: turn.due.filter(|_| !is_final).map(|due| due.0),
            ended: is_final.then_some(turn.updated.0),
        };
        if self.is_parked() {
            self.parked = Some(None);
        }
        let generation = turn.generation.as_ref();
        let module = generation.map(|generation| &generation.module).or(turn.module.as_ref());
        self.custom_status = turn.custom_status.as_deref().or(self.custom_status);
        self.waiting = Some(if is_final { &NOTHING } else { &turn.waiting });
        self.module = module.map(String::as_str).or(self.module);
        self.execution = generation.map(|generation| generation.execution.as_str()).or(self.execution);
    }

    pub(super) fn park(&mut self, reason: Option<&'w str>) {
        self.changed = true;
        self.parked = Some(reason);
    }

    /// As a JSON array.
    fn waiting(&self) -> Option<String> {
        let names = self.waiting?.as_ref()?;
        Some(serde_json::Value::from_iter(names.iter().map(String::as_str)).to_string())
    }

    fn is_parked(&self) -> bool {
        match (self.parked, &self.origin) {
            (Some(reason), _) => reason.is_some(),
            (None, Origin::Stored { parked, .. }) => *parked,
            (None, Origin::Created(..)) => false,
        }
    }

    pub(super) fn write(&self, db: &Connection, key: InstanceKey) -> Result<(), Failure> {
        match self.origin {
            Origin::Created(instance, lease) => self.insert(db, key, instance, lease),
            Origin::Stored { was, .. } if self.changed => self.update(db, key as i64, was),
            Origin::Stored { .. } => Ok(()),
        }
    }

    fn insert(&self, db: &Connection, key: InstanceKey, instance: &NewInstance, lease: Lease) -> Result<(), Failure> {
        db.prepare_cached(
            "INSERT INTO instance (key, partition, id, name, module, execution, status, created, updated, version,
                                   first_row, last_row, rows, parked, custom_status, due, ended, waiting)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            key as i64,
            lease.partition,
            instance.id,
            instance.name,
            self.module.unwrap_or(&instance.module),
            self.execution.unwrap_or(&instance.execution),
            self.now.status as i64,
            instance.created.0,
            self.updated.0,
            self.version as i64,
            self.chain.first,
            self.chain.last,
            self.chain.rows,
            self.parked.flatten(),
            self.custom_status,
            self.now.due,
            self.now.ended,
            self.waiting(),
        ])?;
        Ok(())
    }

    fn update(&self, db: &Connection, key: i64, was: Indexed) -> Result<(), Failure> {
        let Row { now, updated, chain, custom_status, module, execution, .. } = self;
        db.prepare_cached(UPDATE)?.execute(params![
            updated.0,
            self.version as i64,
            chain.first,
            chain.last,
            chain.rows,
            custom_status,
            module,
            execution,
            self.waiting.is_some(),
            self.waiting(),
            key
        ])?;
        // Each on its own, for a column that is set is written to its index whether it changed or not.
        if now.status != was.status {
            db.prepare_cached("UPDATE instance SET status = ? WHERE key = ?")?
                .execute(params![now.status as i64, key])?;
        }
        if now.due != was.due {
            db.prepare_cached("UPDATE instance SET due = ? WHERE key = ?")?.execute(params![now.due, key])?;
        }
        if now.ended != was.ended {
            db.prepare_cached("UPDATE instance SET ended = ? WHERE key = ?")?.execute(params![now.ended, key])?;
        }
        if let Some(reason) = self.parked {
            db.prepare_cached("UPDATE instance SET parked = ? WHERE key = ?")?.execute(params![reason, key])?;
        }
        Ok(())
    }
}
