//! Who may ask what.

use std::process::Command;

use serde_json::{Value, json};
use tests::{Answer, BASE, Host, binary};

use crate::Fresh;

const SCOPES: [&str; 5] = ["start", "raise", "read", "control", "deploy"];

impl Fresh {
    /// `fermata key`, on the data of this host while it runs.
    pub(crate) fn key(&self, arguments: &[&str]) -> String {
        let run = Command::new(binary()).arg("key").args(arguments).arg("--data").arg(self.data()).output().unwrap();
        assert!(run.status.success(), "{run:?}");
        String::from_utf8(run.stdout).unwrap().trim().to_owned()
    }

    fn key_for(&self, scope: &str) -> String {
        self.key(&["create", scope, "--scope", scope])
    }
}

/// Sends a request with these headers, and without a body.
fn send(host: &Host, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = ureq::http::Request::builder().method(method).uri(host.url(path));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    host.send(request.body(String::new()).unwrap())
}

/// Every operation of the document: method, path with its braces filled in, and what it says of keys.
fn operations(host: &Host) -> Vec<(String, String, Value)> {
    let document = host.get("/openapi.json").json();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let segments = path.split('/').map(|segment| if segment.starts_with('{') { "nobody" } else { segment });
            let path = segments.collect::<Vec<_>>().join("/");
            operations.push((method.to_uppercase(), path, operation.clone()));
        }
    }
    assert!(operations.len() > 25, "{operations:?}");
    operations
}

/// Every route × no key, a wrong key, a key for anything else, the right key.
#[test]
fn each_route_takes_the_keys_it_is_for_and_no_other() {
    let host = Fresh::start();
    let keys = SCOPES.map(|scope| (scope, host.key_for(scope)));
    let bound = host.key(&["create", "bound", "--orchestrator", "Echo*"]);
    for (method, path, operation) in operations(&host) {
        let asked = |key: &str| send(&host, &method, &path, &[("x-functions-key", key)]);
        let code = |answer: &Answer| serde_json::from_str::<Value>(&answer.body).unwrap_or_default()["code"].clone();
        let is_let_in = |answer: &Answer| ![401, 403].contains(&answer.status);
        let route = format!("{method} {path}");
        let none = send(&host, &method, &path, &[]);
        if operation["security"] == json!([]) {
            assert!(is_let_in(&none) && is_let_in(&asked("fermata_0")), "{route}: everybody may");
            continue;
        }
        if operation["security"] == json!([{ "signature": [] }]) {
            for key in ["fermata_0"].into_iter().chain(keys.iter().map(|(_, key)| &**key)) {
                assert_eq!((none.status, asked(key).status), (403, 403), "{route}: no key is a signature");
            }
            continue;
        }
        assert_eq!((none.status, code(&none)), (401, json!("no-key")), "{route}");
        assert_eq!(none.header("www-authenticate"), Some("Bearer"), "{route}");
        let wrong = asked("fermata_0");
        assert_eq!((wrong.status, code(&wrong)), (401, json!("wrong-key")), "{route}");
        let needs = operation["x-fermata-scope"].as_str().unwrap_or_else(|| panic!("{route} says nothing of keys"));
        for (scope, key) in &keys {
            let answer = asked(key);
            if [*scope, "any"].contains(&needs) {
                assert!(is_let_in(&answer), "{route} with {scope}: {answer:?}");
            } else {
                assert_eq!((answer.status, code(&answer)), (403, json!("key-not-for-this")), "{route} with {scope}");
            }
        }
        if operation["x-fermata-all-orchestrators"] == json!(true) {
            assert_eq!(code(&asked(&bound)), json!("key-bound"), "{route}");
        }
    }
}

