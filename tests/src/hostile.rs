//! Guests that harm, or try to: each a module of its own, written by hand, against the contract as compiled code meets it. How each must end
//! stands beside it.

use fermata::limits::ExecutionLimits;
use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A guest, and how it must end.
pub struct Hostile {
    /// Of its orchestrator.
    pub name: &'static str,
    /// Imports, functions and data of its own.
    parts: String,
    /// What its orchestrator does; where this comes to an end, the orchestrator returns null.
    body: String,
    pub ends: Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// It fails, for it passed the limit of this name.
    Passes(&'static str),
    /// It crashes, and these words say why.
    Crashes(&'static str),
    /// It harms nobody, and returns.
    Returns,
    /// It waits for what never comes, until somebody ends it.
    Waits,
    /// It goes on for ever, a step at a time, until somebody ends it.
    GoesOn,
    /// Its module is not admitted, and these words say why.
    IsRefused(&'static str),
}

use Ends::{Crashes, GoesOn, IsRefused, Passes, Returns, Waits};

impl Hostile {
    fn new(name: &'static str, body: impl Into<String>, ends: Ends) -> Hostile {
        Hostile { name, parts: String::new(), body: body.into(), ends }
    }

    fn with(self, parts: impl Into<String>) -> Hostile {
        Hostile { parts: self.parts + &parts.into(), ..self }
    }

    /// The module, as a compiler would make it.
    pub fn module(&self) -> Vec<u8> {
        let Hostile { name, parts, body, .. } = self;
        let imports: String = IMPORTS.iter().map(|(name, type_of)| import(HOST, name, type_of, body, parts)).collect();
        let wasi: String =
            WASI.iter().map(|(name, type_of)| import("wasi_snapshot_preview1", name, type_of, body, parts)).collect();
        let given = |what: &str| parts.contains(what);
        let memory = if given("(memory") { "" } else { "(memory (export \"memory\") 4)" };
        let realloc = if given("\"cabi_realloc\"") { "" } else { REALLOC };
        let describe = if given("guest@1.0.0#describe") { "" } else { DESCRIBE };
        let text = format!(
            r#"(module {imports} {wasi} {parts} {memory} {realloc} {describe}
              (data (i32.const 0) "\10\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\20\00\00\00\{length:02x}\00\00\00\00\00\00\00\00\00\00\00{name}")
              (data (i32.const 256) "\00\00\00\00\2c\01\00\00\04\00\00\00")
              (data (i32.const 300) "null")
              (data (i32.const 400) "go")
              (data (i32.const 410) "{name}")
              (func (export "{GUEST}#run-orchestrator") (param i32 i32 i32 i32) (result i32)
                (local $n i32) (local $task i32)
                {body}
                (i32.const 256))
              (func (export "{GUEST}#run-activity") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                (i32.const 256)))"#,
            length = name.len(),
        );
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
        embed_contract(&mut module);
        module
    }
}

/// Has a core module say that it is of the contract.
pub fn embed_contract(module: &mut Vec<u8>) {
    let mut resolve = Resolve::default();
    let package =
        resolve.push_str("orchestration.wit", include_str!("../../wit/orchestration.wit")).expect("the contract");
    let world = resolve.select_world(&[package], Some("orchestrator")).expect("its world");
    embed_component_metadata(module, &resolve, world, StringEncoding::UTF8, false).expect("the contract fits");
}

const HOST: &str = "fermata:orchestration/host@1.0.0";
const GUEST: &str = "fermata:orchestration/guest@1.0.0";

/// An import, where it is used.
fn import(module: &str, name: &str, type_of: &str, body: &str, parts: &str) -> String {
    let call = format!("(call ${name}");
    let ends = |text: &str| text.match_indices(&call).any(|(at, _)| !text[at + call.len()..].starts_with('-'));
    match ends(body) || ends(parts) {
        true => format!("(import \"{module}\" \"{name}\" (func ${name} {type_of}))\n"),
        false => String::new(),
    }
}

/// Lists the one orchestrator.
const DESCRIBE: &str = r#"(func (export "fermata:orchestration/guest@1.0.0#describe") (result i32) (i32.const 0))"#;

/// Hands out memory, from 192 KiB up to 256 KiB over and over again; what comes first is the WASI adapter's, and stays.
const REALLOC: &str = r#"
  (global $next (mut i32) (i32.const 65536))
  (func $realloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
    (if (i32.gt_u (local.get 3) (i32.const 65536)) (then (unreachable)))
    (if (i32.gt_u (i32.add (global.get $next) (local.get 3)) (i32.const 262144))
      (then (global.set $next (i32.const 196608))))
    (local.set $at (global.get $next))
    (global.set $next (i32.and (i32.add (i32.add (global.get $next) (local.get 3)) (i32.const 15)) (i32.const -16)))
    (local.get $at))"#;

/// The contract as compiled code calls it.
const IMPORTS: &[(&str, &str)] = &[
    ("wait-external-event", "(param i32 i32) (result i32)"),
    ("call-activity", "(param i32 i32 i32 i32) (result i32)"),
    ("call-sub-orchestrator", "(param i32 i32 i32 i32 i32 i32 i32) (result i32)"),
    ("create-timer", "(param f64) (result i32)"),
    ("set-timeout", "(param i32 f64 i32 i32 i32)"),
    ("set-retry", "(param i32 i32 f64 f64 i32 f64 i32 f64 i32 f64 i32 i32)"),
    ("start-orchestrator", "(param i32 i32 i32 i32 i32 i32 i32 i32)"),
    ("raise-event", "(param i32 i32 i32 i32 i32 i32)"),
    ("await-task", "(param i32 i32)"),
    ("task-any", "(param i32 i32) (result i32)"),
    ("next-completed", "(result i32)"),
    ("task-result", "(param i32 i32)"),
    ("cancel-task", "(param i32) (result i32)"),
    ("instance-id", "(param i32)"),
    ("callback-url", "(param i32 i32 f64 i32)"),
    ("current-utc-time", "(result f64)"),
    ("new-guid", "(param i32)"),
    ("is-replaying", "(result i32)"),
    ("set-custom-status", "(param i32 i32)"),
    ("log", "(param i32 i32 i32)"),
    ("continue-as-new", "(param i32 i32 i32)"),
];

const WASI: &[(&str, &str)] = &[
    ("random_get", "(param i32 i32) (result i32)"),
    ("clock_time_get", "(param i32 i64 i32) (result i32)"),
    ("poll_oneoff", "(param i32 i32 i32 i32) (result i32)"),
    ("fd_write", "(param i32 i32 i32 i32) (result i32)"),
    ("path_open", "(param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)"),
    ("proc_exit", "(param i32)"),
];

/// Again and again.
fn forever(what: &str) -> String {
    format!("(loop $again {what} (br $again))")
}

/// Calls an activity that is tried again, after intervals that grow by this, and waits for an event.
fn tries_again(coefficient: &str) -> String {
    let none = "(i32.const 0) (f64.const 0)";
    format!(
        "(local.set $task (call $call-activity {GO} {NULL})) \
         (call $set-retry (local.get $task) (i32.const 3) (f64.const 1) (f64.const {coefficient}) {none} {none} {none} (i32.const 0) (i32.const 0)) \
         (call $await-task {WAIT} {ANSWER})"
    )
}

/// So many pages more, and the text `a` in all of them, from 256 KiB on.
fn pages(count: u32) -> String {
    format!(
        "(drop (memory.grow (i32.const {count}))) (memory.fill (i32.const 262144) (i32.const 97) (i32.const {}))",
        count << 16
    )
}

const GO: &str = "(i32.const 400) (i32.const 2)";
const NULL: &str = "(i32.const 300) (i32.const 4)";
const WAIT: &str = "(call $wait-external-event (i32.const 400) (i32.const 2))";
/// Where answers go that do not fit a register.
const ANSWER: &str = "(i32.const 1024)";

/// Narrow ones, so that each guest soon comes to its end.
pub fn limits() -> ExecutionLimits {
    ExecutionLimits {
        memory_bytes: 16 << 20,
        table_elements: 10_000,
        fuel_per_step: 60_000_000,
        host_calls_per_step: 50_000,
        host_bytes_per_step: 8 << 20,
        tasks_per_step: 2_000,
        open_tasks: 1_000,
        history_events: 2_000,
        payload_bytes: 1 << 20,
        depth: 3,
        wasi_resources: 100,
        ..ExecutionLimits::default()
    }
}

/// All of them, under these limits.
pub fn guests() -> Vec<Hostile> {
    let own_name = |name: &str| format!("(i32.const 410) (i32.const {})", name.len());
    let mut guests = vec![
        // ---- Time
        Hostile::new("Spins", forever(""), Passes("fuel")),
        // Some seconds, and no more.
        Hostile::new(
            "TakesLong",
            "(loop $again (local.set $n (i32.add (local.get $n) (i32.const 1))) (br_if $again (i32.lt_u (local.get $n) (i32.const 500000000))))",
            Passes("fuel"),
        ),
        Hostile::new("SpinsInRealloc", "(call $instance-id (i32.const 1024))", Passes("fuel"))
            .with("(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (if (i32.gt_u (local.get 3) (i32.const 9)) (then (loop $x (br $x)))) (i32.const 65536))"),
        Hostile::new("SpinsAtItsStart", "", IsRefused("fuel")).with("(func $spin (loop $x (br $x))) (start $spin)"),
        Hostile::new("SpinsWhenDescribed", "", IsRefused("fuel")).with(
            "(func (export \"fermata:orchestration/guest@1.0.0#describe\") (result i32) (loop $x (br $x)) (unreachable))",
        ),
        Hostile::new("CrashesWhenDescribed", "", IsRefused("unreachable")).with(
            "(func (export \"fermata:orchestration/guest@1.0.0#describe\") (result i32) (unreachable))",
        ),
        Hostile::new("DescribesNonsense", "", IsRefused("out of bounds")).with(
            "(func (export \"fermata:orchestration/guest@1.0.0#describe\") (result i32) (i32.const -16))",
        ),
        Hostile::new(
            "FillsMemory",
            pages(100) + &forever("(memory.fill (i32.const 262144) (i32.const 1) (i32.const 6553600))"),
            Passes("fuel"),
        ),
        // ---- Memory, tables, stack
        Hostile::new(
            "HoardsMemory",
            forever("(if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))"),
            Passes("memory"),
        ),
        Hostile::new(
            "HoardsMemoryAndStays",
            format!(
                "(block $full (loop $again (br_if $full (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) \
                 (i32.store8 (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 1)) (i32.const 1)) (br $again))) \
                 (call $await-task {WAIT} {ANSWER})"
            ),
            Waits,
        ),
        Hostile::new("AsksForAllMemory", "(drop (memory.grow (i32.const 65000)))", Returns),
        Hostile::new("BeginsWithMuchMemory", "", IsRefused("memory")).with("(memory (export \"memory\") 2000)"),
        Hostile::new(
            "HoardsTable",
            forever("(if (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)) (then (unreachable)))"),
            Passes("table"),
        )
        .with("(table $t 1 funcref)"),
        Hostile::new("BeginsWithAGreatTable", "", IsRefused("table")).with("(table $t 9000000 funcref)"),
        Hostile::new("Recurses", "(call $deeper)", Passes("stack")).with("(func $deeper (call $deeper) (call $deeper))"),
        Hostile::new("RecursesIntoTheHost", "(call $deeper)", Passes("stack"))
            .with("(func $deeper (drop (call $is-replaying)) (call $deeper) (call $deeper))"),
        Hostile::new("RecursesAndDraws", "(call $deeper)", Passes("stack"))
            .with("(func $deeper (drop (call $random_get (i32.const 1024) (i32.const 8))) (call $deeper) (call $deeper))"),
        // ---- Values that are not what they should be
        Hostile::new("Crashes", "(unreachable)", Crashes("unreachable")),
        Hostile::new("DividesByZero", "(drop (i32.div_u (i32.const 1) (local.get $n)))", Crashes("divide by zero")),
        Hostile::new("ReadsFarAway", "(drop (i32.load (i32.const -4)))", Crashes("out of bounds")),
        Hostile::new("ReallocCrashes", "(call $instance-id (i32.const 1024))", Crashes("unreachable"))
            .with("(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (if (i32.gt_u (local.get 3) (i32.const 9)) (then (unreachable))) (i32.const 65536))"),
        Hostile::new("ReallocLies", "(call $instance-id (i32.const 1024))", Crashes("beyond end of memory"))
            .with("(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (select (i32.const -64) (i32.const 65536) (i32.gt_u (local.get 3) (i32.const 9))))"),
        Hostile::new("ReturnsFarAway", "(return (i32.const -8))", Crashes("out of bounds")),
        Hostile::new("ReturnsNeither", "(i32.store8 (i32.const 256) (i32.const 7))", Crashes("discriminant")),
        Hostile::new("ReturnsNoJson", "(i32.store (i32.const 264) (i32.const 3))", Crashes("not valid JSON")),
        Hostile::new("NamesFarAway", "(drop (call $wait-external-event (i32.const -2) (i32.const 900)))", Crashes("out of bounds")),
        Hostile::new(
            "NamesNoText",
            "(i32.store8 (i32.const 400) (i32.const 255)) (drop (call $wait-external-event (i32.const 400) (i32.const 2)))",
            Crashes("utf-8"),
        ),
        Hostile::new("NamesNothing", "(drop (call $wait-external-event (i32.const 400) (i32.const 0)))", Crashes("1 to 256 bytes")),
        Hostile::new("InventsATask", format!("(call $await-task (i32.const 999) {ANSWER})"), Crashes("there is no task 999")),
        Hostile::new("InventsTheLastTask", "(drop (call $cancel-task (i32.const -1)))", Crashes("there is no task 4294967295")),
        Hostile::new(
            "AwaitsWhatItGaveUp",
            format!("(local.set $task {WAIT}) (drop (call $cancel-task (local.get $task))) (call $await-task (local.get $task) {ANSWER})"),
            Crashes("was cancelled"),
        ),
        Hostile::new(
            "CompletesTwice",
            format!(
                "(local.set $task (call $create-timer (f64.const 0))) (call $await-task (local.get $task) {ANSWER}) \
                 (call $await-task (local.get $task) {ANSWER}) (call $task-result (local.get $task) {ANSWER}) \
                 (drop (call $cancel-task (local.get $task)))"
            ),
            Returns,
        ),
        Hostile::new("WaitsForNothing", "(drop (call $next-completed))", Crashes("no task open")),
        Hostile::new("WaitsForNoneOfNone", "(drop (call $task-any (i32.const 0) (i32.const 0)))", Crashes("no tasks")),
        Hostile::new("WaitsForBillions", "(drop (call $task-any (i32.const 0) (i32.const 1073741823)))", Crashes("")),
        Hostile::new("TimerAtNoTime", "(drop (call $create-timer (f64.const nan)))", Crashes("must be a number")),
        Hostile::new("TriesAgainAtNoRate", tries_again("nan"), Crashes("can not be NaN")),
        Hostile::new("TriesAgainBeyondAllTime", tries_again("inf"), Crashes("can not be inf")),
        Hostile::new("TriesAgainAtAnOddRate", tries_again("9.28186418881274e299"), Waits),
        Hostile::new(
            "SendsNoJson",
            format!("(drop (call $call-activity {GO} (i32.const 300) (i32.const 3)))"),
            Crashes("not valid JSON"),
        ),
        Hostile::new(
            "SendsDeepJson",
            format!("(memory.fill (i32.const 4096) (i32.const 91) (i32.const 2000)) (drop (call $call-activity {GO} (i32.const 4096) (i32.const 2000)))"),
            Crashes("nested deeper"),
        ),
        Hostile::new(
            "ChildWithAStrangeId",
            format!("(i32.store8 (i32.const 400) (i32.const 47)) (drop (call $call-sub-orchestrator {GO} {NULL} (i32.const 1) {GO}))"),
            Crashes("must not contain"),
        ),
        Hostile::new("ShowsNoJson", "(call $set-custom-status (i32.const 400) (i32.const 2))", Crashes("not valid JSON")),
        // ---- Too much of it
        Hostile::new(
            "NamesAtLength",
            pages(1) + "(drop (call $wait-external-event (i32.const 262144) (i32.const 300)))",
            Passes("name"),
        ),
        Hostile::new(
            "SendsMuch",
            pages(20) + &format!("(i32.store8 (i32.const 262144) (i32.const 34)) (i32.store8 (i32.const 1310719) (i32.const 34)) (drop (call $call-activity {GO} (i32.const 262144) (i32.const 1048576)))") + "(drop (call $call-activity (i32.const 400) (i32.const 2) (i32.const 262144) (i32.const 1048577)))",
            Passes("payload"),
        ),
        Hostile::new(
            "ReturnsMuch",
            pages(20) + "(i32.store8 (i32.const 262144) (i32.const 34)) (i32.store8 (i32.const 1441791) (i32.const 34)) \
             (i32.store (i32.const 260) (i32.const 262144)) (i32.store (i32.const 264) (i32.const 1179648))",
            Passes("payload"),
        ),
        Hostile::new(
            "ShowsMuch",
            pages(1) + "(i32.store8 (i32.const 262144) (i32.const 34)) (i32.store8 (i32.const 282143) (i32.const 34)) \
             (call $set-custom-status (i32.const 262144) (i32.const 20000))",
            Passes("custom_status"),
        ),
        Hostile::new("WaitsWithoutEnd", forever(&format!("(drop {WAIT})")), Passes("open_tasks")),
        Hostile::new("TimersWithoutEnd", forever("(drop (call $create-timer (f64.const 1e15)))"), Passes("open_tasks")),
        Hostile::new("ActivitiesWithoutEnd", forever(&format!("(drop (call $call-activity {GO} {NULL}))")), Passes("open_tasks")),
        Hostile::new(
            "ChildrenWithoutEnd",
            forever(&format!("(drop (call $call-sub-orchestrator {GO} {NULL} (i32.const 0) {GO}))")),
            Passes("open_tasks"),
        ),
        Hostile::new(
            "GivesUpWithoutEnd",
            forever(&format!("(drop (call $cancel-task {WAIT}))")),
            Passes("tasks_per_step"),
        ),
        Hostile::new(
            "PutsOffWithoutEnd",
            format!("(local.set $task {WAIT})") + &forever("(call $set-timeout (local.get $task) (f64.const 1e15) (i32.const 0) (i32.const 0) (i32.const 0))"),
            Passes("tasks_per_step"),
        ),
        Hostile::new("SendsWithoutEnd", forever(&format!("(call $raise-event {GO} {GO} {NULL})")), Passes("tasks_per_step")),
        Hostile::new(
            "StartsWithoutEnd",
            forever(&format!("(call $start-orchestrator {GO} {NULL} (i32.const 0) {GO} {ANSWER})")),
            Passes("tasks_per_step"),
        ),
        Hostile::new("LinksWithoutEnd", forever(&format!("(call $callback-url {GO} (f64.const 1e12) {ANSWER})")), Passes("tasks_per_step")),
        Hostile::new(
            "TimersAtOnceWithoutEnd",
            forever(&format!("(call $await-task (call $create-timer (f64.const 0)) {ANSWER})")),
            Passes("history"),
        ),
        Hostile::new(
            "BeginsAnewWithoutEnd",
            format!("(call $continue-as-new {NULL} (i32.const 0))"),
            GoesOn,
        ),
        // ---- Calls that cost the host more than the guest
        Hostile::new("LogsWithoutEnd", forever(&format!("(call $log (i32.const 4) {GO})")), Passes("host_calls")),
        Hostile::new(
            "LogsMuchWithoutEnd",
            pages(15) + &forever("(call $log (i32.const 4) (i32.const 262144) (i32.const 900000))"),
            Passes("host_bytes"),
        ),
        Hostile::new("DrawsGuidsWithoutEnd", forever(&format!("(call $new-guid {ANSWER})")), Passes("host_calls")),
        Hostile::new("AsksWithoutEnd", forever("(drop (call $is-replaying))"), Passes("host_calls")),
        Hostile::new("AsksForTheTimeWithoutEnd", forever("(drop (call $current-utc-time))"), Passes("host_calls")),
        Hostile::new(
            "ShowsWithoutEnd",
            forever(&format!("(call $set-custom-status {NULL})")),
            Passes("host_calls"),
        ),
        Hostile::new(
            "CountsTasksWithoutEnd",
            format!("(local.set $task (call $create-timer (f64.const 0))) (call $await-task (local.get $task) {ANSWER})")
                + &forever("(drop (call $task-any (i32.const 4096) (i32.const 4000)))"),
            Passes("host_bytes"),
        ),
        // ---- WASI
        Hostile::new("DrawsWithoutEnd", forever("(drop (call $random_get (i32.const 4096) (i32.const 60000)))"), Passes("host_bytes")),
        Hostile::new("DrawsMuch", pages(60) + "(drop (call $random_get (i32.const 262144) (i32.const 3000000)))", Crashes("")),
        Hostile::new("LooksAtTheClockWithoutEnd", forever("(drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 1024)))"), Passes("host_calls")),
        Hostile::new(
            "PrintsWithoutEnd",
            "(i32.store (i32.const 2048) (i32.const 131072)) (i32.store (i32.const 2052) (i32.const 4000))".to_owned()
                + &forever("(drop (call $fd_write (i32.const 1) (i32.const 2048) (i32.const 1) (i32.const 1024)))"),
            Passes("host_bytes"),
        ),
        Hostile::new(
            "Sleeps",
            // One subscription: the monotonic clock, an hour from now.
            "(i64.store (i32.const 2072) (i64.const 3600000000000)) (i32.store (i32.const 2064) (i32.const 1)) \
             (drop (call $poll_oneoff (i32.const 2048) (i32.const 3072) (i32.const 1) (i32.const 1024)))",
            Crashes("may wait for tasks only"),
        ),
        // WASI gives way once in each poll, be it for no time.
        Hostile::new(
            "PollsWithoutEnd",
            "(i32.store (i32.const 2064) (i32.const 1)) (i32.store16 (i32.const 2088) (i32.const 1))".to_owned()
                + &forever("(drop (call $poll_oneoff (i32.const 2048) (i32.const 3072) (i32.const 1) (i32.const 1024)))"),
            Crashes("may wait for tasks only"),
        ),
        Hostile::new(
            "OpensFiles",
            "(if (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 400) (i32.const 2) (i32.const 0) (i64.const -1) \
             (i64.const -1) (i32.const 0) (i32.const 1024))) (then (unreachable)))",
            Returns,
        ),
        Hostile::new("Exits", "(call $proc_exit (i32.const 0))", Crashes("")),
    ];
    // Those that need their own name.
    guests.push(Hostile::new(
        "ForksOneByOne",
        format!(
            "(call $await-task (call $call-sub-orchestrator {} {NULL} (i32.const 0) {GO}) {ANSWER})",
            own_name("ForksOneByOne")
        ),
        Waits,
    ));
    guests
}
