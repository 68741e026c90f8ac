//! A table that begins anew without the rows on its damaged pages. Left as it is, it would take the rows beside them along: where a page empties,
//! SQLite merges it with its neighbours. The old table stays, under another name, for who wants to look at it.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::health::Failure;
use super::reader::Readers;
use crate::store::StoreError;

/// Whose owners are known by other means, and the first columns, which their rows are in the order of.
const TABLES: [(&str, &[&str]); 2] = [("activity", &["key", "task"]), ("outbox", &["seq"])];

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
}

impl Rest {
    pub(super) fn begin_anew(&self, db: &Connection) -> Result<(), Failure> {
        let Rest { table, rows } = self;
        let ddl = "SELECT sql FROM sqlite_schema WHERE name = ?";
        let ddl: String = db.query_row(ddl, [table], |row| row.get(0))?;
        let number = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'damaged_%'";
        let number: i64 = db.query_row(number, [], |row| row.get(0))?;
        // The legacy way leaves views alone: they are of the table that has the name.
        db.execute_batch(&format!(
            "PRAGMA legacy_alter_table = ON;
             ALTER TABLE {table} RENAME TO damaged_{table}_{number};
             PRAGMA legacy_alter_table = OFF;
             {ddl};"
        ))?;
        for row in rows {
            let places = vec!["?"; row.len()].join(", ");
            db.prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))?.execute(params_from_iter(row))?;
        }
        Ok(())
    }
}
