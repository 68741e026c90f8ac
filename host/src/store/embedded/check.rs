//! Whether pages are what was written, and rows fit each other.

use rusqlite::Connection;

use super::format::FORMAT;
use super::health::read_error;

/// Each gives a line for whatever should not be.
const LINES: [&str; 8] = [
    "SELECT 'SQLite says: ' || integrity_check FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "SELECT 'row ' || row || ' of history belongs to no instance' FROM history WHERE key NOT IN (SELECT key FROM instance)",
    "SELECT 'message ' || seq || ' belongs to no instance' FROM inbox WHERE key NOT IN (SELECT key FROM instance)",
    "SELECT 'activity ' || task || ' of instance ' || key || ' belongs to no instance' FROM activity
     WHERE key NOT IN (SELECT key FROM instance)",
    "SELECT 'the history of ' || id || ' has ' || coalesce(found, 0) || ' rows instead of ' || rows FROM instance
     LEFT JOIN (SELECT key AS owner, count(*) AS found FROM history GROUP BY key) ON owner = key
     WHERE coalesce(found, 0) <> rows",
    "SELECT id || ' has ended, or has not, and its row says otherwise' FROM instance
     WHERE (status IN (1, 3, 4, 5)) <> (ended IS NOT NULL) OR (ended IS NOT NULL AND due IS NOT NULL)",
    "SELECT 'there are ' || found || ' remembered requests, and ' || value || ' are counted' FROM meta,
     (SELECT count(*) AS found FROM request) WHERE key = 'requests' AND value <> found",
    "SELECT 'there are ' || count(*) || ' partitions' FROM partition HAVING count(*) <> 64",
];

pub(super) fn damage(db: &Connection) -> Vec<String> {
    let mut all: Vec<String> = LINES.iter().flat_map(|query| lines(db, query)).collect();
    match super::format::read(db) {
        Ok(Some(FORMAT)) => {}
        Ok(found) => all.push(format!("the format is {found:?}, not {FORMAT}")),
        Err(error) => all.push(read_error(error).to_string()),
    }
    // A page that can not be read is in the way of several.
    all.dedup();
    all
}

fn lines(db: &Connection, query: &str) -> Vec<String> {
    let lines = db.prepare(query).and_then(|mut query| query.query_map([], |row| row.get(0))?.collect());
    lines.unwrap_or_else(|error| vec![read_error(error).to_string()])
}
