//! What can still be read of many rows where a page with some of them is damaged: those before it, and those behind it. What an index and its
//! table both tell is whole as long as one of the two is. An instance whose own row is lost is left out, as nobody can run it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::health::{Reach, reach, read_error};
use super::modules;
use super::reader::{self, Owner, Readers};
use crate::store::{Activity, Due, Ended, Harm, InstanceKey, ModuleInfo, StoreError, Undone, UnreadInstance};

/// Rows by what they are in order of.
pub(super) struct Salvage<K, T> {
    pub rows: BTreeMap<K, T>,
    pub is_whole: bool,
}

impl Readers {
    pub(super) fn undone(&self) -> Result<Undone, StoreError> {
        let whole = self.read(|db| {
            let (unread, activities) = (reader::unread(db)?, reader::open_activities(db)?);
            Ok(Undone { unread, activities, outbox: reader::outbox(db)?, harm: None })
        });
        unless_damaged(whole, || self.salvage_undone())
    }

    fn salvage_undone(&self) -> Result<Undone, StoreError> {
        let (activities, no_activity_lost) = self.salvage_activities()?;
        let outbox = self.salvage(&["seq"], "seq, sender, sender_id, target, body FROM outbox", |row| {
            reader::sent(row).map(|sent| (sent.seq, sent))
        })?;
        let harm = Harm { activities: !no_activity_lost, outbox: !outbox.is_whole, unended: self.salvage_unended()? };
        let outbox = outbox.rows.into_values().collect();
        Ok(Undone { unread: self.salvage_unread()?, activities, outbox, harm: Some(harm) })
    }

    fn salvage_unread(&self) -> Result<Vec<UnreadInstance>, StoreError> {
        let pair = |row: &Row<'_>| Ok(((row.get(0)?, row.get(1)?), ()));
        let index = self.indexed_messages()?;
        let table = self.salvage(&["seq"], "key, seq FROM inbox NOT INDEXED", pair)?;
        let keys = index.rows.into_keys().chain(table.rows.into_keys());
        let keys: BTreeSet<InstanceKey> = keys.map(|(key, _): (i64, i64)| key as InstanceKey).collect();
        let named = keys.into_iter().map(|key| Ok(self.id(key)?.map(|id| UnreadInstance { key, id })));
        named.filter_map(Result::transpose).collect()
    }

    /// Unread messages, by instance and sequence, as their index has them.
    pub(super) fn indexed_messages(&self) -> Result<Salvage<(i64, i64), ()>, StoreError> {
        self.salvage(&["key", "seq"], "key, seq FROM inbox INDEXED BY inbox_key", |row| {
            Ok(((row.get(0)?, row.get(1)?), ()))
        })
    }

    /// And whether these are all.
    fn salvage_activities(&self) -> Result<(Vec<Activity>, bool), StoreError> {
        let columns = "key, task, name, input, attempt, timeout FROM activity";
        let found = self.salvage(&["key", "task"], columns, |row| {
            let activity = reader::activity(row, Owner::default())?;
            Ok(((activity.key, activity.task), activity))
        })?;
        let mut owners = HashMap::new();
        let mut activities = Vec::new();
        for (_, activity) in found.rows {
            let owner = match owners.entry(activity.key) {
                Entry::Occupied(owner) => owner.into_mut(),
                Entry::Vacant(place) => place.insert(self.owner(activity.key)?),
            };
            if let Some(Owner { id: instance_id, execution, module }) = owner.clone() {
                activities.push(Activity { instance_id, execution, module, ..activity });
            }
        }
        Ok((activities, found.is_whole))
    }

