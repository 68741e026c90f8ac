//! The host does what its document says: requests of all kinds, made from it, good ones and bad ones. No answer is a failure of the host, and
//! each has a status, a media type and a body that the document knows.

use std::path::Path;
use std::process::Command;

use tests::{BASE, Host, binary};

use crate::Fresh;

/// What is checked of each answer. Not that a wrong method is 405: to Durable Functions it is 404.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

/// `cargo xtask clients` installs it.
fn check(host: &Host, configuration: Option<&str>) {
    let installed = binary().ancestors().nth(2).unwrap().join("clients/schemathesis/bin/schemathesis");
    assert!(installed.exists(), "{} is not there; `cargo xtask clients` installs it", installed.display());
    let scratch = tempfile::tempdir().unwrap();
    let seed = tests::seed("conformance");
    let mut command = Command::new(installed);
    if let Some(configuration) = configuration {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/schemathesis");
        command.arg("--config-file").arg(folder.join(configuration));
    }
    command.args(["run", &host.url("/openapi.json"), "--phases", "examples,coverage,fuzzing", "--max-examples", "20"]);
    command.args(["--checks", CHECKS, "--continue-on-failure", "--no-color", "--request-timeout", "30"]);
    command.args(["--seed", &seed.to_string(), "--suppress-health-check", "all", "--warnings", "off"]);
    // A stream does not end; and what answers 501 as it should is no failure.
    command.args(["--exclude-operation-id", "watch", "--exclude-tag", "entities"]);
    let run = command.current_dir(scratch.path()).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
    assert!(said.contains("Test cases:"), "{said}");
    assert_eq!(host.get("/healthz").status, 200);
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

#[test]
fn whatever_is_sent() {
    let host = Fresh::with(|settings| settings.argument("--skippable-clock"));
    check(&host, None);
}

#[test]
fn whatever_is_sent_to_what_is_there() {
    let host = Fresh::with(|settings| settings.argument("--skippable-clock"));
    host.post(&format!("{BASE}/orchestrators/BudgetApproval/there"), "1");
    check(&host, Some("known.toml"));
}

/// The page for people is whole without any other server.
#[test]
fn the_page_of_the_document_needs_no_other_server() {
    let host = Fresh::start();
    // It leads to its folder.
    let page = host.get("/docs");
    assert_eq!((page.status, &page.body), (200, &host.get("/docs/").body));
    assert!(page.content_type.as_deref().unwrap().starts_with("text/html"), "{page:?}");
    assert!(page.header("content-security-policy").unwrap().contains("'self'"), "{page:?}");
    let links = || ["src=\"", "href=\""].into_iter().flat_map(|attribute| page.body.split(attribute).skip(1));
    let links: Vec<&str> = links().filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 3, "{links:?}");
    assert!(links.iter().all(|link| !link.contains("//")), "another server's: {links:?}");
    for link in links.iter().filter(|link| link.ends_with(".js") || link.ends_with(".css")) {
        let file = host.get(&format!("/docs/{}", link.trim_start_matches("./")));
        assert_eq!(file.status, 200, "{link}");
        assert!(!file.body.is_empty(), "{link}");
    }
}