#[test]
fn a_key_that_is_bound_to_orchestrators_sees_no_others() {
    let host = Fresh::start();
    let (mine, other) = (host.start("Echo", "1"), host.start("BudgetApproval", "null"));
    host.output(&mine);
    let key = host.key(&["create", "bound", "--orchestrator", "Ech*"]);
    let ask = |method: &str, path: &str| send(&host, method, &format!("{BASE}/{path}"), &[("x-functions-key", &key)]);
    assert_eq!(ask("GET", &format!("instances/{mine}")).status, 200);
    let started = ask("POST", "orchestrators/Echo").json()["id"].as_str().unwrap().to_owned();
    tests::until("it ends", || (ask("GET", &format!("instances/{started}")).status == 200).then_some(()));
    assert_eq!(ask("POST", "orchestrators/BudgetApproval").status, 403);
    for (method, tail) in [
        ("GET", ""),
        ("GET", "/history"),
        ("GET", "/watch"),
        ("POST", "/raiseEvent/Approval"),
        ("POST", "/terminate"),
        ("POST", "/restart"),
        ("DELETE", ""),
    ] {
        let answer = ask(method, &format!("instances/{other}{tail}"));
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!("unknown-instance")), "{method} {tail}");
    }
    let all = ask("GET", "instances").json();
    assert!(all.as_array().unwrap().iter().all(|instance| instance["name"] == "Echo"), "{all}");
    assert_eq!(ask("DELETE", "instances?createdTimeFrom=1970-01-01T00:00:00Z").json()["instancesDeleted"], 2);
    let admin = host.key(&["create", "admin"]);
    let status = send(&host, "GET", &format!("{BASE}/instances/{other}"), &[("x-functions-key", &admin)]);
    assert_eq!(status.json()["runtimeStatus"], "Running", "nothing was done to it");
}

#[test]
fn keys_come_and_go_while_the_host_runs_and_it_keeps_them() {
    let mut host = Fresh::start();
    assert_eq!(host.get("/modules").status, 200, "no key was made yet");
    let key = host.key(&["create", "a"]);
    assert_eq!(host.get("/modules").status, 401);
    let with = |host: &Host, key: &str| send(host, "GET", &format!("/modules?code={key}"), &[]).status;
    assert_eq!(with(&host, &key), 200);
    let other = host.key(&["create", "b"]);
    host.kill_and_restart();
    assert_eq!((with(&host, &key), with(&host, &other)), (200, 200));
    host.key(&["revoke", "a"]);
    assert_eq!((with(&host, &key), with(&host, &other)), (401, 200));
    assert!(host.key(&["create", "short", "--expires", "1ms"]).starts_with("fermata_"));
    let listed: Value = serde_json::from_str(&host.key(&["list", "-o", "json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().iter().map(|key| &key["name"]).collect::<Vec<_>>(), ["b", "short"]);
    let file = std::fs::read_to_string(host.data().join("keys.json")).unwrap();
    assert!(!file.contains(&other) && !listed.to_string().contains("hash"), "{file}");
}

#[test]
fn an_expired_key_is_none() {
    let host = Fresh::start();
    let key = host.key(&["create", "brief", "--expires", "1ms"]);
    tests::until("it has expired", || (host.get(&format!("/modules?code={key}")).status == 401).then_some(()));
}

#[test]
fn what_others_can_reach_is_not_open_by_accident() {
    let data = tempfile::tempdir().unwrap();
    let settings = || tests::Settings::new(data.path()).listen("0.0.0.0:0");
    let log = settings().try_start().err().expect("without a key it does not start");
    assert!(log.contains("fermata key create"), "{log}");
    let key = Command::new(binary()).args(["key", "create", "a", "--data"]).arg(data.path()).output().unwrap();
    let key = String::from_utf8(key.stdout).unwrap();
    let host = settings().start();
    assert_eq!(host.get("/modules").status, 401);
    assert_eq!(host.get(&format!("/modules?code={}", key.trim())).status, 200);
    drop(host);
    let host = settings().argument("--insecure-no-auth").start();
    assert_eq!(host.get("/modules").status, 200);
    assert!(host.log().contains("NONE CHECKED"), "{}", host.log());
}

#[test]
fn without_keys_no_page_of_another_site_is_answered() {
    let host = Fresh::with(|settings| settings.argument("--allow-host=fermata.test"));
    let port = host.address().rsplit_once(':').unwrap().1.to_owned();
    let ask = |headers: &[(&str, &str)]| send(&host, "GET", "/modules", headers).status;
    for (own, status) in
        [(format!("localhost:{port}"), 200), (format!("fermata.test:{port}"), 200), ("evil.example".into(), 403)]
    {
        assert_eq!(ask(&[("host", &own)]), status, "{own}");
    }
    let local = format!("localhost:{port}");
    assert_eq!(ask(&[("host", &local), ("origin", &format!("http://{local}"))]), 200);
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        assert_eq!(ask(&[("host", &local), ("origin", origin)]), 403, "{origin}");
        let started = send(&host, "POST", &format!("{BASE}/orchestrators/Echo/e1"), &[("origin", origin)]);
        assert_eq!(started.status, 403);
    }
    assert_eq!(host.status("e1").status, 404, "nothing was started");
}

#[test]
fn links_carry_a_key_only_where_that_was_asked_for_and_the_log_never() {
    let host = Fresh::with(|settings| settings.environment("FERMATA_LOG", "trace"));
    let key = host.key(&["create", "admin"]);
    let start = |query: &str| {
        let path = format!("{BASE}/orchestrators/BudgetApproval?code={key}{query}");
        send(&host, "POST", &path, &[])
    };
    let without = start("");
    assert!(!without.body.contains(&key) && !without.location.unwrap().contains(&key), "{}", without.body);
    let with = start("&keyInLinks=true");
    let links = with.json();
    for (name, link) in links.as_object().unwrap().iter().filter(|(name, _)| *name != "id") {
        assert!(link.as_str().unwrap().contains(&format!("code={key}")), "{name}: {link}");
    }
    let status = links["statusQueryGetUri"].as_str().unwrap().replace(&host.url(""), "");
    assert_eq!(send(&host, "GET", &status, &[]).status, 202);
    let id = links["id"].as_str().unwrap();
    // The spelling of the documentation of Durable Functions, and that for clients which only concatenate.
    for path in [
        format!("{BASE}/instances/{id}/raiseEvent/Other&code={key}"),
        format!("/durabletask/code={key}/instances/{id}/raiseEvent/Other"),
    ] {
        assert_eq!(send(&host, "POST", &path, &[]).status, 202, "{path}");
    }
    let unknown = send(&host, "GET", &format!("/durabletask/code={key}/nothing"), &[]);
    assert!(unknown.status == 404 && !unknown.body.contains(&key), "{}", unknown.body);
    let log = host.log();
    assert!(log.contains("raiseEvent/Other&code=…"), "{log}");
    assert!(!log.contains(&key), "{log}");
}

#[test]
fn the_second_address_needs_no_key() {
    let host = Fresh::with(|settings| settings.argument("--listen-local=127.0.0.1:0"));
    let key = host.key(&["create", "a"]);
    let id = send(&host, "POST", &format!("{BASE}/orchestrators/Echo?code={key}"), &[]).json()["id"].clone();
    let log = host.log();
    let (_, local) = log.split_once("without a key  on http://").expect("the banner tells where");
    let local = local.split(',').next().unwrap();
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let status = |headers: &[(&str, &str)]| {
        let request = agent.get(format!("http://{local}/durabletask/instances/{}", id.as_str().unwrap()));
        headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value))
            .call()
            .unwrap()
            .status()
            .as_u16()
    };
    tests::until("it has completed, and is seen without a key", || (status(&[]) == 200).then_some(()));
    assert_eq!(status(&[("origin", "http://evil.example")]), 403);
    assert_eq!(host.get(&format!("/durabletask/instances/{}", id.as_str().unwrap())).status, 401);
}

