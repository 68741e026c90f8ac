//! What is no module of ours is refused, and the reason names what is wrong.

use fermata::engine::BadModule;

use super::*;

fn refused(bytes: &[u8]) -> BadModule {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits::default(), 4, cache.path()).unwrap();
    match engine.admit(bytes) {
        Ok(admitted) => panic!("admitted {}", admitted.module.digest()),
        Err(reason) => reason,
    }
}

/// A component or a core module in text form.
fn wasm(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

#[test]
fn not_wasm() {
    assert!(matches!(refused(b"#!/bin/sh"), BadModule::NotWasm));
    assert!(matches!(refused(b""), BadModule::NotWasm));
}

#[test]
fn a_core_module_that_says_nothing() {
    assert!(matches!(refused(&wasm("(module)")), BadModule::NoComponentType));
}

#[test]
fn a_component_that_exports_nothing() {
    let reason = refused(&wasm("(component)")).to_string();
    assert!(reason.contains("fermata:orchestration/guest@1.0.0"), "{reason}");
}

#[test]
fn a_component_with_a_strange_import() {
    let reason = refused(&wasm("(component (import \"acme:bank/vault\" (instance (export \"open\" (func)))))"));
    assert!(matches!(&reason, BadModule::Import(why) if why.contains("acme:bank/vault")), "{reason}");
}

#[test]
fn half_a_module() {
    let whole = guest_bytes("test-guest-a");
    let reason = refused(&whole[..whole.len() / 2]);
    assert!(reason.to_string().contains("unexpected end"), "{reason}");
}

#[test]
fn what_was_compiled_is_taken_from_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let bytes = guest_bytes("select");
    let digest = |_| {
        Engine::new(GuestLimits::default(), 4, cache.path()).unwrap().admit(&bytes).unwrap().module.digest().to_owned()
    };
    let first = digest(());
    let files: Vec<_> = walk(cache.path());
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(digest(()), first);
    assert_eq!(walk(cache.path()), files);
}

#[test]
fn of_what_is_refused_no_code_is_kept() {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits::default(), 4, cache.path()).unwrap();
    let refused = |bytes: &[u8]| engine.admit(bytes).err();
    assert!(matches!(refused(&wasm("(component)")), Some(BadModule::Export(_))));
    assert!(matches!(refused(&of_nothing()), Some(BadModule::Empty)));
    assert_eq!(walk(cache.path()), []);
}

/// A guest whose list of orchestrators ends before the first.
fn of_nothing() -> Vec<u8> {
    let mut module = tests::hostile::guests()[0].module();
    let list = [16, 0, 0, 0, 1, 0, 0, 0];
    let at = module.windows(list.len()).position(|bytes| bytes == list).expect("it lists one");
    module[at + 4] = 0;
    module
}

/// What lies in the cache is run: a file that is not as it was written is not taken.
#[test]
fn a_bit_that_was_flipped_in_the_cache_is_found() {
    let cache = tempfile::tempdir().unwrap();
    let bytes = guest_bytes("select");
    let admit = || Engine::new(GuestLimits::default(), 4, cache.path()).unwrap().admit(&bytes).unwrap();
    admit();
    let (file, _) = walk(cache.path()).remove(0);
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 4;
    for damaged in [&flipped, &whole[..whole.len() / 2]] {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(admit().module.orchestrators(), ["Select"]);
        assert_eq!(std::fs::read(&file).unwrap(), whole, "it was compiled again");
    }
}

fn walk(folder: &Path) -> Vec<(PathBuf, std::time::SystemTime)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push((entry.path(), entry.metadata().unwrap().modified().unwrap()));
        }
    }
    files
}
