//! How much one client may take: connections, requests, guesses at a key, bytes; and what a host takes in that the disk does not keep up with.

use std::io::{Read, Write};
use std::net::TcpStream;

use tests::{Answer, BASE, Host, PATIENCE};

use crate::Fresh;
use crate::hostile::statuses;

fn connect(host: &Host) -> TcpStream {
    let stream = TcpStream::connect(host.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, target: &str) -> u16 {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    // Every answer here ends with the end of an object.
    while !answer.ends_with('}') {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "{answer}");
        answer.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

/// It is told what to do, and for how long.
fn check_refusal(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    let body = answer.json();
    assert_eq!(body["code"], code, "{body}");
    assert!(body["Message"].is_string() && body["hint"].as_str().unwrap().contains("Retry-After"), "{body}");
    assert!(answer.retry_after.as_deref().unwrap().parse::<u32>().unwrap() >= 1);
}

#[test]
fn a_client_has_so_many_connections_and_no_more() {
    let host = Fresh::configured("[limits.http]\nconnections_per_client = 3\nuncounted = []");
    let mut open: Vec<TcpStream> = (0..3).map(|_| connect(&host)).collect();
    open.iter_mut().for_each(|stream| assert_eq!(ask(stream, "/healthz"), 200));
    let mut answer = String::new();
    connect(&host).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{answer}");
    assert!(answer.contains("\r\nretry-after: 1\r\n") && answer.contains("too-many-connections"), "{answer}");
    assert_eq!(ask(&mut open[0], "/healthz"), 200, "those there are go on");
    open.pop();
    let mut third = tests::until("there is a place again", || {
        let mut stream = connect(&host);
        (ask(&mut stream, "/healthz") == 200).then_some(stream)
    });
    third.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut metrics = String::new();
    third.read_to_string(&mut metrics).unwrap();
    let hits = metrics.lines().find(|line| line.contains("{limit=\"connections\"}"));
    assert!(hits.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
}

#[test]
fn who_needs_no_key_may_ask_so_often() {
    let config = "[limits.http]\nuncounted = []\naddress_rate = { per_second = 0.001, burst = 20 }";
    let host = Fresh::configured(config);
    let answers: Vec<Answer> = (0..30).map(|_| host.get(&format!("{BASE}/instances"))).collect();
    assert!(answers[..20].iter().all(|answer| answer.status == 200));
    answers[20..].iter().for_each(|answer| check_refusal(answer, 429, "address-asks-too-much"));
    check_refusal(&host.get("/nothing"), 429, "address-asks-too-much");
}

/// A proxy on this machine names the clients, so that there can be several.
#[test]
fn who_guesses_keys_is_not_listened_to_for_a_while() {
    let host = Fresh::with(|settings| settings.argument("--trusted-proxy=127.0.0.1"));
    let key = host.key(&["create", "reader", "--scope=read"]);
    let from = |client: &str, key: &str| {
        let request = ureq::http::Request::get(host.url(&format!("{BASE}/instances")));
        host.send(request.header("X-Forwarded-For", client).header("x-functions-key", key).body(String::new()).unwrap())
    };
    let guesses: Vec<Answer> = (0..100).map(|n| from("203.0.113.1", &format!("fermata_{n:048x}"))).collect();
    let looked_at = guesses.iter().filter(|answer| answer.status == 401).count();
    assert!((10..=20).contains(&looked_at), "{looked_at}");
    check_refusal(guesses.last().unwrap(), 429, "too-many-wrong-keys");
    check_refusal(&from("203.0.113.1", &key), 429, "too-many-wrong-keys");
    assert_eq!(from("203.0.113.2", &key).status, 200, "nobody else is concerned");
    assert_eq!(host.get_with("/healthz", "X-Forwarded-For", "203.0.113.1").status, 200, "nor what needs no key");
}

#[test]
fn a_key_is_good_for_so_many_requests() {
    let host = Fresh::configured("[limits.http]\nkey_rate = { per_second = 0.001, burst = 5 }");
    let (few, more) = (host.key(&["create", "few"]), host.key(&["create", "more", "--rate=1000"]));
    let ask = |key: &str| host.get_with(&format!("{BASE}/instances"), "x-functions-key", key);
    assert!((0..5).all(|_| ask(&few).status == 200));
    check_refusal(&ask(&few), 429, "key-asks-too-much");
    let metrics = host.get_with("/metrics", "x-functions-key", &more).body;
    assert!(metrics.contains("\nfermata_limit_hits_total{limit=\"key_rate\"} 1\n"), "{metrics}");
    assert!((0..50).all(|_| ask(&more).status == 200));
}

#[test]
fn bodies_take_so_much_memory_and_no_more() {
    let host = Fresh::configured("[limits.http]\nbodies_bytes = 262144\nbody_time = \"10m\"");
    host.post(&format!("{BASE}/orchestrators/BudgetApproval/there"), "null");
    let start = format!("{BASE}/orchestrators/Echo");
    // Each has sent all but the last byte of 64 KiB: the host holds them.
    let body = format!("\"{}\"", "a".repeat((64 << 10) - 2));
    let head = format!("POST {start} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut stalled = Vec::new();
    tests::until("all is taken", || {
        // One that comes while a probe is read finds no room; the next one does.
        let mut stream = connect(&host);
        write!(stream, "{head}{}", &body[..body.len() - 1]).unwrap();
        stalled.push(stream);
        (host.post(&start, "1234567").status == 503).then_some(())
    });
    check_refusal(&host.post(&start, &body), 503, "too-many-bodies");
    check_refusal(&host.try_raise("there", "Approval", "true"), 503, "too-many-bodies");
    let chunks = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let chunked = format!("POST {start} HTTP/1.1\r\nHost: localhost\r\n{chunks}");
    assert_eq!(statuses(&host, chunked.as_bytes(), false), [503]);
    assert_eq!(host.status("there").status, 202, "what has no body is answered");
    drop(stalled);
    tests::until("there is room again", || (host.post(&start, &body).status == 202).then_some(()));
    host.raise("there", "Approval", "true");
    assert_eq!(host.output("there"), "approval granted");
    assert!(host.hits("bodies") >= 4);
}
