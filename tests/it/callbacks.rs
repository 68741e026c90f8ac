//! URLs that orchestrators give to people: good for one event of one instance, and nothing else.

use std::time::Duration;

use serde_json::json;
use tests::{Answer, BASE, Host, Settings, until};

use super::{Fresh, RESIDENCIES};

const HOUR: Duration = Duration::from_secs(3_600);

/// Starts an orchestrator that asks for an hour, and gives its id and its URL, without the address.
fn ask(host: &Host) -> (String, String) {
    let id = host.start("AsksByUrl", &HOUR.as_secs().to_string());
    let url = url_of(host, &id);
    host.waits_for(&id, &["Answer"]);
    (id, local(&url))
}

fn url_of(host: &Host, id: &str) -> String {
    until("the URL is shown", || host.status(id).json()["customStatus"].as_str().map(str::to_owned))
}

/// What comes behind the address.
fn local(url: &str) -> String {
    url[url.find("/callbacks/").expect("a callback URL")..].to_owned()
}

fn code(answer: &Answer) -> String {
    answer.json()["code"].as_str().unwrap_or_else(|| panic!("no refusal: {answer:?}")).to_owned()
}

fn post_form(host: &Host, url: &str, form: &str) -> Answer {
    host.post_as(url, "application/x-www-form-urlencoded", form.as_bytes())
}

/// The events that the instance was sent, read or not.
fn events(host: &Host, id: &str) -> usize {
    let details = host.details(id);
    let raised =
        details["historyEvents"].as_array().unwrap().iter().filter(|entry| entry["EventType"] == "EventRaised");
    raised.count() + details["bufferedEvents"].as_array().unwrap().len()
}

#[test]
fn whoever_has_the_url_answers_also_after_a_kill() {
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency));
        let ((one, url), (two, other)) = (ask(&host), ask(&host));
        host.kill_and_restart();
        let answer = host.post(&url, "{\"approved\":  true}");
        assert_eq!((answer.status, &*answer.body), (202, ""), "{answer:?}");
        assert!(answer.header("fermata-sequence").unwrap().parse::<u64>().unwrap() > 0);
        host.kill_and_restart();
        host.output(&one);
        assert_eq!(host.status(&one).raw("output"), "{\"approved\":  true}");
        assert_eq!(host.post_as(&other, "text/plain", b"").status, 202, "an empty body is null");
        assert_eq!(host.output(&two), json!(null));
    }
}

#[test]
fn it_is_good_for_nothing_else() {
    let host = Fresh::start();
    let ((one, url), (two, other)) = (ask(&host), ask(&host));
    let (path, query) = url.split_once('?').unwrap();
    let signature = query.rsplit_once('=').unwrap().1;
    let expires = query.split('&').find_map(|pair| pair.strip_prefix("expires=")).unwrap();
    let later = (expires.parse::<u64>().unwrap() + 1).to_string();
    let digit = |from: &str, to: &str| url.replacen(from, to, 1);
    for wrong in [
        url.replace(&one, &two),
        url.replace("/Answer", "/Other"),
        url.replace("/Answer", "/answer"),
        url.replace(expires, &later),
        url.replace("run=", "run=1"),
        url.replace("nonce=", "nonce=1"),
        url.replace(signature, other.rsplit_once('=').unwrap().1),
        url.replace(signature, &signature.to_uppercase()),
        url.replace(signature, ""),
        digit(signature, &signature[1..]),
        url.replace(query, &format!("run=1&nonce=1&expires={later}")),
        path.to_owned(),
        format!("{path}?{}", query.replace("expires=", "expires=x")),
    ] {
        let refusals = [host.post(&wrong, "1"), host.post_as(&wrong, "text/plain", b"")];
        for refusal in refusals {
            assert_eq!((refusal.status, code(&refusal)), (403, "callback-invalid".into()), "{wrong}");
        }
        for page in [host.get(&wrong), post_form(&host, &wrong, "payload=1")] {
            assert_eq!(page.status, 403, "{wrong}");
            assert!(page.body.contains("not valid") && !page.body.contains("<form"), "{}", page.body);
        }
    }
    for (id, method) in [(&one, "terminate"), (&one, "raiseEvent/Answer"), (&two, "raiseEvent/Answer")] {
        let elsewhere = host.post(&format!("{path}/{method}?{query}"), "1");
        assert_eq!(elsewhere.status, 404, "{id}");
    }
    assert_eq!((events(&host, &one), events(&host, &two)), (0, 0), "nothing came of it");
}

#[test]
fn it_needs_no_key_and_is_none() {
    let host = Fresh::start();
    let (id, url) = ask(&host);
    let key =
        std::process::Command::new(tests::binary()).args(["key", "create", "a", "--data"]).arg(host.data()).output();
    assert!(key.unwrap().status.success());
    let query = url.split_once('?').unwrap().1;
    assert_eq!(host.post(&format!("{BASE}/instances/{id}/raiseEvent/Answer?{query}"), "1").status, 401);
    assert_eq!(host.get(&format!("{BASE}/instances/{id}?{query}")).status, 401);
    assert_eq!(host.get(&url).status, 200);
    assert_eq!(host.post(&url, "1").status, 202);
}

