//! Which module is active for which name. Whoever pins an instance to a module [reads](Registry::read) here until the write that does so is
//! submitted; and it is noted here that a module is to go before its deletion is. So the store knows of all that need it.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::store::ModuleInfo;

#[derive(Default)]
pub struct Registry(RwLock<Active>);

#[derive(Default)]
pub struct Active {
    modules: Vec<ModuleInfo>,
    /// Folded name of an orchestrator → its spelling and the digest of the active module.
    orchestrators: HashMap<String, (String, String)>,
    /// The same for activities, whose names match as they are spelled.
    activities: HashMap<String, (String, String)>,
    /// The one that is about to be deleted.
    leaving: Option<String>,
}

impl Active {
    pub fn knows(&self, digest: &str) -> bool {
        self.modules.iter().any(|module| module.digest == digest)
    }

    /// Whether an instance may be pinned to it.
    pub fn keeps(&self, digest: &str) -> bool {
        self.knows(digest) && self.leaving.as_deref() != Some(digest)
    }

    /// The spelling and the module of an orchestrator, whatever the case of `name`.
    pub fn orchestrator(&self, name: &str) -> Option<(String, String)> {
        self.orchestrators.get(&name.to_lowercase()).cloned()
    }
}

impl Registry {
    /// Keeps all as it is. Nobody may read twice at a time: one that waits to write would come between.
    pub fn read(&self) -> RwLockReadGuard<'_, Active> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

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
        *self.write() = Active { modules, orchestrators, activities, leaving: None };
    }

    /// Notes which module is about to be deleted.
    pub fn set_leaving(&self, digest: Option<&str>) {
        self.write().leaving = digest.map(str::to_owned);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Active> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn modules(&self) -> Vec<ModuleInfo> {
        self.read().modules.clone()
    }

    pub fn knows(&self, digest: &str) -> bool {
        self.read().knows(digest)
    }

    pub fn orchestrator(&self, name: &str) -> Option<(String, String)> {
        self.read().orchestrator(name)
    }

    /// The orchestrators and activities whose newest module this is, sorted.
    pub fn active_names(&self, digest: &str) -> Vec<String> {
        let active = self.read();
        let of = |names: &HashMap<String, (String, String)>| {
            names.values().filter(|(_, module)| module == digest).map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let mut names = [of(&active.orchestrators), of(&active.activities)].concat();
        names.sort();
        names
    }

    /// Whether the module of this digest holds the activity.
    pub fn holds_activity(&self, digest: &str, name: &str) -> bool {
        let active = self.read();
        let module = active.modules.iter().find(|module| module.digest == digest);
        module.is_some_and(|module| module.activities.iter().any(|activity| activity == name))
    }

    /// The newest module that holds this activity.
    pub fn activity(&self, name: &str) -> Option<String> {
        let active = self.read();
        active.activities.get(name).map(|(_, digest)| digest.clone())
    }

    /// The names of all orchestrators, sorted.
    pub fn orchestrators(&self) -> Vec<String> {
        let active = self.read();
        let mut names: Vec<String> = active.orchestrators.values().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }
}
