//! Versions of the module that the guests are of, and what operators ask about them: a deployment, a deletion, the move of instances.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use fermata::dispatcher::{DeployError, Dispatcher, Fit, MigrateError, ModuleDeletion, Output, Scope};
use fermata::engine::{Admitted, Engine};
use fermata::limits::GuestLimits;
use fermata::store::{Instance, InstanceKey, Module, StoreError};
use fermata_replay::{Decision, Payload, State, Step, Timestamp};

use super::clients::{Told, expected, raised, weighted};
use super::disk::Disk;
use super::fate::Fate;

/// Of two versions that both hold an orchestrator, what it does may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    A,
    B,
}

struct Version {
    code: Code,
    admitted: Admitted,
}

/// Orchestrators that both codes have: the first two begin alike, the histories of the last fit one of them only.
const SHARED: [&str; 3] = ["Versioned", "Successor", "TwoNames"];

struct Setting {
    engine: Arc<Engine>,
    versions: Vec<Version>,
}

/// One for all runs of the process: an engine takes much address space.
fn setting() -> &'static Setting {
    static SETTING: OnceLock<Setting> = OnceLock::new();
    SETTING.get_or_init(|| {
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulation-modules");
        let engine = Engine::new(GuestLimits::default(), 512, &cache).unwrap();
        let admit = |code, bytes: &[u8]| Version { code, admitted: engine.admit(bytes).unwrap() };
        let a = admit(Code::A, &tests::guest_bytes("test-guest-a"));
        let same = admit(Code::A, &with_another_digest(&a.admitted.component));
        let b = admit(Code::B, &tests::guest_bytes("test-guest-b"));
        Setting { engine, versions: vec![a, same, b] }
    })
}

pub fn engine() -> Arc<Engine> {
    setting().engine.clone()
}

/// The same with a custom section more: one of no name, and without content.
fn with_another_digest(component: &[u8]) -> Vec<u8> {
    [component, &[0, 1, 0]].concat()
}

/// What every run begins with.
pub fn first_module() -> Module {
    let Version { admitted: Admitted { module, component }, .. } = &setting().versions[0];
    Module {
        digest: module.digest().to_owned(),
        bytes: component.as_slice().into(),
        orchestrators: module.orchestrators().to_vec(),
        activities: module.activities().to_vec(),
        deployed: Timestamp(0),
    }
}

fn digest(version: usize) -> &'static str {
    setting().versions[version].admitted.module.digest()
}

fn code(digest: &str) -> Code {
    let mut versions = setting().versions.iter();
    versions.find(|version| version.admitted.module.digest() == digest).expect("it is one of the versions").code
}

/// What is asked about modules. The id that is asked of is the digest of the module, or that of an instance.
#[derive(Clone, Debug)]
pub enum Wish {
    Deploy(usize),
    Delete,
    /// One instance, or all of an orchestrator.
    Move {
        of: Option<&'static str>,
        to: usize,
        dry_run: bool,
    },
    /// Lets an orchestrator go on that wants no content.
    Go,
}

