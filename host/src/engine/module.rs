//! From uploaded bytes to a module that guests can be made of: encode, check and compile, or find it compiled; list what it holds.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, ComponentExportIndex, ComponentType, Instance, InstancePre, Lift};
use wasmtime::{Store, Trap, WasmBacktrace};

use super::activity::WitActivityContext;
use super::host_calls::WitFailure;
use super::world::{Unable, World, store};
use super::{Engine, host_calls};

pub const GUEST: &str = "fermata:orchestration/guest@1.0.0";

/// A compiled module, ready to make guests.
pub struct Module {
    digest: String,
    instance: InstancePre<World>,
    exports: Exports,
    manifest: Manifest,
    /// Linear memories that a guest takes.
    memories: usize,
}

#[derive(Clone, Copy)]
struct Exports {
    describe: ComponentExportIndex,
    run_orchestrator: ComponentExportIndex,
    run_activity: ComponentExportIndex,
}

/// `manifest` of the contract.
#[derive(Clone, Debug, Default, ComponentType, Lift)]
#[component(record)]
struct Manifest {
    orchestrators: Vec<String>,
    activities: Vec<String>,
}

impl Manifest {
    fn is_empty(&self) -> bool {
        self.orchestrators.is_empty() && self.activities.is_empty()
    }
}

/// An upload that was found good.
pub struct Admitted {
    pub module: Arc<Module>,
    /// The component, encoded where a core module was uploaded.
    pub component: Vec<u8>,
}

/// Why an upload is refused. The text is for the person who sent it.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
pub enum BadModule {
    #[error("this is not WebAssembly: a module begins with the bytes 00 61 73 6d (\\0asm)")]
    NotWasm,
    #[error(
        "this core module has no component-type section, so nothing says what it offers: build it with the fermata-guest crate, or upload a component"
    )]
    NoComponentType,
    #[error("this core module can not be made a component: {0}")]
    NotEncodable(String),
    #[error("this module is not valid: {0}")]
    Invalid(String),
    #[error("this module needs a feature of WebAssembly that is off here, {feature}: {why}")]
    Feature { feature: String, why: String },
    #[error("this module has more {what} than a host takes: {has}, and at most {at_most} are taken")]
    TooMuch { what: String, has: u64, at_most: u64 },
    #[error("this module imports what the host does not offer: {0}")]
    Import(String),
    #[error("this module does not export {GUEST} as wit/orchestration.wit has it: {0}")]
    Export(String),
    #[error("this module can not list what it holds: {0}")]
    Describe(String),
    #[error("this module holds no orchestrator and no activity")]
    Empty,
    #[error("this module takes longer to compile than a host lets it: {0:?}")]
    CompileTime(Duration),
    #[error("this module takes more memory to compile than a host gives it")]
    CompileMemory,
    #[error("this module ends whoever compiles it: {0}")]
    CompilerDied(String),
    /// Says nothing about the module.
    #[error("the host can not compile now: {0}")]
    NoCompiler(String),
}

impl BadModule {
    /// Whether the module may be fine, but asks more of a host than that gives.
    pub fn is_of_limits(&self) -> bool {
        matches!(
            self,
            BadModule::TooMuch { .. }
                | BadModule::CompileTime(_)
                | BadModule::CompileMemory
                | BadModule::CompilerDied(_)
        )
    }
}

impl Engine {
    /// Checks an upload and compiles it; the cache on disk makes it cheap the second time. Of what is refused nothing is kept.
    pub fn admit(self: &Arc<Self>, bytes: &[u8]) -> Result<Admitted, BadModule> {
        let component = self.compiler.encode(bytes)?;
        let digest = hex::encode(Sha256::digest(&component));
        let admitted = self.compile(&digest, &component).and_then(|module| match module.manifest.is_empty() {
            true => Err(BadModule::Empty),
            false => Ok(module),
        });
        match admitted {
            Ok(module) => Ok(Admitted { module, component }),
            Err(why) => {
                self.forget(&digest);
                Err(why)
            }
        }
    }

    /// The compiled module of a component that was admitted before.
    pub fn compile(self: &Arc<Self>, digest: &str, component: &[u8]) -> Result<Arc<Module>, BadModule> {
        if let Some(module) = self.module(digest) {
            return Ok(module);
        }
        let compiled = self.load_or_compile(digest, component)?;
        let instance = self.linker.instantiate_pre(&compiled).map_err(|error| BadModule::Import(chain(&error)))?;
        let exports = exports(&compiled)?;
        // One that imports whole modules or instances has no number; the linker takes none of these.
        let memories = compiled.resources_required().map_or(0, |resources| resources.num_memories as usize);
        let digest_of = digest.to_owned();
        let mut module = Module { digest: digest_of, instance, exports, manifest: Manifest::default(), memories };
        module.manifest = self.describe(&module)?;
        let module = Arc::new(module);
        self.compiled.lock().expect("no panic while it is held").insert(digest.to_owned(), module.clone());
        Ok(module)
    }

