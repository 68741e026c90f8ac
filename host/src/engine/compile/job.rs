//! What there is to do with an upload before it can run.

use serde::{Deserialize, Serialize};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};

use crate::engine::check::{check, within};
use crate::engine::{BadModule, settings};
use crate::limits::ModuleLimits;

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Job {
    /// A core module becomes a component, of the type that its component-type section tells.
    Encode,
    /// A component becomes machine code for this processor.
    Compile,
}

impl Job {
    pub fn run(self, module: &[u8], limits: &ModuleLimits) -> Result<Vec<u8>, BadModule> {
        match self {
            Job::Encode => encode(module),
            Job::Compile => {
                check(module, limits)?;
                let code = machine_code(module)?;
                within("bytes of machine code", code.len() as u64, limits.code_bytes as u64)?;
                Ok(code)
            }
        }
    }
}

/// Whether this is a core module; not so, it may be a component.
pub fn is_core(module: &[u8]) -> Result<bool, BadModule> {
    const CORE: &[u8] = b"\0asm\x01\0\0\0";
    if module.starts_with(b"\0asm") { Ok(module.starts_with(CORE)) } else { Err(BadModule::NotWasm) }
}

fn encode(module: &[u8]) -> Result<Vec<u8>, BadModule> {
    if !has_component_type(module)? {
        return Err(BadModule::NoComponentType);
    }
    let encode = || {
        wit_component::ComponentEncoder::default()
            .validate(true)
            .module(module)?
            .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)?
            .encode()
    };
    encode().map_err(|error| {
        let text = format!("{error:#}");
        if text.contains("import") { BadModule::Import(text) } else { BadModule::NotEncodable(text) }
    })
}

fn has_component_type(module: &[u8]) -> Result<bool, BadModule> {
    for part in wasmparser::Parser::new(0).parse_all(module) {
        match part.map_err(|error| BadModule::Invalid(error.to_string()))? {
            wasmparser::Payload::CustomSection(section) if section.name().starts_with("component-type") => {
                return Ok(true);
            }
            _ => {}
        }
    }
    Ok(false)
}

/// The machine code of a component that was checked, for an engine of this version on this processor.
pub fn machine_code(component: &[u8]) -> Result<Vec<u8>, BadModule> {
    let compile = || wasmtime::Engine::new(&settings::compiler())?.precompile_component(component);
    compile().map_err(|error| match error.downcast_ref::<std::io::Error>() {
        Some(io) if io.kind() == std::io::ErrorKind::OutOfMemory => BadModule::CompileMemory,
        _ => BadModule::Invalid(format!("{error:#}")),
    })
}