#[test]
fn it_expires() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency).argument("--skippable-clock"));
        let (id, url) = ask(&host);
        host.skip(HOUR - Duration::from_secs(60));
        assert_eq!(host.get(&url).status, 200);
        host.skip(Duration::from_secs(61));
        let refusal = host.post(&url, "1");
        assert_eq!((refusal.status, code(&refusal)), (403, "callback-expired".into()));
        for page in [host.get(&url), post_form(&host, &url, "payload=1")] {
            assert!(page.status == 403 && page.body.contains("has expired"), "{page:?}");
        }
        assert_eq!(events(&host, &id), 0);
    }
}

#[test]
fn it_is_good_for_the_next_generation() {
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency));
        let id = host.start("AsksForTheNext", "false");
        let url = local(&url_of(&host, &id));
        assert_eq!(host.post(&url, "\"early\"").status, 202);
        host.raise(&id, "go", "null");
        assert_eq!(host.output(&id), "early", "{residency}");

        let id = host.start("AsksForTheNext", "false");
        let url = local(&url_of(&host, &id));
        host.raise(&id, "go", "null");
        host.waits_for(&id, &["Answer"]);
        host.kill_and_restart();
        assert_eq!(host.details(&id)["generation"], 1);
        assert_eq!(host.post(&url, "\"late\"").status, 202);
        assert_eq!(host.output(&id), "late", "{residency}");
    }
}

#[test]
fn to_open_it_raises_nothing() {
    let host = Fresh::start();
    let (id, url) = ask(&host);
    for _ in 0..3 {
        let page = host.get(&url);
        assert_eq!((page.status, page.content_type.as_deref()), (200, Some("text/html; charset=utf-8")));
        assert!(page.body.contains("<h1>Answer</h1>") && page.body.contains(&id) && page.body.contains("AsksByUrl"));
        assert!(!page.body.contains("not waiting"), "{}", page.body);
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
        let policy = page.header("content-security-policy").unwrap();
        for rule in ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(rule), "{policy}");
        }
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert!(page.body.contains(&format!("<style nonce={nonce}>")) && !page.body.contains("<script"));
        assert!(!page.body.contains("signature="), "a page may be kept, or shown to somebody");
    }
    assert_eq!(events(&host, &id), 0);
    host.waits_for(&id, &["Answer"]);
}

#[test]
fn a_form_is_answered_with_a_page() {
    let host = Fresh::start();
    let (id, url) = ask(&host);
    let bad = post_form(&host, &url, "payload=%3Cb%3E+or+not");
    assert_eq!(bad.status, 400);
    assert!(bad.body.contains("&lt;b&gt; or not</textarea>") && bad.body.contains("not valid JSON"), "{}", bad.body);
    for none in ["", "payload=", "other=1"] {
        assert_eq!(post_form(&host, &url, none).status, 400, "{none}");
    }
    assert_eq!(events(&host, &id), 0);

    // As a browser sends it, where no key is needed and pages of other sites are refused.
    let send = |origin: &str| {
        let request = ureq::http::Request::post(host.url(&url)).header("origin", origin);
        let request = request.header("content-type", "application/x-www-form-urlencoded; charset=utf-8");
        host.send(request.body("payload=%7B%22a%22%3A+%22%3Cscript%3E%22%7D".to_owned()).unwrap())
    };
    assert_eq!(code(&send("https://evil.example")), "foreign-origin");
    let page = send(&host.url(""));
    assert_eq!((page.status, page.content_type.as_deref()), (202, Some("text/html; charset=utf-8")));
    assert!(page.header("fermata-sequence").is_some());
    assert!(page.body.contains("Thank you") && page.body.contains("{&quot;a&quot;: &quot;&lt;script&gt;&quot;}"));
    assert_eq!(host.output(&id), json!({ "a": "<script>" }));
    assert_eq!(host.status(&id).raw("output"), "{\"a\": \"<script>\"}", "byte for byte");
}

#[test]
fn where_nobody_waits_for_it_the_page_says_so() {
    let host = Fresh::start();
    let id = host.start("AsksForTheNext", "false");
    let url = local(&url_of(&host, &id));
    host.waits_for(&id, &["go"]);
    let page = host.get(&url);
    assert!(page.status == 200 && page.body.contains("It is not waiting for this at the moment"), "{}", page.body);
}

