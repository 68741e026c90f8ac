//! `fermata build` and `fermata new`: modules from projects in every language, and what is said where that can not be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::Fresh;

const CHECKOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A folder to build in.
struct Desk(tempfile::TempDir);

impl Desk {
    fn with(files: &[(&str, &str)]) -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        for (path, text) in files {
            let path = desk.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        desk
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn fermata(&self, arguments: &[&str]) -> Output {
        let mut fermata = Command::new(tests::binary());
        fermata.args(arguments).current_dir(self.0.path()).env("FERMATA_TOOLS", target().join("guest-tools"));
        fermata.output().unwrap()
    }

    /// Builds, and returns the path of the module that is printed.
    fn build(&self, arguments: &[&str]) -> PathBuf {
        let built = self.fermata(&[&["build"], arguments].concat());
        assert!(built.status.success(), "{}", said(&built));
        PathBuf::from(String::from_utf8(built.stdout).unwrap().trim_end())
    }

    /// What is said where a build fails.
    fn refused(&self, path: &str) -> String {
        let built = self.fermata(&["build", path]);
        assert_eq!(built.status.code(), Some(1), "{}", said(&built));
        assert!(
            !self.path("dist").exists() || fs::read_dir(self.path("dist")).unwrap().next().is_none(),
            "half a module is left"
        );
        said(&built)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn target() -> PathBuf {
    tests::binary().ancestors().nth(2).unwrap().to_owned()
}

/// Runs the order of a starter project on a host with this module.
fn try_order(module: &Path) {
    let host = Fresh::with(|settings| settings.modules(&[]).argument("--modules").argument(module.to_str().unwrap()));
    let id = host.start("Order", r#"{"article": "lamps", "quantity": 3}"#);
    host.waits_for(&id, &["Paid"]);
    host.raise(&id, "Paid", "30");
    assert_eq!(host.output(&id), "3 lamps shipped");
}

#[test]
fn a_new_project_builds_and_runs() {
    let desk = Desk::with(&[]);
    for (language, module) in [
        ("rust", "orders-rust/target/guests/orders-rust.wasm"),
        ("js", "orders-js/dist/orders-js.wasm"),
        ("ts", "orders-ts/dist/orders-ts.wasm"),
        ("python", "orders-python/dist/orders-python.wasm"),
    ] {
        let folder = format!("orders-{language}");
        let made = desk.fermata(&["new", &folder, "--lang", language]);
        assert_eq!(String::from_utf8_lossy(&made.stdout).trim_end(), folder, "{}", said(&made));
        if language == "rust" {
            // The versions that are here already, so that no registry is asked; and a target directory that is warm.
            fs::copy(Path::new(CHECKOUT).join("Cargo.lock"), desk.path(&folder).join("Cargo.lock")).unwrap();
            fs::create_dir(desk.path(&folder).join("target")).unwrap();
            std::os::unix::fs::symlink(target().join("guest-build"), desk.path(&folder).join("target/guest-build"))
                .unwrap();
        }
        let built = desk.build(&[&folder]);
        assert_eq!(desk.path("").join(&built).canonicalize().unwrap(), desk.path(module).canonicalize().unwrap());
        try_order(&built);
    }
}

#[test]
fn a_project_is_not_made_over_another_nor_with_a_name_that_no_registry_takes() {
    let desk = Desk::with(&[("orders/README.md", "mine")]);
    for (name, complaint) in
        [("orders", "is there already"), ("Orders!", "begins with a small letter"), ("9orders", "begins with")]
    {
        let made = desk.fermata(&["new", name]);
        assert_eq!(made.status.code(), Some(1));
        assert!(said(&made).contains(complaint), "{}", said(&made));
    }
    assert_eq!(fs::read_to_string(desk.path("orders/README.md")).unwrap(), "mine");
}

/// The samples of the Durable Functions page on external events, letter for letter; those in Python with a `pass` where there is only a comment, and
/// with the `yield` that two of them forget.
const PAGE: [(&str, &str); 6] = [
    ("js/BudgetApproval.js", include_str!("../samples/BudgetApproval.js")),
    ("js/Select.js", include_str!("../samples/Select.js")),
    ("js/NewBuildingPermit.js", include_str!("../samples/NewBuildingPermit.js")),
    ("py/BudgetApproval.py", include_str!("../samples/BudgetApproval.py")),
    ("py/Select.py", include_str!("../samples/Select.py")),
    ("py/NewBuildingPermit.py", include_str!("../samples/NewBuildingPermit.py")),
];

#[test]
fn the_samples_of_the_page_run_as_they_stand_there() {
    let desk = Desk::with(&PAGE);
    // The page leaves the activity out; it is served by the example in Rust.
    let permit = tests::guest_file("new-building-permit");
    for language in ["js", "py"] {
        let module = desk.build(&[language]);
        let host = Fresh::with(|settings| {
            let settings = settings.modules(&[]).argument("--activity=IssueBuildingPermit=module");
            settings
                .argument("--modules")
                .argument(permit.to_str().unwrap())
                .argument("--modules")
                .argument(module.to_str().unwrap())
        });
        let complete = |orchestrator: &str, input: &str, events: &[&str]| {
            let id = host.start(orchestrator, input);
            for event in events {
                tests::until(event, || host.details(&id)["waitingFor"].to_string().contains(event).then_some(()));
                host.raise(&id, event, "true");
            }
            assert_eq!(host.ended(&id)["runtimeStatus"], "Completed", "{orchestrator}.{language}");
            host.details(&id)["historyEvents"].to_string()
        };
        complete("BudgetApproval", "", &["Approval"]);
        complete("Select", "", &["Event2"]);
        let gates = ["FireDeptApproval", "BuildingDeptApproval", "CityPlanningApproval"];
        let history = complete("NewBuildingPermit", "\"APP-7\"", &gates);
        assert!(history.contains("IssueBuildingPermit") && history.contains("APP-7"), "{history}");
    }
}

#[test]
fn packages_of_npm_and_files_of_the_project_are_bundled() {
    let desk = Desk::with(&[
        (
            "package.json",
            r#"{"name": "bundled", "main": "src/index.ts", "dependencies": {"durable-functions": "*", "left": "*"}}"#,
        ),
        (
            "src/index.ts",
            "import * as df from 'durable-functions';\nimport left from 'left';\nimport { half } from './half';\n\
            df.app.orchestration('Order', function* (context) { yield context.df.waitForExternalEvent('Paid'); return `${left(half(6))} lamps shipped`; });",
        ),
        ("src/half.ts", "export const half = (n: number): number => n / 2;"),
        ("node_modules/left/package.json", r#"{"name": "left", "main": "main.js"}"#),
        (
            "node_modules/left/main.js",
            "const { sep } = require('path'); const crypto = require('node:crypto');\nmodule.exports = (n) => n;",
        ),
    ]);
    try_order(&desk.build(&["."]));
}

#[test]
fn what_can_not_be_built_is_told_with_its_place() {
    const ORCHESTRATOR: &str = "require('durable-functions').app.orchestration('A', function* () {});";
    for (file, text, complaints) in [
        ("a.js", "const x = ;", &["a.js:1:10", "Unexpected \";\""][..]),
        ("a.ts", "import { x } from './nowhere'; x();", &["a.ts:1:18", "./nowhere"]),
        ("a.js", "require('lodash');", &["a.js:1:8", "lodash"]),
        ("a.js", "throw new Error('too early');", &["too early", "a.js:1"]),
        ("a.js", "console.log(1);", &["no orchestrator"]),
        ("a.js", "require('durable-functions').app.orchestration('', function* () {});", &["has a name"]),
        ("a.js", "require('durable-functions').app.orchestration('A', 1);", &["needs a function"]),
        ("a.py", "x = = 1\n", &["a.py:1", "invalid syntax"]),
        ("a.py", "import nowhere\n", &["nowhere"]),
        ("a.py", "x = 1\n", &["no orchestrator"]),
        ("a.rs", ORCHESTRATOR, &["no project of orchestrators"]),
    ] {
        let desk = Desk::with(&[(file, text)]);
        let said = desk.refused(file);
        for complaint in complaints {
            assert!(said.contains(complaint), "{file} with {text:?}: {complaint:?} is not in:\n{said}");
        }
        assert!(!said.contains("guest-sdk") && !said.contains("Traceback"), "{said}");
    }
    assert!(Desk::with(&[]).refused("nowhere").contains("there is no nowhere"));
}
