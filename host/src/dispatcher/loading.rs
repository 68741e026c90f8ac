//! Modules on their way into memory. Whoever wants one that somebody else loads already waits for it: to load one takes a compiler, or a long read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::turn::Lifeless;
use super::{Dispatcher, lock};
use crate::engine::{BadModule, Module};

/// The modules that are being loaded, by digest; whoever loads one holds its lock.
#[derive(Default)]
pub struct Loading(Mutex<HashMap<String, Arc<Mutex<()>>>>);

impl Dispatcher {
    /// The module of this digest, from memory or from the store. Not for threads of an async runtime.
    pub(super) fn module(&self, digest: &str) -> Result<Arc<Module>, Lifeless> {
        if let Some(module) = self.engine.module(digest) {
            return Ok(module);
        }
        let turn = lock(&self.loading.0).entry(digest.to_owned()).or_default().clone();
        let loaded = {
            let _turn = lock(&turn);
            match self.engine.module(digest) {
                Some(module) => Ok(module),
                None => self.load_module(digest),
            }
        };
        lock(&self.loading.0).remove(digest);
        loaded
    }

    fn load_module(&self, digest: &str) -> Result<Arc<Module>, Lifeless> {
        let bytes = self.wait_for(self.store.module_bytes(digest))?;
        let bytes = bytes.ok_or_else(|| Lifeless::Park(format!("its module {digest} is not stored")))?;
        self.engine.compile(digest, &bytes).map_err(|error| match error {
            // It could when it was deployed: what it lacks now is room or time.
            BadModule::Describe(_)
            | BadModule::CompileTime(_)
            | BadModule::CompileMemory
            | BadModule::CompilerDied(_)
            | BadModule::NoCompiler(_) => Lifeless::Later(error.to_string()),
            _ => Lifeless::Park(format!("its module {digest} does not load: {error}")),
        })
    }
}
