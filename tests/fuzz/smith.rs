//! Modules that nobody wrote: wasm-smith makes them up. Most are valid and of what a host takes; some need what is off there, some are not valid.

use arbitrary::{Arbitrary as _, Unstructured};
use fastrand::Rng;
use tests::hostile::embed_contract;
use wasm_encoder::{ComponentSection as _, ComponentSectionId, RawSection};
use wasm_smith::{Component, Config, Module};

/// Makes modules up.
pub struct Smith {
    /// A guest as a compiler makes it: those that are made up import and export the same.
    core: Vec<u8>,
    /// A component that is admitted, and still is with others in it.
    component: Vec<u8>,
}

impl Smith {
    pub fn new(core: Vec<u8>, component: Vec<u8>) -> Smith {
        Smith { core, component }
    }

    pub fn make(&self, random: &mut Rng) -> Vec<u8> {
        loop {
            let mut bytes = vec![0; random.usize(1_000..16_000)];
            random.fill(&mut bytes);
            // They may not be enough for what they have begun.
            if let Ok(module) = self.made_of(&mut Unstructured::new(&bytes), random) {
                return module;
            }
        }
    }

    fn made_of(&self, bytes: &mut Unstructured<'_>, random: &mut Rng) -> arbitrary::Result<Vec<u8>> {
        let config = config(bytes, random)?;
        match random.u8(0..8) {
            0 => Ok(Component::new(config, bytes)?.to_bytes()),
            1 => Ok(self.with(ComponentSectionId::Component, &Component::new(config, bytes)?.to_bytes())),
            2..5 => Ok(self.with(ComponentSectionId::CoreModule, &Module::new(config, bytes)?.to_bytes())),
            _ => self.guest(config, bytes),
        }
    }

    /// The component, and this in it.
    fn with(&self, id: ComponentSectionId, data: &[u8]) -> Vec<u8> {
        let mut component = self.component.clone();
        RawSection { id: id.into(), data }.append_to_component(&mut component);
        component
    }

    /// A core module that says it is a guest, and does anything when it is asked what it holds.
    fn guest(&self, config: Config, bytes: &mut Unstructured<'_>) -> arbitrary::Result<Vec<u8>> {
        let like = Some(self.core.clone());
        // The one memory is the guest's.
        let max_memories = config.max_memories.saturating_sub(1);
        let config = Config { available_imports: like.clone(), exports: like, max_memories, ..config };
        let mut module = Module::new(config, bytes)?.to_bytes();
        embed_contract(&mut module);
        Ok(module)
    }
}

fn config(bytes: &mut Unstructured<'_>, random: &mut Rng) -> arbitrary::Result<Config> {
    let any = Config {
        max_modules: 4,
        max_components: 4,
        max_values: 4,
        generate_custom_sections: random.bool(),
        ..Config::arbitrary(bytes)?
    };
    Ok(match random.u8(0..8) {
        0 => any,
        1 => with_proposals(any),
        2 => Config { allow_invalid_funcs: true, ..without_proposals(any) },
        _ => without_proposals(any),
    })
}

/// Such that a host has it all on.
fn without_proposals(config: Config) -> Config {
    Config {
        compact_imports_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        max_memories: config.max_memories.min(1),
        memory64_enabled: false,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        ..config
    }
}

/// The ones that are rarely tried elsewhere.
fn with_proposals(config: Config) -> Config {
    Config {
        custom_descriptors_enabled: true,
        custom_page_sizes_enabled: true,
        gc_enabled: true,
        multibyte_array_access_enabled: true,
        reference_types_enabled: true,
        shared_everything_threads_enabled: true,
        threads_enabled: true,
        acquire_release_atomics_enabled: true,
        wide_arithmetic_enabled: true,
        ..config
    }
}
