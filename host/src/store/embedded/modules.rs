//! Deployed modules.

use fermata_replay::{RuntimeStatus, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::health::{Failure, read_error};
use super::reader::json;
use crate::store::{Module, ModuleInfo, StoreError};

pub(super) fn deploy(db: &Connection, module: &Module) -> Result<(), Failure> {
    let names = |names: &[String]| serde_json::Value::from(names).to_string();
    db.prepare_cached(
        "INSERT INTO module (digest, orchestrators, activities, deployed, deployment, bytes)
         VALUES (?, ?, ?, ?, (SELECT coalesce(max(deployment), 0) + 1 FROM module), ?)
         ON CONFLICT (digest) DO UPDATE SET deployed = excluded.deployed, deployment = excluded.deployment",
    )?
    .execute(params![
        module.digest,
        names(&module.orchestrators),
        names(&module.activities),
        module.deployed.0,
        &module.bytes[..]
    ])?;
    Ok(())
}

pub(super) fn all(db: &Connection) -> Result<Vec<ModuleInfo>, StoreError> {
    db.prepare_cached(&format!("SELECT {INFO} FROM module ORDER BY deployment DESC"))
        .and_then(|mut query| query.query_map([], info)?.collect())
        .map_err(read_error)
}

pub(super) const INFO: &str = "digest, octet_length(bytes), orchestrators, activities, deployed, deployment";

/// A row of the columns [`INFO`].
pub(super) fn info(row: &Row<'_>) -> rusqlite::Result<ModuleInfo> {
    let names = |column| json(column, row.get_ref(column)?.as_str()?);
    Ok(ModuleInfo {
        digest: row.get(0)?,
        size: row.get::<_, i64>(1)? as u64,
        orchestrators: names(2)?,
        activities: names(3)?,
        deployed: Timestamp(row.get(4)?),
        deployment: row.get::<_, i64>(5)? as u64,
    })
}

/// How many instances need a module, and messages of this body. Reads all instances that can still run, and all that is unread.
pub(super) fn needed(db: &Connection, digest: &str, move_to: &str) -> Result<u64, Failure> {
    if !db.prepare_cached("SELECT 1 FROM module WHERE digest = ?")?.exists([digest])? {
        return Err(StoreError::Missing.into());
    }
    let mut count =
        db.prepare_cached("SELECT count(*) FROM instance INDEXED BY instance_status WHERE status = ? AND module = ?")?;
    let moving = "SELECT count(*) FROM inbox WHERE body = ?";
    let mut needed = db.prepare_cached(moving)?.query_row([move_to], |row| row.get::<_, i64>(0))? as u64;
    for status in RuntimeStatus::ALL {
        if !status.is_final() || status == RuntimeStatus::Failed {
            needed += count.query_row(params![status as i64, digest], |row| row.get::<_, i64>(0))? as u64;
        }
    }
    Ok(needed)
}

/// Removes a module that nobody needs; gives how many need it.
pub(super) fn delete(db: &Connection, digest: &str, move_to: &str) -> Result<u64, Failure> {
    let needed = needed(db, digest, move_to)?;
    if needed == 0 {
        db.prepare_cached("DELETE FROM module WHERE digest = ?")?.execute([digest])?;
    }
    Ok(needed)
}

pub(super) fn bytes(db: &Connection, digest: &str) -> Result<Option<Vec<u8>>, StoreError> {
    db.prepare_cached("SELECT bytes FROM module WHERE digest = ?")
        .and_then(|mut query| query.query_row([digest], |row| row.get(0)).optional())
        .map_err(read_error)
}
