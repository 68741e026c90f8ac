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
    /// The same for activities, whose names match as they are spelled.
    activities: HashMap<String, (String, String)>,
}

impl Registry {
    /// Takes the modules there are, the latest deployed first.
    pub fn replace(&self, modules: Vec<ModuleInfo>) {
        let (mut orchestrators, mut activities) = (HashMap::new(), HashMap::new());
        for module in &modules {
            let active = |name: &String| (name.clone(), module.digest.clone());
            for name in &module.orchestrators {
                orchestrators.entry(name.to_lowercase()).or_insert_with(|| active(name));
            }
            for name in &module.activities {
                activities.entry(name.clone()).or_insert_with(|| active(name));
            }
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Active { modules, orchestrators, activities };
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

    /// The orchestrators and activities whose newest module this is, sorted.
    pub fn active_names(&self, digest: &str) -> Vec<String> {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of = |names: &HashMap<String, (String, String)>| {
            names.values().filter(|(_, module)| module == digest).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let mut names = [of(&active.orchestrators), of(&active.activities)].concat();
        names.sort();
        names
    }

    /// Whether the module of this digest holds the activity.
    pub fn holds_activity(&self, digest: &str, name: &str) -> bool {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let module = active.modules.iter().find(|module| module.digest == digest);
        module.is_some_and(|module| module.activities.iter().any(|activity| activity == name))
    }

    /// The newest module that holds this activity.
    pub fn activity(&self, name: &str) -> Option<String> {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        active.activities.get(name).map(|(_, digest)| digest.clone())
    }

    /// The names of all orchestrators, sorted.
    pub fn orchestrators(&self) -> Vec<String> {
        let active = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut names: Vec<String> = active.orchestrators.values().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }
}