#[test]
fn after_the_end_nothing_is_accepted_and_no_other_instance_is_meant() {
    for residency in RESIDENCIES {
        let host = Fresh::with(|settings| settings.residency(residency));
        let (id, url) = ask(&host);
        host.raise(&id, "Answer", "1");
        host.output(&id);
        let is_refused = |status: u16, said: &str| {
            let refusal = host.post(&url, "1");
            assert_eq!((refusal.status, code(&refusal)), (status, said.to_owned()), "{residency}");
            assert_eq!(host.post(&url, "no JSON").status, status);
            for page in [host.get(&url), post_form(&host, &url, "payload=1"), post_form(&host, &url, "payload=no+JSON")]
            {
                assert!(page.status == status && page.body.contains("nothing left to answer"), "{page:?}");
            }
        };
        is_refused(410, "instance-ended");

        // An instance that has the id later has asked for nothing.
        assert_eq!(host.control(&id, "restart", "restartWithNewInstanceId=false").status, 202);
        host.waits_for(&id, &["Answer"]);
        is_refused(410, "instance-ended");
        assert_eq!(events(&host, &id), 0);
        let again = local(&url_of(&host, &id));
        assert_eq!(host.post(&again, "2").status, 202);
        assert_eq!(host.output(&id), 2);

        assert_eq!(host.delete(&format!("{BASE}/instances/{id}")).status, 200);
        is_refused(404, "unknown-instance");
    }
}

#[test]
fn it_leads_to_the_public_address_and_outlives_a_change_of_it() {
    for residency in RESIDENCIES {
        let data = tempfile::tempdir().unwrap();
        let public = |url: &str| {
            let settings = Settings::new(data.path()).residency(residency);
            settings.argument(&format!("--public-url={url}")).start()
        };
        let host = public("https://one.example");
        let id = host.start("AsksByUrl", "3600");
        let url = url_of(&host, &id);
        assert!(url.starts_with(&format!("https://one.example/callbacks/{id}/Answer?run=")), "{url}");
        host.waits_for(&id, &["Answer"]);
        host.kill();
        let host = public("http://two.example:81");
        let other = host.start("AsksByUrl", "3600");
        assert!(url_of(&host, &other).starts_with("http://two.example:81/callbacks/"));
        assert_eq!(host.post(&local(&url), "1").status, 202);
        assert_eq!(host.output(&id), 1, "the guest was told the same URL again");
    }
}

#[test]
fn without_the_secret_no_url_is_good_and_instances_go_on() {
    for residency in RESIDENCIES {
        let mut host = Fresh::with(|settings| settings.residency(residency));
        let secret = host.data().join("callback-secret");
        assert!(!secret.exists(), "nothing has asked for it");
        let (id, url) = ask(&host);
        std::fs::remove_file(&secret).unwrap();
        assert_eq!(code(&host.post(&url, "1")), "callback-invalid");
        assert!(host.get(&url).status == 403 && !secret.exists());
        let (_, other) = ask(&host);
        assert_eq!(code(&host.post(&url, "1")), "callback-invalid", "the new secret is another");
        assert_eq!(host.post(&other, "1").status, 202);
        host.kill_and_restart();
        host.raise(&id, "Answer", "2");
        assert_eq!(host.output(&id), 2);
    }
}

#[test]
fn signatures_are_not_told() {
    let host = Fresh::with(|settings| settings.environment("FERMATA_LOG", "trace"));
    let (id, url) = ask(&host);
    let (_, signature) = url.rsplit_once('=').unwrap();
    host.get(&url);
    post_form(&host, &url, "payload=no+JSON");
    host.get(&url.replace("/Answer", "/Other"));
    host.post(&url.replace("/Answer", "/a/b"), "1");
    let entries = host.details(&id)["historyEvents"].clone();
    let made = entries.as_array().unwrap().iter().find(|entry| entry["EventType"] == "CallbackUrlMade").unwrap();
    assert!(made["Name"] == "Answer" && made["Expires"].is_string() && !made.to_string().contains(signature), "{made}");

    let export = host.get(&format!("{BASE}/instances/{id}/history"));
    let zeros = url.replace(signature, &"0".repeat(64));
    assert!(!export.body.contains(signature) && export.body.matches(&zeros).count() == 3, "{}", export.body);
    let file = host.data().join("export.json");
    std::fs::write(&file, &export.body).unwrap();
    let mut replay = std::process::Command::new(tests::binary());
    let replay =
        replay.arg("replay").arg(&file).arg("--module").arg(tests::guest_file("test-guest-a")).output().unwrap();
    assert!(replay.status.success(), "what was equal is equal still: {replay:?}");

    let log = host.log();
    assert!(log.contains(&format!("path=/callbacks/{id}/Answer")), "{log}");
    assert!(!log.contains(signature), "{log}");
}

#[test]
fn it_is_answered_once() {
    let mut host = Fresh::start();
    let (id, url) = ask(&host);
    let first = host.post(&url, "true");
    assert_eq!(first.status, 202);
    host.kill_and_restart();
    let again = host.post(&url, "true");
    assert_eq!((again.status, again.header("fermata-sequence")), (202, first.header("fermata-sequence")));
    let other = host.post(&url, "false");
    assert_eq!((other.status, code(&other)), (409, "callback-used".into()));
    let page = host.get(&url);
    assert!(page.status == 200 && page.body.contains("has been answered") && !page.body.contains("<form"), "{page:?}");
    let page = post_form(&host, &url, "payload=false");
    assert!(page.status == 409 && page.body.contains("answered before") && !page.body.contains("<form"), "{page:?}");
    assert_eq!(host.output(&id), json!(true));
    assert_eq!(events(&host, &id), 1);
}