    fn salvage_unended(&self) -> Result<Vec<InstanceKey>, StoreError> {
        let last = RuntimeStatus::ALL.into_iter().filter(|status| status.is_final());
        let ended = last.map(|status| (status as i64).to_string()).collect::<Vec<_>>().join(", ");
        let key = |row: &Row<'_>| Ok((reader::key(row, 0)?, ()));
        let query = |by: &str| format!("key FROM instance {by} WHERE status NOT IN ({ended})");
        let index = self.salvage(&["status", "key"], &query("INDEXED BY instance_status"), key)?;
        let table =
            if index.is_whole { BTreeMap::new() } else { self.salvage(&["key"], &query("NOT INDEXED"), key)?.rows };
        Ok(index.rows.into_keys().chain(table.into_keys()).collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// The latest deployed first.
    pub(super) fn readable_modules(&self) -> Result<Vec<ModuleInfo>, StoreError> {
        unless_damaged(self.read(modules::all), || {
            tracing::error!("some modules can not be read, for a page of the database is damaged");
            let info = |row: &Row<'_>| modules::info(row).map(|info| (info.deployment, info));
            let found = self.salvage(&["rowid"], &format!("{} FROM module", modules::INFO), info)?;
            Ok(found.rows.into_values().rev().collect())
        })
    }

    pub(super) fn readable_due(
        &self,
        after: Option<(Timestamp, InstanceKey)>,
        limit: usize,
    ) -> Result<Vec<Due>, StoreError> {
        unless_damaged(self.read(|db| reader::due(db, after, limit)), || {
            let (at, key) = reader::place(after);
            let what = format!("due IS NOT NULL AND parked IS NULL AND (due, key) > ({at}, {key})");
            self.salvage_by_time("due", "instance_due", &what, limit, |due, key, id| Due { due, key, id })
        })
    }

    pub(super) fn readable_ended(&self, limit: usize) -> Result<Vec<Ended>, StoreError> {
        unless_damaged(self.read(|db| reader::ended(db, limit)), || {
            let what = "ended IS NOT NULL";
            self.salvage_by_time("ended", "instance_ended", what, limit, |ended, key, id| Ended { ended, key, id })
        })
    }

    /// Instances in the order of a time that there is an index of.
    fn salvage_by_time<T>(
        &self,
        time: &str,
        index: &str,
        what: &str,
        limit: usize,
        make: impl Fn(Timestamp, InstanceKey, String) -> T,
    ) -> Result<Vec<T>, StoreError> {
        let pair = |row: &Row<'_>| Ok(((Timestamp(row.get(0)?), reader::key(row, 1)?), ()));
        let query = |by: &str| format!("{time}, key FROM instance {by} WHERE {what}");
        let mut found = self.salvage(&[time, "key"], &query(&format!("INDEXED BY {index}")), pair)?;
        if !found.is_whole {
            found.rows.extend(self.salvage(&["key"], &query("NOT INDEXED"), pair)?.rows);
        }
        let named = found.rows.into_keys().map(|(at, key)| Ok(self.id(key)?.map(|id| make(at, key, id))));
        named.filter_map(Result::transpose).take(limit).collect()
    }

    /// The rows of a query up to the first that can not be read, and from the other end up to the last one.
    pub(super) fn salvage<K: Ord, T>(
        &self,
        order: &[&str],
        query: &str,
        each: impl Fn(&Row<'_>) -> rusqlite::Result<(K, T)>,
    ) -> Result<Salvage<K, T>, StoreError> {
        let mut rows = BTreeMap::new();
        for direction in ["ASC", "DESC"] {
            let order: Vec<String> = order.iter().map(|column| format!("{column} {direction}")).collect();
            let query = format!("SELECT {query} ORDER BY {}", order.join(", "));
            let whole = self.read(|db| {
                let mut statement = db.prepare(&query).map_err(read_error)?;
                let mut found = statement.query_map([], &each).map_err(read_error)?;
                found.try_for_each(|row| row.map(|(key, row)| drop(rows.insert(key, row)))).map_err(read_error)
            });
            if unless_damaged(whole.map(|()| true), || Ok(false))? {
                return Ok(Salvage { rows, is_whole: true });
            }
        }
        Ok(Salvage { rows, is_whole: false })
    }

    /// Copies the rows of a table to the table of this name elsewhere, in the order of a number; whether all could be read. Behind what can not be, the
    /// next that can is looked for in steps that double: about as far as the damage reaches, so that rows between two damaged pages are found.
    pub(super) fn copy_around_damage(&self, to: &Connection, table: &str, by: &str) -> Result<bool, StoreError> {
        let mut next = 0;
        let mut is_whole = true;
        while !self.copy_rows(to, table, by, "ASC", (next, i64::MAX), |place| next = place.saturating_add(1))? {
            is_whole = false;
            let mut behind = (0..63).map(|step| next.saturating_add(1 << step));
            let first = |place: &i64| {
                self.read(|old| {
                    let query = format!("SELECT {by} FROM {table} WHERE {by} >= ? ORDER BY {by} LIMIT 1");
                    old.prepare(&query).and_then(|mut query| query.exists([place])).map_err(read_error)
                })
            };
            let Some(place) = behind.find(|place| first(place).is_ok()) else { break };
            self.copy_rows(to, table, by, "DESC", (next, place - 1), |_| {})?;
            next = place;
        }
        Ok(is_whole)
    }

    /// Copies rows up to the first that can not be read, and tells whether there was none.
    fn copy_rows(
        &self,
        to: &Connection,
        table: &str,
        by: &str,
        order: &str,
        (first, last): (i64, i64),
        mut copied: impl FnMut(i64),
    ) -> Result<bool, StoreError> {
        let all = self.read(|old| {
            let query = format!("SELECT {by}, * FROM {table} WHERE {by} BETWEEN ? AND ? ORDER BY {by} {order}");
            let mut query = old.prepare(&query).map_err(read_error)?;
            let columns: Vec<&str> = query.column_names().skip(1).collect();
            let places = vec!["?"; columns.len()].join(", ");
            let insert = format!("INSERT INTO {table} ({}) VALUES ({places})", columns.join(", "));
            let mut insert = to.prepare_cached(&insert).map_err(not_written)?;
            let mut rows = query.query([first, last]).map_err(read_error)?;
            while let Some(row) = rows.next().map_err(read_error)? {
                let place = row.get(0).map_err(read_error)?;
                insert.execute(params_from_iter(values(row).map_err(read_error)?)).map_err(not_written)?;
                copied(place);
            }
            Ok(())
        });
        unless_damaged(all.map(|()| true), || Ok(false))
    }

    /// The id of an instance; none where its row is gone, or lost.
    fn id(&self, key: InstanceKey) -> Result<Option<String>, StoreError> {
        Ok(self.owner(key)?.map(|owner| owner.id))
    }

    fn owner(&self, key: InstanceKey) -> Result<Option<Owner>, StoreError> {
        let found = self.read(|db| {
            let query = "SELECT id, execution, module FROM instance WHERE key = ?";
            let mut query = db.prepare_cached(query).map_err(read_error)?;
            let owner = |row: &Row<'_>| Ok(Owner { id: row.get(0)?, execution: row.get(1)?, module: row.get(2)? });
            let found = query.query_row([key as i64], owner);
            found.optional().map_err(read_error)
        });
        unless_damaged(found, || Ok(None))
    }
}

pub(super) fn unless_damaged<T>(
    read: Result<T, StoreError>,
    otherwise: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    match read {
        Err(StoreError::Damaged(_)) => otherwise(),
        other => other,
    }
}

/// All but the first column.
fn values(row: &Row<'_>) -> rusqlite::Result<Vec<Value>> {
    (1..row.as_ref().column_count()).map(|column| row.get(column)).collect()
}

/// What it means that something that was read could not be written elsewhere.
pub(super) fn not_written(error: rusqlite::Error) -> StoreError {
    match reach(&error) {
        Reach::Full => StoreError::Full,
        _ => StoreError::Io(format!("the copy can not be written: {error}").into()),
    }
}
