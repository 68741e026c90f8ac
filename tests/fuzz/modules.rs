//! Uploads: guests that are broken off or have bits flipped, small modules with anything done to them, and modules that are made up. The engine
//! compiles as a host does, in children.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;
use fermata::callback::Callbacks;
use fermata::engine::{Admitted, BadModule, Compiler, Engine};
use fermata::limits::{GuestLimits, ModuleLimits};
use tests::hostile;

use crate::bytes::{mutated, one_of};
use crate::harness::{Target, fuzz};
use crate::smith::Smith;

struct Modules {
    engine: Arc<Engine>,
    /// A guest as Rust's compiler makes it, and as it is deployed.
    core: Vec<u8>,
    component: Vec<u8>,
    smith: Smith,
    /// How many ended how.
    ends: BTreeMap<String, u64>,
    _cache: tempfile::TempDir,
}

#[test]
fn modules() {
    fuzz(Modules::new());
}

const MADE_UP: u64 = 60;

/// What is refused at the first look tests nothing behind it.
#[test]
fn many_that_are_made_up_are_compiled_and_some_admitted() {
    let mut modules = Modules::new();
    for seed in 0..MADE_UP {
        let module = modules.smith.make(&mut Rng::with_seed(seed));
        modules.take(&module).unwrap();
    }
    let count = |ends: &[&str]| ends.iter().filter_map(|end| modules.ends.get(*end)).sum::<u64>();
    let (admitted, compiled) = (count(&["admitted"]), count(&["admitted", "Import", "Export", "Describe", "Empty"]));
    assert!(compiled > MADE_UP / 3 && admitted > MADE_UP / 20, "{:?}", modules.ends);
    assert!(count(&["Feature"]) > MADE_UP / 20, "{:?}", modules.ends);
}

impl Modules {
    fn new() -> Modules {
        let cache = tempfile::tempdir().unwrap();
        let limits = GuestLimits { execution: hostile::limits(), ..GuestLimits::default() };
        let compiler = Compiler::in_children_of(tests::binary(), ModuleLimits::default());
        let callbacks = Arc::new(Callbacks::new(cache.path(), "http://nowhere.invalid"));
        let engine = Engine::of_host(limits, 4, compiler, cache.path(), callbacks).unwrap();
        let core = tests::guest_bytes("select");
        let encoded = |module: &[u8]| engine.admit(module).unwrap().component;
        let component = encoded(&core);
        // One that is compiled quickly.
        let smith = Smith::new(core.clone(), encoded(&hostile::guests()[0].module()));
        Modules { engine, core, component, smith, ends: BTreeMap::new(), _cache: cache }
    }

    /// What was admitted is admitted again, as the same.
    fn again(&self, admitted: Admitted) -> Result<(), String> {
        let again = self.engine.admit(&admitted.component).map_err(|error| format!("then refused: {error}"))?;
        let is_same = again.module.digest() == admitted.module.digest();
        self.engine.forget(admitted.module.digest());
        if is_same { Ok(()) } else { Err("one module has two digests".into()) }
    }
}

impl Target for Modules {
    const NAME: &'static str = "modules";

    fn make(&self, random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
        let guest = if random.bool() { &self.core } else { &self.component };
        match random.u8(0..16) {
            0 => guest[..random.usize(0..guest.len())].to_vec(),
            1 => flipped(random, guest.clone()),
            2..5 => {
                let module = one_of(random, corpus);
                flipped(random, module)
            }
            5..8 => mutated(random, corpus),
            8 => {
                let module = self.smith.make(random);
                flipped(random, module)
            }
            _ => self.smith.make(random),
        }
    }

    fn take(&mut self, input: &[u8]) -> Result<(), String> {
        let (end, taken) = match self.engine.admit(input) {
            Ok(admitted) => ("admitted".into(), self.again(admitted)),
            // Parsers of others go down as deep as a module tells them, or for ever: a child is there to die of it.
            Err(BadModule::CompilerDied(why)) if why.contains("overflowed its stack") => ("overflow".into(), Ok(())),
            Err(error @ (BadModule::NoCompiler(_) | BadModule::CompilerDied(_))) => {
                (name(&error), Err(error.to_string()))
            }
            Err(error) => (name(&error), Ok(())),
        };
        *self.ends.entry(end).or_default() += 1;
        taken
    }

    fn told(&self) -> String {
        format!("{:?}", self.ends)
    }
}

/// Of the variant.
fn name(error: &BadModule) -> String {
    let text = format!("{error:?}");
    text.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default().into()
}

fn flipped(random: &mut Rng, mut module: Vec<u8>) -> Vec<u8> {
    for _ in 0..random.usize(1..4) {
        let at = random.usize(0..module.len());
        module[at] ^= 1 << random.u8(0..8);
    }
    module
}
