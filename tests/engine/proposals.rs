//! Proposals that are off: a module that needs one is refused, and told its name.

use fermata::engine::{BadModule, compile};

use super::*;

/// A proposal that is off, and a core module, or what stands in a component, that needs it.
const OFF: &[(&str, Form, &str)] = &[
    ("threads", Form::Core, "(memory 1 1 shared)"),
    ("threads", Form::Core, "(memory 1) (func (drop (i32.atomic.load (i32.const 0))))"),
    ("shared-everything-threads", Form::Core, "(global (shared i32) (i32.const 0))"),
    ("relaxed-simd", Form::Core, "(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))"),
    ("memory64", Form::Core, "(memory i64 1)"),
    ("memory64", Form::Core, "(table i64 1 funcref)"),
    ("gc", Form::Core, "(type (struct))"),
    ("gc", Form::Core, "(func (drop (ref.i31 (i32.const 0))))"),
    ("gc-types", Form::Core, "(table 1 externref)"),
    ("function-references", Form::Core, "(type $f (func)) (func (param (ref $f)))"),
    ("function-references", Form::Core, "(type $f (func)) (func (param funcref) (call_ref $f (unreachable)))"),
    ("exceptions", Form::Core, "(tag)"),
    ("exceptions", Form::Core, "(func (param exnref) (throw_ref (local.get 0)))"),
    ("legacy-exceptions", Form::Core, "(func try catch_all end)"),
    ("tail-call", Form::Core, "(func $f (return_call $f))"),
    ("stack-switching", Form::Core, "(type $f (func)) (type $c (cont $f))"),
    ("custom-page-sizes", Form::Core, "(memory 1 (pagesize 1))"),
    ("wide-arithmetic", Form::Core, "(func (param i64) (i64.mul_wide_s (local.get 0) (local.get 0)) drop drop)"),
    ("memory-control", Form::Core, "(memory 1) (func (memory.discard (i32.const 0) (i32.const 0)))"),
    ("multi-memory", Form::Core, "(memory 1) (memory 1)"),
    ("cm-async", Form::Component, "(type (stream u8))"),
    ("cm-async", Form::Component, "(type (future))"),
    ("cm-async", Form::Component, "(type (func async))"),
    ("cm-async", Form::Component, "(core func (canon task.return))"),
    ("cm-async", Form::Component, "(core func (canon backpressure.inc))"),
    ("cm-async", Form::Component, "(core func (canon waitable-set.new))"),
    ("cm-async", Form::Component, "(core func (canon context.get i32 0))"),
    ("cm-threading", Form::Component, "(core func (canon thread.index))"),
    ("cm-error-context", Form::Component, "(core func (canon error-context.drop))"),
    ("cm-fixed-length-lists", Form::Component, "(type (list u8 4))"),
    ("cm-map", Form::Component, "(type (map string u8))"),
    ("cm-values", Form::Component, "(import \"v\" (value string))"),
];

#[derive(Clone, Copy)]
enum Form {
    Core,
    Component,
}

fn module(form: Form, text: &str) -> Vec<u8> {
    let text = match form {
        Form::Core => format!("(component (core module {text}))"),
        Form::Component => format!("(component {text})"),
    };
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn what_is_off_is_refused_by_name() {
    let cache = tempfile::tempdir().unwrap();
    let engine = Engine::new(GuestLimits::default(), 1, cache.path()).unwrap();
    for (feature, form, text) in OFF {
        match engine.admit(&module(*form, text)).err() {
            Some(BadModule::Feature { feature: named, .. }) if named == *feature => {}
            other => panic!("{feature}: {text}: {other:?}"),
        }
    }
}

/// The check comes first; what it lets through by mistake is not compiled either.
#[test]
fn the_compiler_refuses_it_too() {
    // The one that is on there, for what wasmtime makes itself.
    for (feature, form, text) in OFF.iter().filter(|(feature, ..)| *feature != "multi-memory") {
        assert!(compile::machine_code(&module(*form, text)).is_err(), "{feature}: {text}");
    }
}
