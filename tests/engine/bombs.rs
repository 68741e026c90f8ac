//! Modules made to hurt whoever compiles them. They are compiled as a host does it: in a child process of the `fermata` program.

use std::time::Duration;

use fermata::callback::Callbacks;
use fermata::engine::{BadModule, Compiler};
use fermata::limits::ModuleLimits;

use super::*;

fn engine(limits: ModuleLimits, cache: &Path) -> Arc<Engine> {
    let compiler = Compiler::in_children_of(tests::binary(), limits);
    let callbacks = Arc::new(Callbacks::new(cache, "http://nowhere.invalid"));
    Engine::of_host(GuestLimits::default(), 4, compiler, cache, callbacks).unwrap()
}

fn upload(bomb: &[u8], limits: ModuleLimits) -> BadModule {
    let cache = tempfile::tempdir().unwrap();
    match engine(limits, cache.path()).admit(bomb) {
        Ok(_) => panic!("admitted"),
        Err(why) => why,
    }
}

/// A component that holds this core module.
fn component(core: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module {core}))")).unwrap()
}

/// What a function of so many steps does, each of which needs what all before have made.
fn entangled(steps: usize) -> String {
    let mut code = String::from("(func (export \"f\") (param i64 i64 i64 i64) (result i64) local.get 0\n");
    for step in 0..steps {
        let (a, b) = (step % 4, step * 7 % 4);
        code.push_str(&format!("local.get {a} i64.mul local.tee {b} local.get {a} i64.rem_s local.get {b} i64.xor\n"));
    }
    code + ")"
}

#[test]
fn one_that_takes_too_long_is_given_up() {
    let many = (0..200).map(|_| entangled(4_000).replace("(export \"f\")", "")).collect::<String>();
    let limits = ModuleLimits { compile_time: Duration::from_millis(500), ..ModuleLimits::default() };
    let why = upload(&component(&many), limits);
    assert!(matches!(why, BadModule::CompileTime(_)), "{why}");
    assert!(why.is_of_limits());
}

#[test]
fn one_that_takes_too_much_memory_is_given_up() {
    let limits = ModuleLimits { compile_memory_bytes: 300 << 20, ..ModuleLimits::default() };
    let why = upload(&component(&entangled(80_000)), limits);
    assert!(matches!(why, BadModule::CompileMemory), "{why}");
    assert!(why.is_of_limits());
}

#[test]
fn what_can_be_counted_is_counted_before() {
    let limits = ModuleLimits::default();
    let functions = "(func)".repeat(limits.functions as usize + 1);
    let locals = format!("(func (local{}))", " i64".repeat(40_000)).repeat(limits.locals as usize / 40_000 + 1);
    let table = format!("(func (br_table{} (i32.const 0)))", " 0".repeat(limits.function_bytes));
    let types = "(type (func (param i32)))".repeat(limits.items as usize + 1);
    for (what, module) in [
        ("functions", component(&functions)),
        ("local variables", component(&locals)),
        ("bytes in one function", component(&table)),
        ("types, imports", component(&types)),
        ("levels of nesting", nested(limits.nesting as usize + 1)),
    ] {
        let why = upload(&module, limits.clone());
        assert!(matches!(&why, BadModule::TooMuch { what: named, .. } if named.contains(what)), "{what}: {why}");
    }
    let small = ModuleLimits { module_bytes: 100, ..limits };
    assert!(matches!(upload(&component(&"(func)".repeat(100)), small), BadModule::TooMuch { .. }));
}

/// Components within components.
fn nested(levels: usize) -> Vec<u8> {
    wat::parse_str(format!("(component {}{})", "(component ".repeat(levels), ")".repeat(levels))).unwrap()
}

/// Within every bound that is counted. Whether they compile is of no matter: what they do to a compiler is not done to a host.
#[test]
fn what_is_within_the_counts_does_not_reach_the_host() {
    let blocks = format!("(func {}{})", "block ".repeat(300_000), "end ".repeat(300_000));
    let branches =
        format!("(func {}(br_table{} (i32.const 0)){})", "block ".repeat(500), branches(500_000), "end ".repeat(500));
    let limits = ModuleLimits { compile_time: Duration::from_secs(5), ..ModuleLimits::default() };
    for module in [component(&blocks), component(&branches)] {
        let why = upload(&module, limits.clone());
        let is_answer = matches!(why, BadModule::Export(_) | BadModule::Invalid(_)) || why.is_of_limits();
        assert!(is_answer, "{why}");
    }
}

fn branches(count: usize) -> String {
    (0..count).map(|number| format!(" {}", number % 120)).collect()
}

#[test]
fn a_child_compiles_what_the_process_itself_does() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bytes = guest_bytes("select");
    let own = Engine::new(GuestLimits::default(), 4, here.path()).unwrap().admit(&bytes).unwrap();
    let of_child = engine(ModuleLimits::default(), there.path()).admit(&bytes).unwrap();
    assert_eq!(own.component, of_child.component);
    assert_eq!(own.module.orchestrators(), of_child.module.orchestrators());
}

#[test]
fn without_a_compiler_nothing_is_said_about_the_module() {
    let cache = tempfile::tempdir().unwrap();
    let compiler = Compiler::in_children_of("/nowhere/fermata".into(), ModuleLimits::default());
    let callbacks = Arc::new(Callbacks::new(cache.path(), "http://nowhere.invalid"));
    let engine = Engine::of_host(GuestLimits::default(), 4, compiler, cache.path(), callbacks).unwrap();
    let why = engine.admit(&guest_bytes("select")).err().unwrap();
    assert!(matches!(why, BadModule::NoCompiler(_)), "{why}");
    assert!(!why.is_of_limits());
}