/// A wish, or what there is to start and to raise for [`SHARED`]; none where it is to be something else.
pub enum Drawn {
    Wish(String, Wish),
    Start(String, &'static str, String),
    Raise(String, &'static str),
}

pub fn draw(rng: &mut fastrand::Rng, ids: u32) -> Option<Drawn> {
    let id = format!("i{}", rng.u32(0..ids));
    let version = rng.usize(0..setting().versions.len());
    Some(match weighted(rng, &[6, 6, 5, 4, 5, 8, 16]) {
        0 => {
            let name = SHARED[rng.usize(0..3)];
            let next = [r#""newest""#, r#""same""#, r#""none""#][rng.usize(0..3)];
            Drawn::Start(id, name, next.to_owned())
        }
        1 => Drawn::Raise(id, ["first", "second"][rng.usize(0..2)]),
        2 => Drawn::Wish(id, Wish::Go),
        3 => Drawn::Wish(digest(version).to_owned(), Wish::Deploy(version)),
        4 => Drawn::Wish(digest(version).to_owned(), Wish::Delete),
        5 => {
            let of = [None, Some(SHARED[rng.usize(0..3)])][rng.usize(0..2)];
            Drawn::Wish(id, Wish::Move { of, to: version, dry_run: rng.u32(0..6) == 0 })
        }
        _ => return None,
    })
}

impl Wish {
    /// What is written where it is done.
    pub fn written(&self) -> &'static str {
        match self {
            Wish::Deploy(_) => "deployed",
            Wish::Delete => "deleted",
            Wish::Move { .. } => "moved",
            Wish::Go => "raised",
        }
    }

    pub async fn put(&self, id: &str, dispatcher: Arc<Dispatcher>) -> Told {
        match self {
            Wish::Deploy(version) => {
                let Admitted { module, component } = &setting().versions[*version].admitted;
                let admitted = Admitted { module: module.clone(), component: component.clone() };
                match dispatcher.keep(admitted).await {
                    Ok(_) => Told::Done,
                    Err(DeployError::Store(error)) => Told::Failed(error),
                    Err(other) => panic!("{other}"),
                }
            }
            Wish::Delete => match dispatcher.delete_module(id).await {
                Ok(ModuleDeletion::Deleted) => Told::Done,
                Ok(ModuleDeletion::Needed(_) | ModuleDeletion::Active(_)) => Told::NotNow,
                Err(StoreError::Missing) => Told::NotFound,
                Err(error) => Told::Failed(error),
            },
            Wish::Move { of, to, dry_run } => {
                let scope = of.map_or(Scope::Instance(id.to_owned()), |name| Scope::Orchestrator(name.to_owned()));
                Told::Moved(dispatcher.migrate(scope, digest(*to), *dry_run).await)
            }
            Wish::Go => raised(dispatcher.raise(id, "go", Payload::null()).await),
        }
    }

    /// Holds an answer against what is on disk. `asked_of`, `times`: who had the id, and how often this had been
    /// written of it, when it was asked.
    pub fn check(&self, id: &str, told: &Told, asked_of: Option<InstanceKey>, times: u64, fate: &Fate, disk: &Disk) {
        let now = |id: &str, what| disk.ledger(|ledger| ledger.times(id, what));
        let is_durable = now(id, self.written()) > times;
        // There from the beginning, and at any time since.
        let is_known = |digest: &str| digest == self::digest(0) && now(digest, "deleted") == 0;
        match (self, told) {
            (Wish::Deploy(_) | Wish::Delete, Told::Done) => assert!(is_durable, "{self:?} is acknowledged too early"),
            (Wish::Delete, Told::NotFound) => {
                assert!(!is_known(id), "{id} is not found, and was never deleted");
            }
            (Wish::Go, Told::NotFound) => {
                let was_missed = asked_of.is_some() && disk.ledger(|ledger| ledger.key(id)) == asked_of;
                assert!(!was_missed, "{id} was there all the time, and is not found");
            }
            (Wish::Go, Told::Raised(seq)) => {
                assert!(disk.ledger(|ledger| ledger.accepted(*seq)).is_some(), "an event for {id} is not durable");
            }
            (Wish::Move { of, to, dry_run }, Told::Moved(Ok(found))) => {
                for moved in found {
                    let is_as_listed = now(&moved.instance, "moved") + now(&moved.instance, "renewed") == 0;
                    let is_same = is_as_listed && code(&moved.from) == code(digest(*to));
                    assert!(!is_same || !matches!(moved.fit, Fit::Diverges(_)), "it fits the same code: {moved:?}");
                    let is_moved = matches!(moved.fit, Fit::Fits) && !dry_run;
                    let durable = if of.is_none() { is_durable } else { now(&moved.instance, "moved") > 0 };
                    assert!(!is_moved || durable, "{moved:?} is acknowledged, and not durable");
                }
            }
            (Wish::Move { to, .. }, Told::Moved(Err(MigrateError::NoModule(_)))) => {
                assert!(!is_known(digest(*to)), "{} is not found, and was never deleted", digest(*to));
            }
            (Wish::Move { to, .. }, Told::Moved(Err(MigrateError::NoOrchestrator { name, .. }))) => {
                let is_shared = SHARED.contains(&&**name);
                assert!(code(digest(*to)) == Code::B && !is_shared, "{name} is not in {to}");
            }
            (Wish::Move { .. }, Told::Moved(Err(MigrateError::NotFound(_)))) => {
                let was_missed = asked_of.is_some() && disk.ledger(|ledger| ledger.key(id)) == asked_of;
                assert!(!was_missed || now(id, "ended") > 0, "{id} was live all the time, and is not found");
            }
            (Wish::Move { .. }, Told::Moved(Err(MigrateError::Store(error)))) => expected(error, fate, true),
            (_, told) => panic!("{id}: {self:?} is answered with {told:?}"),
        }
    }
}

/// What an instance did, and what it came to, is what the code does that it runs by what is stored.
pub fn check(instance: &Instance, state: &State, steps: &[Step], output: Option<&Output>) {
    let id = &instance.id;
    assert_eq!(instance.module, state.module(), "{id}: the module is the fold of the history");
    let code = code(&instance.module);
    let result = match output {
        Some(Output::Result(result)) => Some(result.as_str()),
        _ => None,
    };
    match &*instance.name {
        "Versioned" | "Successor" => {
            let expected = format!("\"{code:?}\"");
            assert!(result.is_none_or(|result| result == expected), "{id} returned {result:?}, and runs {code:?}");
        }
        "TwoNames" => {
            let waits = steps.iter().flat_map(|step| &step.decisions).find_map(|decision| match decision {
                Decision::WaitStarted { name, .. } => Some(&**name),
                _ => None,
            });
            let expected = if code == Code::A { "first" } else { "second" };
            assert!(waits.is_none_or(|waits| waits == expected), "{id} began with {waits:?}, and runs {code:?}");
        }
        _ => {}
    }
}
