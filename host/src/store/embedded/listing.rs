//! Pages of instances, in bounded time however many there are.
//!
//! A page walks rows in the order of their keys, along an index where the filter has one. What no index serves is looked at row by row,
//! so many rows at most. Of these it reads no more than the filter asks about; whole are the rows that are in the page.

use std::collections::BTreeSet;

use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::health::read_error;
use super::reader::{at_most, json, key, status, stored};
use crate::store::{Filter, InstanceKey, Page, StoreError, Walk};

pub(super) fn list(db: &Connection, filter: &Filter) -> Result<Page, StoreError> {
    let Walk { keys, next } = Way::narrowest(db, filter).and_then(|way| walk(db, filter, &way)).map_err(read_error)?;
    let mut instances = Vec::with_capacity(keys.len());
    for key in keys {
        instances.extend(stored(db, "key", key as i64)?.map(|(instance, _)| instance));
    }
    Ok(Page { instances, next })
}

fn walk(db: &Connection, filter: &Filter, way: &Way<'_>) -> rusqlite::Result<Walk> {
    let awaited = filter.waiting_for.as_deref().map(Awaited::new);
    let (query, values) = way.query(filter.after, awaited.is_some());
    let mut query = db.prepare_cached(&query)?;
    let rows = query.query_map(params_from_iter(values), |row| {
        let waits = || awaited.as_ref().map_or(Ok(true), |awaited| awaited.is_in(row));
        Ok((key(row, 0)?, admits(filter, row)? && waits()?))
    })?;
    filter.walk(rows)
}

/// What a filter asks about, but for what an instance waits for: that may be long, and comes last.
const LOOKED_AT: &str = "key, id, name, status, created";

fn admits(filter: &Filter, row: &Row<'_>) -> rusqlite::Result<bool> {
    let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
    Ok(filter.admits(text(1)?, text(2)?, status(row, 3)?, Timestamp(row.get(4)?)))
}

/// The name of an event that instances are to wait for.
struct Awaited<'f> {
    name: &'f str,
    /// As JSON: where this text is not found, neither is the name.
    quoted: String,
}

impl<'f> Awaited<'f> {
    fn new(name: &'f str) -> Self {
        Awaited { name, quoted: serde_json::Value::from(name).to_string() }
    }

    /// Whether it is among what the instance of a row waits for, or may be.
    fn is_in(&self, row: &Row<'_>) -> rusqlite::Result<bool> {
        match row.get_ref(5)?.as_str_or_null()? {
            None => Ok(true),
            Some(names) if !names.contains(&self.quoted) => Ok(false),
            Some(names) => Ok(json::<BTreeSet<String>>(5, names)?.contains(self.name)),
        }
    }
}

/// How a page comes to its rows.
pub(super) enum Way<'f> {
    All,
    Name(&'f str),
    /// Each once.
    Statuses(Vec<RuntimeStatus>),
    /// Those whose ids begin so. An index gives them in another order, so they must be few.
    Prefix(&'f str),
}

impl<'f> Way<'f> {
    /// The one that has the fewest rows, as far as that can be seen by looking at no more index entries than rows.
    fn narrowest(db: &Connection, filter: &'f Filter) -> rusqlite::Result<Way<'f>> {
        let enough = filter.look_at.saturating_add(1);
        if let Some(prefix) = filter.id_prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            let way = Way::Prefix(prefix);
            if way.count(db, filter.after, enough)? < enough {
                return Ok(way);
            }
        }
        let mut statuses = filter.statuses.clone();
        statuses.sort_unstable_by_key(|status| *status as i64);
        statuses.dedup();
        let by_name = filter.name.as_deref().map(Way::Name);
        let by_status = (!statuses.is_empty()).then_some(Way::Statuses(statuses));
        let (name, status) = match (by_name, by_status) {
            (Some(name), Some(status)) => (name, status),
            (way, other) => return Ok(way.or(other).unwrap_or(Way::All)),
        };
        let is_name_narrower = name.count(db, filter.after, enough)? <= status.count(db, filter.after, enough)?;
        Ok(if is_name_narrower { name } else { status })
    }

    /// How many rows it has after this one, counting to `enough`. With a prefix those before it count too: they are looked at as well.
    fn count(&self, db: &Connection, after: Option<InstanceKey>, enough: usize) -> rusqlite::Result<usize> {
        let arms = match self {
            Way::Prefix(prefix) => {
                let (from, to) = range(prefix);
                vec![("FROM instance WHERE id >= ? AND id < ?", vec![from, to])]
            }
            _ => self.arms(after),
        };
        let mut count = 0;
        for (arm, mut values) in arms {
            values.push(at_most(enough as u64).into());
            count += db
                .prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 {arm} LIMIT ?)"))?
                .query_row(params_from_iter(values), |row| row.get::<_, i64>(0))? as usize;
        }
        Ok(count.min(enough))
    }

    /// All its rows after this one, in order.
    pub(super) fn query(&self, after: Option<InstanceKey>, with_waiting: bool) -> (String, Vec<Value>) {
        let waiting = if with_waiting { ", waiting" } else { "" };
        let arms = self.arms(after);
        let selects: Vec<String> = arms.iter().map(|(arm, _)| format!("SELECT {LOOKED_AT}{waiting} {arm}")).collect();
        let values = arms.into_iter().flat_map(|(_, values)| values);
        // Arms come in the order of keys each, and are merged as they are read.
        (format!("{} ORDER BY key", selects.join(" UNION ALL ")), values.collect())
    }

    fn arms(&self, after: Option<InstanceKey>) -> Vec<(&'static str, Vec<Value>)> {
        // No instance has the key 0.
        let after = Value::from(at_most(after.unwrap_or(0)));
        let by_status = "FROM instance INDEXED BY instance_status WHERE status = ? AND key > ?";
        match self {
            Way::All => vec![("FROM instance WHERE key > ?", vec![after])],
            Way::Name(name) => {
                let arm = "FROM instance INDEXED BY instance_name WHERE name = ? AND key > ?";
                vec![(arm, vec![Value::from((*name).to_owned()), after])]
            }
            Way::Statuses(statuses) => {
                statuses.iter().map(|status| (by_status, vec![Value::from(*status as i64), after.clone()])).collect()
            }
            Way::Prefix(prefix) => {
                let (from, to) = range(prefix);
                let arm = "FROM instance WHERE key IN (SELECT key FROM instance WHERE id >= ? AND id < ? AND key > ?)";
                vec![(arm, vec![from, to, after])]
            }
        }
    }
}

/// All texts that begin so are at least the first value, and less than the second.
fn range(prefix: &str) -> (Value, Value) {
    let mut above = prefix.to_owned();
    while let Some(last) = above.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            above.push(next);
            return (prefix.to_owned().into(), above.into());
        }
    }
    // To SQLite every text is less than any blob.
    (prefix.to_owned().into(), Value::Blob(Vec::new()))
}
