//! What a module must be before a compiler sees it: valid, of no proposal that is off here, and within the limits.

use wasmparser::{FuncValidatorAllocations, FunctionBody, Parser, Payload, ValidPayload, Validator, WasmFeatures};

use super::BadModule;
use crate::limits::ModuleLimits;

/// What a module may be made of: all there is in WebAssembly 2.0 but references to objects of the host, expressions as constants, and
/// components. Whatever is not named here is off, so what a new parser knows is refused until somebody has thought about it.
/// [`settings`](super::settings) turns the same off in wasmtime.
const FEATURES: WasmFeatures = WasmFeatures::WASM2
    .difference(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::COMPONENT_MODEL);

/// Checks a component, with all that lies in it.
pub fn check(component: &[u8], limits: &ModuleLimits) -> Result<(), BadModule> {
    let mut counted = Counted::new(limits);
    let mut validator = Validator::new_with_features(FEATURES);
    let mut kept = FuncValidatorAllocations::default();
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.map_err(refused)?;
        counted.count(&payload)?;
        if let ValidPayload::Func(function, body) = validator.payload(&payload).map_err(refused)? {
            let mut function = function.into_validator(kept);
            function.validate(&body).map_err(refused)?;
            kept = function.into_allocations();
        }
    }
    Ok(())
}

fn refused(error: wasmparser::Error) -> BadModule {
    let missing = error.missing_wasm_feature().and_then(|features| features.iter_names().next());
    match missing {
        Some((name, _)) => BadModule::Feature { feature: spelled(name), why: error.to_string() },
        // The one that the parser does not name.
        None if error.message() == "multiple memories" => {
            BadModule::Feature { feature: "multi-memory".into(), why: error.to_string() }
        }
        None => BadModule::Invalid(error.to_string()),
    }
}

/// The name of a feature as its proposal has it.
fn spelled(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
}

/// What was met so far, in the component and in all that is nested in it.
struct Counted<'a> {
    limits: &'a ModuleLimits,
    functions: u64,
    locals: u64,
    depth: u64,
    items: u64,
}

impl<'a> Counted<'a> {
    fn new(limits: &'a ModuleLimits) -> Self {
        Counted { limits, functions: 0, locals: 0, depth: 0, items: 0 }
    }

    fn count(&mut self, payload: &Payload<'_>) -> Result<(), BadModule> {
        let limits = self.limits;
        match payload {
            Payload::FunctionSection(section) => {
                self.functions += u64::from(section.count());
                within("functions", self.functions, limits.functions.into())?;
            }
            Payload::CodeSectionEntry(body) => self.body(body)?,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                self.depth += 1;
                within("levels of nesting", self.depth, limits.nesting.into())?;
                self.items += 1;
            }
            Payload::End(_) => self.depth = self.depth.saturating_sub(1),
            other => self.items += u64::from(items(other)),
        }
        within("types, imports, exports and the like", self.items, limits.items.into())
    }

    fn body(&mut self, body: &FunctionBody<'_>) -> Result<(), BadModule> {
        let range = body.range();
        within("bytes in one function", range.end - range.start, self.limits.function_bytes as u64)?;
        for local in body.get_locals_reader().map_err(refused)? {
            self.locals += u64::from(local.map_err(refused)?.0);
            within("local variables", self.locals, self.limits.locals)?;
        }
        Ok(())
    }
}

/// How many things a section declares.
fn items(payload: &Payload<'_>) -> u32 {
    match payload {
        Payload::TypeSection(section) => section.count(),
        Payload::ImportSection(section) => section.count(),
        Payload::TableSection(section) => section.count(),
        Payload::MemorySection(section) => section.count(),
        Payload::GlobalSection(section) => section.count(),
        Payload::ExportSection(section) => section.count(),
        Payload::ElementSection(section) => section.count(),
        Payload::DataSection(section) => section.count(),
        Payload::InstanceSection(section) => section.count(),
        Payload::CoreTypeSection(section) => section.count(),
        Payload::ComponentInstanceSection(section) => section.count(),
        Payload::ComponentAliasSection(section) => section.count(),
        Payload::ComponentTypeSection(section) => section.count(),
        Payload::ComponentCanonicalSection(section) => section.count(),
        Payload::ComponentImportSection(section) => section.count(),
        Payload::ComponentExportSection(section) => section.count(),
        Payload::CustomSection(_) => 1,
        _ => 0,
    }
}

pub fn within(what: &'static str, has: u64, at_most: u64) -> Result<(), BadModule> {
    if has <= at_most { Ok(()) } else { Err(BadModule::TooMuch { what: what.into(), has, at_most }) }
}
