//! Modules: deploy, list, delete.

use hyper::StatusCode;
use hyper::body::Incoming;

use super::answer::{Answer, Handled, empty, json};
use super::error::ApiError;
use super::wire::Module;
use super::{Api, Asked};
use crate::dispatcher::ModuleDeletion;
use crate::store::ModuleInfo;

impl Api {
    /// Keeps a module and makes it active for the names it holds: 201, or 200 where it was known. Durable on return.
    pub(super) async fn deploy(&self, asked: &Asked<'_>, body: Incoming) -> Handled {
        let body = self.upload(asked, body).await?;
        let before = self.dispatcher.modules();
        let module = self.dispatcher.deploy(body.bytes()).await?;
        let known = before.iter().any(|known| known.digest == module.digest);
        let status = if known { StatusCode::OK } else { StatusCode::CREATED };
        Ok(json(status, &Module::from(&module)))
    }

    /// The latest deployed first.
    pub(super) fn modules(&self) -> Answer {
        let modules = self.dispatcher.modules();
        let list: Vec<Module> = modules.iter().map(Module::from).collect();
        json(StatusCode::OK, &list)
    }

    /// Only what nobody needs any more.
    pub(super) async fn delete_module(&self, digest: &str) -> Handled {
        let digest = self.module(digest)?.digest;
        match self.dispatcher.delete_module(&digest).await? {
            ModuleDeletion::Deleted => Ok(empty(StatusCode::NO_CONTENT)),
            ModuleDeletion::Needed(instances) => Err(ApiError::module_needed(&digest, instances)),
            ModuleDeletion::Active(names) => Err(ApiError::module_active(&digest, &names)),
        }
    }

    /// The module of this digest, or the only one whose digest begins so.
    pub(super) fn module(&self, digest: &str) -> Result<ModuleInfo, ApiError> {
        let mut modules = self.dispatcher.modules();
        modules.retain(|module| module.digest.starts_with(digest));
        match modules.pop() {
            Some(module) if modules.is_empty() && !digest.is_empty() => Ok(module),
            Some(_) => Err(ApiError::ambiguous_module(digest)),
            None => Err(ApiError::unknown_module(digest)),
        }
    }
}
