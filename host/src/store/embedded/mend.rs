//! A table that begins anew without the rows on its damaged pages. Left as it is, it would take the rows beside them along: where a page empties,
//! SQLite merges it with its neighbours. The old table stays, under another name, for who wants to look at it.
//!
//! Where rows are added at a damaged edge nobody could add any: such a table begins anew, too. Of history the instances that miss rows notice; of the
//! inbox messages that can not be read stand for those that are lost.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::health::{Failure, read_error};
use super::reader::Readers;
use super::salvage::unless_damaged;
use crate::store::StoreError;

/// Whose owners are known by other means, and the first columns, which their rows are in the order of.
const TABLES: [(&str, &[&str]); 2] = [("activity", &["key", "task"]), ("outbox", &["seq"])];

/// Tables whose rows are added at their end, each with the number that they are in the order of.
const GROWING: [Edge; 2] = [("history", "row"), ("inbox", "seq")];

/// A table to whose end nothing can be added.
pub(super) type Edge = (&'static str, &'static str);

/// What is left of a table.
pub(super) struct Rest {
    table: &'static str,
    rows: Vec<Vec<Value>>,
}

impl Readers {
    /// The tables that are to begin anew.
    pub(super) fn to_mend(&self) -> Result<Vec<Rest>, StoreError> {
        let mut damaged = Vec::new();
        for (table, order) in TABLES {
            let whole_row = |row: &Row<'_>| {
                let place = (0..order.len()).map(|column| row.get::<_, i64>(column)).collect::<Result<Vec<_>, _>>()?;
                let columns = 0..row.as_ref().column_count();
                Ok((place, columns.map(|column| row.get(column)).collect::<Result<Vec<Value>, _>>()?))
            };
            let found = self.salvage(order, &format!("* FROM {table}"), whole_row)?;
            if !found.is_whole {
                damaged.push(Rest { table, rows: found.rows.into_values().collect() });
            }
        }
        Ok(damaged)
    }

    pub(super) fn broken_edges(&self) -> Result<Vec<Edge>, StoreError> {
        let mut broken = Vec::new();
        for (table, by) in GROWING {
            let last = format!("SELECT max({by}) FROM {table}");
            let found = self.read(|db| db.query_row(&last, [], |_| Ok(true)).map_err(read_error));
            if !unless_damaged(found, || Ok(false))? {
                broken.push((table, by));
            }
        }
        Ok(broken)
    }

    pub(super) fn mend_edge(&self, db: &Connection, (table, by): Edge) -> Result<(), Failure> {
        // Who reads sees the old table until this is committed.
        set_aside(db, table)?;
        self.copy_around_damage(db, table, by)?;
        if table == "inbox" { self.stand_in_for_lost_messages(db) } else { Ok(()) }
    }

    /// Their instances find what can not be read, and are parked.
    fn stand_in_for_lost_messages(&self, db: &Connection) -> Result<(), Failure> {
        let all = self.indexed_messages()?;
        if !all.is_whole {
            tracing::error!("unread messages may be lost, of instances that nothing tells any more");
        }
        let stand_in =
            "INSERT INTO inbox (seq, key, at, body) SELECT ?2, ?1, 0, '' WHERE ?2 NOT IN (SELECT seq FROM inbox)";
        for (message, ()) in all.rows {
            db.prepare_cached(stand_in)?.execute(message)?;
        }
        Ok(())
    }
}

impl Rest {
    pub(super) fn begin_anew(&self, db: &Connection) -> Result<(), Failure> {
        let Rest { table, rows } = self;
        set_aside(db, table)?;
        for row in rows {
            let places = vec!["?"; row.len()].join(", ");
            db.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))?.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}

/// Gives a table another name, and makes an empty one with its indexes.
fn set_aside(db: &Connection, table: &str) -> Result<(), Failure> {
    let number = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'damaged_%'";
    let number: i64 = db.query_row(number, [], |row| row.get(0))?;
    let ddl = "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = ? AND sql IS NOT NULL AND type IN ('table', 'index') ORDER BY type DESC";
    let made: Vec<(String, String, String)> = db
        .prepare(ddl)?
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    // The legacy way leaves views alone: they are of the table that has the name.
    db.execute_batch(&format!(
        "PRAGMA legacy_alter_table = ON;
         ALTER TABLE {table} RENAME TO damaged_{table}_{number};
         PRAGMA legacy_alter_table = OFF;"
    ))?;
    for (kind, name, sql) in made {
        if kind == "index" {
            db.execute_batch(&format!("DROP INDEX {name}"))?;
        }
        db.execute_batch(&sql)?;
    }
    Ok(())
}
