//! Uploads: guests that are broken off or have bits flipped, and small modules with anything done to them.

use std::sync::Arc;

use fastrand::Rng;
use fermata::engine::{BadModule, Engine};
use fermata::limits::GuestLimits;

use crate::bytes::{mutated, one_of};
use crate::harness::{Target, fuzz};

struct Modules {
    engine: Arc<Engine>,
    /// A guest as Rust's compiler makes it, and as it is deployed.
    core: Vec<u8>,
    component: Vec<u8>,
    _cache: tempfile::TempDir,
}

#[test]
fn modules() {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits::default(), 4, cache.path()).unwrap();
    let core = tests::guest_bytes("select");
    let component = engine.admit(&core).unwrap().component;
    fuzz(Modules { engine, core, component, _cache: cache });
}

impl Target for Modules {
    const NAME: &'static str = "modules";

    fn make(&self, random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
        let guest = if random.bool() { &self.core } else { &self.component };
        match random.u8(0..10) {
            0 => guest[..random.usize(0..guest.len())].to_vec(),
            1 => flipped(random, guest.clone()),
            2..5 => {
                let module = one_of(random, corpus);
                flipped(random, module)
            }
            _ => mutated(random, corpus),
        }
    }

    fn take(&mut self, input: &[u8]) -> Result<(), String> {
        match self.engine.admit(input) {
            Ok(admitted) => {
                let again = self.engine.admit(&admitted.component).map_err(|error| format!("then refused: {error}"))?;
                let is_same = again.module.digest() == admitted.module.digest();
                self.engine.forget(admitted.module.digest());
                if is_same { Ok(()) } else { Err("one module has two digests".into()) }
            }
            Err(error @ (BadModule::NoCompiler(_) | BadModule::CompilerDied(_))) => Err(error.to_string()),
            Err(_) => Ok(()),
        }
    }
}

fn flipped(random: &mut Rng, mut module: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..module.len());
        module[at] ^= 1 << random.u8(0..8);
    }
    module
}