    /// Lists what a module holds, and finds out whether its exports have the right types.
    fn describe(self: &Arc<Self>, module: &Module) -> Result<Manifest, BadModule> {
        let run = async {
            let mut store = store(self, World::describing(self))?;
            let instance = module.instance.instantiate_async(&mut store).await?;
            module.check_types(&instance, &mut store)?;
            let describe = instance.get_typed_func::<(), (Manifest,)>(&mut store, module.exports.describe)?;
            Ok::<_, wasmtime::Error>(describe.call_async(&mut store, ()).await?.0)
        };
        let _running = self.epoch.run();
        let mut manifest = match now_or_never(run) {
            Some(Ok(manifest)) => manifest,
            Some(Err(error)) if error.is::<WrongType>() => return Err(BadModule::Export(chain(&error))),
            Some(Err(error)) => return Err(BadModule::Describe(chain(&error))),
            None => return Err(BadModule::Describe("it waited for something".into())),
        };
        manifest.orchestrators.sort();
        manifest.activities.sort();
        Ok(manifest)
    }

    fn load_or_compile(&self, digest: &str, component: &[u8]) -> Result<Component, BadModule> {
        if let Some(compiled) = self.cache.load(&self.wasm, digest) {
            return Ok(compiled);
        }
        let begun = std::time::Instant::now();
        let code = self.compiler.compile(component)?;
        tracing::info!(digest, ms = begun.elapsed().as_millis() as u64, "module compiled");
        // Made for this engine, it is refused only where the module asks for more than guests may have: a table that begins too large, say.
        self.cache.keep(&self.wasm, digest, &code).map_err(|error| {
            self.cache.forget(digest);
            BadModule::Invalid(chain(&error))
        })
    }
}

impl Module {
    /// SHA-256 of the component, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub fn orchestrators(&self) -> &[String] {
        &self.manifest.orchestrators
    }

    pub fn activities(&self) -> &[String] {
        &self.manifest.activities
    }

    /// How many linear memories each of its guests takes.
    pub fn memories(&self) -> usize {
        self.memories
    }

    pub fn has_activity(&self, name: &str) -> bool {
        self.manifest.activities.iter().any(|activity| activity == name)
    }

    pub fn activity_names(&self) -> String {
        if self.manifest.activities.is_empty() { "none".into() } else { self.manifest.activities.join(", ") }
    }

    pub(super) async fn run_orchestrator(
        &self,
        store: &mut Store<World>,
        name: &str,
        input: &str,
    ) -> wasmtime::Result<Result<String, WitFailure>> {
        let instance = self.instantiate(store).await?;
        let run = instance.get_typed_func::<(&str, &str), (Result<String, WitFailure>,)>(
            &mut *store,
            self.exports.run_orchestrator,
        )?;
        Ok(run.call_async(store, (name, input)).await?.0)
    }

    pub(super) async fn run_activity(
        &self,
        store: &mut Store<World>,
        name: &str,
        input: &str,
        context: WitActivityContext,
    ) -> wasmtime::Result<Result<String, WitFailure>> {
        let instance = self.instantiate(store).await?;
        let run = instance.get_typed_func::<(&str, &str, WitActivityContext), (Result<String, WitFailure>,)>(
            &mut *store,
            self.exports.run_activity,
        )?;
        Ok(run.call_async(store, (name, input, context)).await?.0)
    }

    /// Makes an instance. What fails before code of the guest runs is the host's want of room: the module could be made when it was admitted.
    async fn instantiate(&self, store: &mut Store<World>) -> wasmtime::Result<Instance> {
        self.instance.instantiate_async(store).await.map_err(|error| {
            let ran = error.is::<Trap>() || error.is::<WasmBacktrace>();
            if ran { error } else { Unable(error).into() }
        })
    }

    fn check_types(&self, instance: &Instance, store: &mut Store<World>) -> wasmtime::Result<()> {
        type Returned = (Result<String, WitFailure>,);
        instance
            .get_typed_func::<(), (Manifest,)>(&mut *store, self.exports.describe)
            .map_err(|error| WrongType("describe", chain(&error)))?;
        instance
            .get_typed_func::<(&str, &str), Returned>(&mut *store, self.exports.run_orchestrator)
            .map_err(|error| WrongType("run-orchestrator", chain(&error)))?;
        instance
            .get_typed_func::<(&str, &str, WitActivityContext), Returned>(&mut *store, self.exports.run_activity)
            .map_err(|error| WrongType("run-activity", chain(&error)))?;
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` has the wrong type: {1}")]
struct WrongType(&'static str, String);

fn exports(component: &Component) -> Result<Exports, BadModule> {
    let (_, guest) =
        component.get_export(None, GUEST).ok_or_else(|| BadModule::Export("the interface is missing".into()))?;
    let function = |name: &str| {
        let export = component.get_export(Some(&guest), name);
        export.map(|(_, index)| index).ok_or_else(|| BadModule::Export(format!("`{name}` is missing")))
    };
    Ok(Exports {
        describe: function("describe")?,
        run_orchestrator: function("run-orchestrator")?,
        run_activity: function("run-activity")?,
    })
}

/// Runs what never waits.
fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn chain(error: &wasmtime::Error) -> String {
    format!("{error:#}").replace(host_calls::HOST, "the host's interface")
}
