//! The move of live instances to another module: each history is replayed against it, and those that fit are moved.

use std::sync::Arc;

use fermata_replay::{Execution, MessageBody, Mismatch, RuntimeStatus, State, Timestamp};

use super::Dispatcher;
use super::admission::closed;
use super::generation::to_json;
use super::turn::{Lifeless, decode};
use crate::engine::{End, Module, Progress};
use crate::store::{Change, Filter, Instance, StoreError};

/// Which instances a migration looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that have not ended, of this orchestrator.
    Orchestrator(String),
    Instance(String),
}

/// What a module makes of the history of one instance.
#[derive(Clone, Debug)]
pub enum Fit {
    /// It does what history says, and the instance was moved, unless that was only to be tried.
    Fits,
    /// It is the module that the instance has.
    Same,
    Diverges(Box<Mismatch>),
    /// It could not be found out.
    Unknown(String),
}

#[derive(Clone, Debug)]
pub struct Migration {
    pub instance: String,
    pub from: String,
    pub fit: Fit,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// None, or more than one.
    #[error("there is not one module whose digest begins with {0}")]
    NoModule(String),
    #[error("the module {digest} holds no orchestrator {name:?}; it holds: {holds}")]
    NoOrchestrator { digest: String, name: String, holds: String },
    #[error("there is no live instance with the id {0:?}")]
    NotFound(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How often a move is tried anew where the instance went on meanwhile.
const TRIES: u32 = 20;

impl Dispatcher {
    /// Replays live instances against the module of this digest, or of the only one that begins with it, and moves those that fit; with
    /// `dry_run` none.
    pub async fn migrate(
        self: &Arc<Self>,
        scope: Scope,
        to: &str,
        dry_run: bool,
    ) -> Result<Vec<Migration>, MigrateError> {
        let mut known = self.registry.modules().into_iter().filter(|module| module.digest.starts_with(to));
        let (Some(info), None) = (known.next(), known.next()) else {
            return Err(MigrateError::NoModule(to.to_owned()));
        };
        let instances = self.in_scope(&scope).await?;
        if let Some(first) = instances.first()
            && !info.orchestrators.contains(&first.name)
        {
            let (digest, name) = (info.digest, first.name.clone());
            return Err(MigrateError::NoOrchestrator { digest, name, holds: info.orchestrators.join(", ") });
        }
        let (dispatcher, digest) = (self.clone(), info.digest);
        let loaded = self.apart(move || dispatcher.module(&digest)).await?;
        let module = loaded.map_err(|lifeless| StoreError::Io(Lifeless::into_reason(lifeless).into()))?;
        let mut migrations = Vec::with_capacity(instances.len());
        for instance in instances {
            let fit = self.migrate_one(&instance, &module, dry_run).await;
            migrations.push(Migration { instance: instance.id, from: instance.module, fit });
        }
        Ok(migrations)
    }

    async fn in_scope(&self, scope: &Scope) -> Result<Vec<Instance>, MigrateError> {
        match scope {
            Scope::Instance(id) => match self.store.find(id).await? {
                Some(instance) if !instance.status.is_final() => Ok(vec![instance]),
                _ => Err(MigrateError::NotFound(id.clone())),
            },
            Scope::Orchestrator(name) => {
                let name = self.registry.orchestrator(name).map_or(name.clone(), |(name, _)| name);
                let live = RuntimeStatus::ALL.into_iter().filter(|status| !status.is_final());
                let mut filter = Filter { name: Some(name), statuses: live.collect(), ..Filter::default() };
                let mut instances = Vec::new();
                loop {
                    let page = self.store.list(filter.clone()).await?;
                    instances.extend(page.instances);
                    match page.next {
                        Some(after) => filter.after = Some(after),
                        None => return Ok(instances),
                    }
                }
            }
        }
    }

    async fn migrate_one(self: &Arc<Self>, instance: &Instance, module: &Arc<Module>, dry_run: bool) -> Fit {
        for _ in 0..TRIES {
            match self.try_migrate(instance, module, dry_run).await {
                Ok(Some(fit)) => return fit,
                Ok(None) => tokio::task::yield_now().await,
                Err(error) => return Fit::Unknown(error.to_string()),
            }
        }
        Fit::Unknown("the instance is too busy to be moved: try again".into())
    }

    /// None where the instance went on, or the module was deleted, while it was looked at.
    async fn try_migrate(
        self: &Arc<Self>,
        instance: &Instance,
        module: &Arc<Module>,
        dry_run: bool,
    ) -> Result<Option<Fit>, StoreError> {
        if !self.registry.read().keeps(module.digest()) {
            return Ok(Some(Fit::Unknown("the module was deleted, or is about to be".into())));
        }
        let Some(loaded) = self.store.load(instance.key).await? else { return Err(StoreError::Missing) };
        if loaded.instance.module == module.digest() {
            return Ok(Some(Fit::Same));
        }
        if loaded.instance.status.is_final() {
            return Ok(Some(Fit::Unknown("the instance has ended meanwhile".into())));
        }
        let version = loaded.instance.version;
        let (engine, checked, id, key) = (self.engine.clone(), module.clone(), instance.id.clone(), instance.key);
        let check = move || {
            let (history, _) = decode(loaded).map_err(StoreError::Damaged)?;
            State::checked(&history).map_err(|bad| StoreError::Damaged(bad.to_string()))?;
            let mut execution = Execution::new(history);
            if execution.begin().is_none() {
                // Nothing has run yet, or a rewind has undone all there was.
                return Ok(Fit::Fits);
            }
            let mut guest = engine.guest(&checked, &id, key, execution);
            Ok(match guest.resume([], Timestamp(i64::MIN)) {
                Progress::Blocked | Progress::Ended(End::Recorded) => Fit::Fits,
                Progress::Ended(End::Mismatch(mismatch)) => Fit::Diverges(mismatch),
                Progress::Ended(End::Abandoned(reason)) => Fit::Unknown(reason),
            })
        };
        let fit = self.apart(check).await??;
        if dry_run || !matches!(fit, Fit::Fits) {
            return Ok(Some(fit));
        }
        let Some(slot) = self.at_rest(&instance.id).await? else { return Err(StoreError::Missing) };
        let delivery = {
            let mut inner = slot.lock();
            // Until the move is submitted: the module must not go.
            let active = self.registry.read();
            let went_on = inner.version != version || inner.scheduled || inner.has_work() || !inner.is_trusted();
            if slot.key != instance.key || went_on || !active.keeps(module.digest()) {
                None
            } else {
                let unparked = inner.parked.then(|| self.unpark_slot(&slot, &mut inner));
                let body = MessageBody::Migrated { module: module.digest().to_owned() };
                let message = self.message(body)?;
                let change = |message| Change::Accept { message, sent: None, once: None };
                Some((unparked, self.admit(&slot, &mut inner, message, change)))
            }
        };
        match delivery {
            Some((unparked, durable)) => {
                if let Some(unparked) = unparked {
                    unparked.await.map_err(|_| closed())??;
                }
                durable.await.map_err(|_| closed())??;
                Ok(Some(Fit::Fits))
            }
            _ => {
                self.forget_if_idle(&slot);
                Ok(None)
            }
        }
    }

    /// Removes a module that no instance needs and that is not the newest of any name. The count says how many need it.
    pub async fn delete_module(&self, digest: &str) -> Result<ModuleDeletion, StoreError> {
        let _deploying = self.deploying.lock().await;
        let names = self.registry.active_names(digest);
        if !names.is_empty() {
            return Ok(ModuleDeletion::Active(names));
        }
        self.registry.set_leaving(Some(digest));
        let move_to = to_json(&MessageBody::Migrated { module: digest.to_owned() });
        let deleted = self.store.delete_module(digest, &move_to).await;
        if deleted != Ok(0) {
            self.registry.set_leaving(None);
            return deleted.map(ModuleDeletion::Needed);
        }
        self.registry.replace(self.store.readable_modules().await?);
        // Runs that are simulated share the engine.
        if self.simulator.is_none() {
            self.engine.forget(digest);
        }
        Ok(ModuleDeletion::Deleted)
    }
}

/// What became of the wish to delete a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModuleDeletion {
    Deleted,
    /// So many instances are pinned to it that have not ended, or may be rewound; or are about to be moved to it.
    Needed(u64),
    /// It is the newest one that holds these names.
    Active(Vec<String>),
}
