//! The move of live instances to another module.

use std::borrow::Cow;

use fermata_replay::{Ask, Mismatch};
use hyper::StatusCode;
use hyper::body::Incoming;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Handled, json};
use super::error::ApiError;
use super::{Api, Asked};
use crate::dispatcher::{Fit, Migration, Scope};

/// What is to be moved where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wish {
    /// The digest of a module, or as much of its beginning as no other has.
    to: String,
    /// All live instances of this orchestrator; or else one instance.
    orchestrator: Option<String>,
    instance: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Migrations<'a> {
    to: &'a str,
    dry_run: bool,
    instances: Vec<Found<'a>>,
}

/// What the module makes of one instance.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Found<'a> {
    instance_id: &'a str,
    from: &'a str,
    /// Null where it could not be found out.
    fits: Option<bool>,
    moved: bool,
    /// It is the module that the instance has.
    same: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    mismatch: Option<Divergence<'a>>,
    /// Why it could not be found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// Where history and module part: history recorded one thing, the module asked for another, or for nothing more.
#[derive(Serialize, JsonSchema)]
struct Divergence<'a> {
    step: u64,
    position: usize,
    #[schemars(with = "Value")]
    recorded: Option<&'a Ask>,
    #[schemars(with = "Value")]
    asked: Option<&'a Ask>,
    /// The same in words.
    text: String,
}

impl Api {
    /// Tries each instance, and moves those that fit, unless that is only to be tried.
    pub(super) async fn migrate(&self, asked: &Asked<'_>, body: Incoming) -> Handled {
        let body = self.body(asked, body).await?;
        let (to, scope, dry_run) = wish(&body)?;
        match &scope {
            Scope::Orchestrator(name) if !asked.caller.covers(name) => {
                return Err(ApiError::orchestrator_not_covered(name));
            }
            Scope::Instance(id) if !asked.caller.orchestrators().is_empty() => {
                self.check_instance(&asked.caller, id).await?;
            }
            _ => {}
        }
        let to = self.module(&to)?.digest;
        let migrations = self.dispatcher.migrate(scope, &to, dry_run).await?;
        let instances = migrations.iter().map(|migration| found(migration, dry_run)).collect();
        Ok(json(StatusCode::OK, &Migrations { to: &to, dry_run, instances }))
    }
}

fn wish(body: &[u8]) -> Result<(String, Scope, bool), ApiError> {
    let Wish { to, orchestrator, instance, dry_run } =
        serde_json::from_slice(body).map_err(|error| ApiError::bad_migration(Cow::Owned(error.to_string())))?;
    let scope = match (orchestrator, instance) {
        (Some(name), None) => Scope::Orchestrator(name),
        (None, Some(id)) => Scope::Instance(id),
        _ => return Err(ApiError::bad_migration("it names either an orchestrator or an instance".into())),
    };
    Ok((to, scope, dry_run))
}

fn found(migration: &Migration, dry_run: bool) -> Found<'_> {
    let blank = Found {
        instance_id: &migration.instance,
        from: &migration.from,
        fits: Some(true),
        moved: false,
        same: false,
        mismatch: None,
        reason: None,
    };
    match &migration.fit {
        Fit::Fits => Found { moved: !dry_run, ..blank },
        Fit::Same => Found { same: true, ..blank },
        Fit::Diverges(mismatch) => Found { fits: Some(false), mismatch: Some(divergence(mismatch)), ..blank },
        Fit::Unknown(reason) => Found { fits: None, reason: Some(reason), ..blank },
    }
}

fn divergence(mismatch: &Mismatch) -> Divergence<'_> {
    Divergence {
        step: mismatch.step,
        position: mismatch.position,
        recorded: mismatch.history.as_ref(),
        asked: mismatch.guest.as_ref(),
        text: mismatch.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_orchestrator_or_one_instance() {
        let (to, scope, dry_run) = wish(br#"{"to":"ab","orchestrator":"Order","dryRun":true}"#).unwrap();
        assert_eq!((&*to, scope, dry_run), ("ab", Scope::Orchestrator("Order".into()), true));
        let (_, scope, dry_run) = wish(br#"{"to":"ab","instance":"i"}"#).unwrap();
        assert_eq!((scope, dry_run), (Scope::Instance("i".into()), false));
        for wrong in [
            "",
            "[]",
            r#"{"orchestrator":"Order"}"#,
            r#"{"to":"ab"}"#,
            r#"{"to":"ab","orchestrator":"Order","instance":"i"}"#,
            r#"{"to":"ab","instance":"i","dryrun":true}"#,
        ] {
            assert_eq!(wish(wrong.as_bytes()).unwrap_err().code, "bad-migration", "{wrong}");
        }
    }

    #[test]
    fn a_divergence_is_told_in_parts_and_in_words() {
        let ask = |kind: &str| Ask { kind: kind.into(), fields: vec![("task".into(), "0".into())] };
        let mismatch =
            Mismatch { step: 2, seq: 7, position: 0, history: Some(ask("cancel task")), guest: Some(ask("block")) };
        let fit = Fit::Diverges(Box::new(mismatch));
        let migration = Migration { instance: "i".into(), from: "m".into(), fit };
        let found = serde_json::to_value(found(&migration, false)).unwrap();
        assert_eq!((&found["fits"], &found["moved"]), (&false.into(), &false.into()));
        assert_eq!(found["mismatch"]["recorded"]["kind"], "cancel task");
        assert!(found["mismatch"]["text"].as_str().unwrap().contains("the guest did: block"), "{found}");
    }

    #[test]
    fn what_fits_is_moved_unless_that_is_only_tried() {
        let migration = Migration { instance: "i".into(), from: "m".into(), fit: Fit::Fits };
        assert!(found(&migration, false).moved && !found(&migration, true).moved);
        let unknown = Migration { fit: Fit::Unknown("busy".into()), ..migration };
        let unknown = found(&unknown, false);
        assert_eq!((unknown.fits, unknown.reason, unknown.moved), (None, Some("busy"), false));
    }
}
