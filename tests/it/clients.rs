//! The clients of Durable Functions for Python and JavaScript, unmodified, through every call they have. `cargo xtask clients` installs them;
//! their scenarios are in `tests/clients`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::Fresh;

/// A test for each scenario on each mount.
macro_rules! scenarios {
    ($client:ident on [$($mount:ident),+]: $scenarios:tt) => {
        $(mod $mount { scenarios!(@each $client $mount $scenarios); })+

        #[test]
        fn every_call_has_a_scenario_and_every_scenario_a_test() {
            super::check_scenarios(super::$client, &scenarios!(@names $scenarios));
        }
    };
    (@each $client:ident $mount:ident [$($scenario:ident),+ $(,)?]) => {
        $(#[test]
        fn $scenario() {
            super::super::run(super::super::$client, super::super::$mount, stringify!($scenario));
        })+
    };
    (@names [$($scenario:ident),+ $(,)?]) => { [$(stringify!($scenario)),+] };
}

mod python {
    scenarios!(PYTHON on [keyless, keyed]: [
        start,
        start_with_id,
        start_with_a_version_and_within_a_trace,
        start_refused,
        events,
        events_by_any_name,
        events_refused,
        status,
        status_with_history,
        lists,
        list_more_than_a_page,
        terminate,
        suspend_and_resume,
        rewind,
        restart,
        purge,
        purge_by,
        links,
        links_lead_on,
        wait_for_completion,
        wait_in_vain,
        entities,
    ]);
}

mod javascript {
    scenarios!(JAVASCRIPT on [keyless, keyed, keyless_webhooks, keyed_webhooks]: [
        start,
        start_with_id,
        start_with_a_version_and_within_a_trace,
        start_refused,
        events,
        events_by_any_name,
        events_refused,
        status,
        status_with_history,
        lists,
        list_more_than_two_pages,
        terminate,
        suspend_and_resume,
        rewind,
        purge,
        purge_by,
        links,
        links_lead_on,
        wait_for_completion,
        wait_in_vain,
        entities,
    ]);
}

/// A client, and how its scenarios are run.
#[derive(Clone, Copy)]
pub(super) struct Client {
    /// What the host calls it, and the folder of its scenarios.
    name: &'static str,
    script: &'static str,
    /// Where it is installed, in its folder.
    installed: &'static str,
    interpreter: fn(&Path) -> PathBuf,
}

const PYTHON: Client =
    Client { name: "python", script: "run.py", installed: "bin/python", interpreter: |installed| installed.to_owned() };

pub(super) const JAVASCRIPT: Client =
    Client { name: "js", script: "run.js", installed: "node_modules", interpreter: |_| "node".into() };

/// A host on this machine alone, which asks for no key.
fn keyless(host: &Fresh, client: Client) -> Value {
    host.get(&format!("/clients/durable-binding?client={}", client.name)).json()
}

/// A host that lets nobody in without a key; what the command says the client needs.
fn keyed(host: &Fresh, client: Client) -> Value {
    let data = host.data().to_str().unwrap();
    let key = text(&fermata(&["key", "create", client.name, "--data", data]));
    assert_eq!(host.get("/clients/durable-binding").status, 401, "it needs a key now");
    let url = host.url("");
    let binding = fermata(&["binding", "--client", client.name, "--url", &url, "--key", key.trim_end()]);
    serde_json::from_str(&text(&binding)).unwrap()
}

/// The public mount: JavaScript's client goes by the links of its binding where no other address is given.
fn webhooks(mut binding: Value) -> Value {
    binding.as_object_mut().unwrap().remove("rpcBaseUrl").expect("a host names it");
    binding
}

fn keyless_webhooks(host: &Fresh, client: Client) -> Value {
    webhooks(keyless(host, client))
}

fn keyed_webhooks(host: &Fresh, client: Client) -> Value {
    webhooks(keyed(host, client))
}

fn run(client: Client, binding: fn(&Fresh, Client) -> Value, scenario: &str) {
    let host = Fresh::with(|settings| settings.modules(&["test-guest-a"]));
    let binding = binding(&host, client);
    try_scenario(client, &host, &binding, scenario);
}

#[test]
fn a_host_with_keys_has_an_address_of_its_machine_for_clients_without_one() {
    let host = Fresh::with(|settings| {
        let settings = settings.modules(&["test-guest-a"]);
        settings.argument("--listen-local").argument("127.0.0.1:0")
    });
    for client in [PYTHON, JAVASCRIPT] {
        keyed(&host, client);
        let log = host.log();
        let (_, local) = log.split_once("without a key  on ").expect("the banner tells it");
        let local = local.split(',').next().unwrap();
        let binding = fermata(&["binding", "--client", client.name, "--url", local]);
        try_scenario(client, &host, &serde_json::from_str(&text(&binding)).unwrap(), "events");
    }
}

#[test]
fn what_the_documentation_shows_runs() {
    let host = Fresh::with(|settings| settings.modules(&["budget-approval"]));
    let document = include_str!("../../docs/clients.md").replace("127.0.0.1:7071", host.address());
    let folder = tempfile::tempdir().unwrap();
    for (client, language, shown) in
        [(PYTHON, "python", "approval granted"), (JAVASCRIPT, "js", "\"approval granted\"")]
    {
        let (_, block) = document.split_once(&format!("```{language}\n")).expect("there is code");
        let (code, _) = block.split_once("\n```").expect("it ends");
        let file = folder.path().join("shown");
        std::fs::write(&file, code).unwrap();
        assert_eq!(text(&client.runs(&file).output().unwrap()).trim_end(), shown);
    }
}

fn try_scenario(client: Client, host: &Fresh, binding: &Value, scenario: &str) {
    let mut script = client.script();
    let output = script.arg(scenario).env("FERMATA_BINDING", binding.to_string()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{scenario} with the client for {}:\n{said}\n{}", client.name, host.log());
}

/// Scripts know which calls of their client no scenario makes, and which scenarios there are.
fn check_scenarios(client: Client, tested: &[&str]) {
    let scenarios = text(&client.script().output().unwrap());
    let (mut scenarios, mut tested): (Vec<&str>, Vec<&str>) = (scenarios.lines().collect(), tested.to_vec());
    scenarios.sort_unstable();
    tested.sort_unstable();
    assert_eq!(scenarios, tested, "the scenarios in tests/clients/{}, and those with a test", client.name);
}

impl Client {
    /// Runs scenarios.
    fn script(self) -> Command {
        self.runs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(self.name).join(self.script))
    }

    /// Where the client is, and what was installed with it.
    pub(super) fn installed(self) -> PathBuf {
        let target = tests::binary().ancestors().nth(2).expect("the binary lies in target/<profile>").to_owned();
        let installed = target.join("clients").join(self.name).join(self.installed);
        assert!(installed.exists(), "{} is not there; `cargo xtask clients` installs it", installed.display());
        installed
    }

    /// Runs a program of the client's language, which finds the client.
    pub(super) fn runs(self, program: &Path) -> Command {
        let installed = self.installed();
        let mut command = Command::new((self.interpreter)(&installed));
        // Python leaves no compiled files in the checkout, and Node looks for modules where they are installed.
        command.arg(program).env("PYTHONDONTWRITEBYTECODE", "1").env("NODE_PATH", installed);
        command
    }
}

fn fermata(arguments: &[&str]) -> Output {
    Command::new(tests::binary()).args(arguments).output().unwrap()
}

/// What a command that succeeded printed.
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}
