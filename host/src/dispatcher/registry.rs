//! Which module is active for which name.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::store::ModuleInfo;

#[derive(Default)]
pub struct Registry(RwLock<Active>);

#[derive(Default)]
struct Active {
    modules: Vec<ModuleInfo>,
    /// Folded name of an orchestrator → its spelling and the digest of the active module.
    orchestrators: HashMap<String, (String, String)>,
}

impl Registry {
    /// Takes the modules there are, the latest deployed first.
    pub fn replace(&self, modules: Vec<ModuleInfo>) {
        let mut orchestrators = HashMap::new();
        for module in &modules {
            for name in &module.orchestrators {
                let active = || (name.clone(), module.digest.clone());
                orchestrators.entry(name.to_lowercase()).or_insert_with(active);
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Active { modules, orchestrators };
    }

    pub fn modules(&self) -> Vec<ModuleInfo> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).modules.clone()
    }

    pub fn knows(&self, digest: &str) -> bool {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        active.modules.iter().any(|module| module.digest == digest)
    }

    /// The spelling and the module of an orchestrator, whatever the case of `name`.
    pub fn orchestrator(&self, name: &str) -> Option<(String, String)> {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        active.orchestrators.get(&name.to_lowercase()).cloned()
    }

    /// The names of all orchestrators, sorted.
    pub fn orchestrators(&self) -> Vec<String> {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = active.orchestrators.values().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }
}