/// What is wrong with a request is said before anything is done.
#[test]
fn who_can_not_be_told_where_to_look_starts_nothing() {
    let host = Fresh::with(|settings| settings.argument("--insecure-no-auth"));
    let answer = send(&host, "POST", &format!("{BASE}/orchestrators/Echo/e1"), &[("host", "user@host")]);
    assert_eq!((answer.status, &answer.json()["code"]), (400, &json!("bad-host")));
    assert_eq!(host.status("e1").status, 404);
}

#[test]
fn links_lead_to_the_public_address() {
    let behind = |settings: tests::Settings| settings.argument("--trusted-proxy=127.0.0.0/8");
    let forwarded = [("x-forwarded-host", "fermata.example"), ("x-forwarded-proto", "https")];
    let link = |host: &Host| {
        let answer = send(host, "POST", &format!("{BASE}/orchestrators/Echo"), &forwarded);
        answer.json()["statusQueryGetUri"].as_str().unwrap().to_owned()
    };
    assert!(link(&Fresh::start()).starts_with("http://127.0.0.1:"), "nobody is trusted");
    assert!(link(&Fresh::with(behind)).starts_with("https://fermata.example/runtime/"));
    let public = Fresh::with(|settings| settings.argument("--public-url=https://f.example:8443"));
    assert!(link(&public).starts_with("https://f.example:8443/runtime/"));
}
