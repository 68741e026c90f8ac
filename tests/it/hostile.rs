//! What no good client sends, byte for byte: each is answered with the right refusal, or the connection is closed; nothing of it is kept, and
//! nobody else notices.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tests::{BASE, Host, PATIENCE};

use crate::Fresh;

/// A request as it goes over the wire, and the statuses that are right; 0: closed without an answer.
pub(super) struct Case {
    pub name: String,
    pub bytes: Vec<u8>,
    pub expected: Vec<u16>,
    /// The client says that nothing more comes.
    pub ends: bool,
}

pub(super) fn case(name: impl Into<String>, bytes: impl Into<Vec<u8>>, expected: &[u16]) -> Case {
    Case { name: name.into(), bytes: bytes.into(), expected: expected.to_vec(), ends: false }
}

/// One that breaks off in the middle: a host must wait for the rest until it is told that there is none.
pub(super) fn cut(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Case {
    Case { ends: true, ..case(name, bytes, &[400, 0]) }
}

/// With a body, and a head that ends the connection.
pub(super) fn request(method: &str, target: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n");
    [head.as_bytes(), body].concat()
}

/// Sends it, and gives the statuses of all that comes back until the host closes.
pub(super) fn statuses(host: &Host, bytes: &[u8], ends: bool) -> Vec<u16> {
    let mut stream = TcpStream::connect(host.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // The host may have answered and closed before all was sent.
    let _ = stream.write_all(bytes);
    if ends {
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let found: Vec<u16> =
        answer.match_indices("HTTP/1.").filter_map(|(at, _)| answer[at..].split(' ').nth(1)?.parse().ok()).collect();
    if found.is_empty() { vec![0] } else { found }
}

/// An id in a path, what its status is answered with, and what a start with it is answered with.
const IDS: &[(&str, u16, u16)] = &[
    ("..", 404, 202),
    ("%2e%2e", 404, 202),
    (".", 404, 202),
    ("...", 404, 202),
    ("%2e%2e%2fetc%2fpasswd", 404, 400),
    ("a%2fb", 404, 400),
    ("a%2Fb", 404, 400),
    ("a%5cb", 404, 400),
    ("a%3fb", 404, 400),
    ("a%23b", 404, 400),
    ("%00", 404, 400),
    ("a%00b", 404, 400),
    ("%0a", 404, 400),
    ("a%0d%0aX-Evil:%201", 404, 400),
    ("%7f", 404, 400),
    ("%c2%80", 404, 400),
    ("@entity@key", 404, 400),
    ("%40entity", 404, 400),
    ("%ff", 400, 400),
    ("%c3%28", 400, 400),
    ("%ed%a0%80", 400, 400),
    ("%f0%9f%92", 400, 400),
    ("%", 404, 202),
    ("%zz", 404, 202),
    ("%2", 404, 202),
    ("%u0041", 404, 202),
    ("%20", 404, 202),
    ("'%20or%201=1--", 404, 202),
    ("%22%3b%20drop%20table%20instance%3b", 404, 202),
    ("%3cscript%3e", 404, 202),
    ("%F0%9F%98%80", 404, 202),
    ("e%CC%81", 404, 202),
    ("%E2%80%AE", 404, 202),
    ("*", 404, 202),
    ("{instanceId}", 404, 202),
    ("${jndi:ldap:evil}", 404, 202),
];

fn ids() -> Vec<Case> {
    let long: String = "a".repeat(10_240);
    let most: String = "a".repeat(256);
    let longer: String = "a".repeat(257);
    let wide: String = "%C3%A9".repeat(129);
    let further = [(&*long, 404, 400), (&*longer, 404, 400), (&*wide, 404, 400), (&*most, 404, 202)];
    let mut cases = Vec::new();
    for (id, status, start) in IDS.iter().copied().chain(further) {
        let shown = &id[..id.len().min(24)];
        // What a start must not keep, a start of an orchestrator that there is not keeps neither.
        let start = if start == 202 { 400 } else { start };
        let instance = format!("{BASE}/instances/{id}");
        cases.push(case(format!("status of {shown}"), request("GET", &instance, "", b""), &[status]));
        let raise = format!("{instance}/raiseEvent/Go");
        cases.push(case(
            format!("event for {shown}"),
            request("POST", &raise, "Content-Type: application/json\r\n", b"1"),
            &[status],
        ));
        cases.push(case(format!("purge of {shown}"), request("DELETE", &instance, "", b""), &[status]));
        let path = format!("{BASE}/orchestrators/Nobody/{id}");
        cases.push(case(format!("start as {shown}"), request("POST", &path, "", b""), &[start]));
    }
    for (id, _, start) in IDS.iter().filter(|(_, _, start)| *start == 400) {
        let path = format!("{BASE}/orchestrators/Echo/{id}");
        cases.push(case(format!("real start as {id}"), request("POST", &path, "", b""), &[*start]));
    }
    cases
}

fn queries() -> Vec<Case> {
    let list = |query: &str, expected: u16| {
        case(format!("list ?{query}"), request("GET", &format!("{BASE}/instances?{query}"), "", b""), &[expected])
    };
    let mut cases: Vec<Case> = [
        "showInput=maybe",
        "showInput=true&showInput=no",
        "top=0",
        "top=-1",
        "top=1e9",
        "top=99999999999999999999",
        "top=%31%00",
        "runtimeStatus=Nope",
        "runtimeStatus=Running,,Nope",
        "createdTimeFrom=yesterday",
        "createdTimeFrom=2025-13-01T00:00:00Z",
        "createdTimeTo=-1",
        "createdTimeFrom=%ff",
    ]
    .iter()
    .map(|query| list(query, 400))
    .collect();
    for harmless in
        ["", "=", "===&&&", "&", "%ff=1", "a=%zz", "showInput", "showInput=", "instanceIdPrefix=%ff", "top", "%00=%00"]
    {
        cases.push(list(harmless, 200));
    }
    for query in [
        "wait=-1",
        "wait=NaN",
        "wait=inf",
        "wait=1e300",
        "wait=soon",
        "showHistory=2",
        "returnInternalServerErrorOnFailure=x",
    ] {
        let target = format!("{BASE}/instances/there?{query}");
        cases.push(case(format!("status ?{query}"), request("GET", &target, "", b""), &[400]));
    }
    for query in [
        "timeout=-1",
        "timeout=1&pollingInterval=2",
        "timeout=x",
        "pollingInterval=-3",
        "timeout=1e99",
        "keyInLinks=x",
        "returnInternalServerErrorOnFailure=x",
    ] {
        let target = format!("{BASE}/orchestrators/Echo?{query}");
        cases.push(case(format!("start ?{query}"), request("POST", &target, "", b""), &[400]));
    }
    for query in ["", "createdTimeFrom=", "createdTimeTo=2030-01-01T00:00:00Z", "createdTimeFrom=soon"] {
        let target = format!("{BASE}/instances?{query}");
        cases.push(case(format!("purge ?{query}"), request("DELETE", &target, "", b""), &[400]));
    }
    for query in ["", "seconds=-1", "seconds=x", "seconds=1e30"] {
        cases.push(case(format!("skip ?{query}"), request("POST", &format!("/clock/skip?{query}"), "", b""), &[400]));
    }
    let token = |token: &str| format!("x-ms-continuation-token: {token}\r\n");
    for bad in ["zz", "-1", "ffffffffffffffffff", "0x10", "'"] {
        cases.push(case(
            format!("token {bad}"),
            request("GET", &format!("{BASE}/instances"), &token(bad), b""),
            &[400],
        ));
    }
    cases
}

fn bodies() -> Vec<Case> {
    let raise = format!("{BASE}/instances/there/raiseEvent/Other");
    let json = "Content-Type: application/json\r\n";
    let mut cases = Vec::new();
    let deep = "[".repeat(300);
    let bad: &[&[u8]] = &[
        b"{",
        b"tru",
        b"truex",
        b"nul",
        b"'a'",
        b"{'a':1}",
        b"1 2",
        b"[1,]",
        b"{\"a\":}",
        b"{\"a\" 1}",
        b"\"",
        b"\"\\x\"",
        b"\"\\ud800\"x",
        b"\"\xff\"",
        b"\xef\xbb\xbf1",
        b"NaN",
        b"Infinity",
        b"+1",
        b"01",
        b"1.",
        b".5",
        b"0x1",
        b"1e",
        b"undefined",
        b"<xml/>",
        b"a=b",
        b"\x00",
        b"\"\n\"",
        b"[1}",
        b"//1",
        b" ",
        deep.as_bytes(),
    ];
    for body in bad {
        let shown = String::from_utf8_lossy(&body[..body.len().min(12)]).into_owned();
        cases.push(case(format!("event {shown:?}"), request("POST", &raise, json, body), &[400]));
        let start = format!("{BASE}/orchestrators/Echo");
        cases.push(case(format!("input {shown:?}"), request("POST", &start, "", body), &[400]));
        cases.push(case(format!("migration {shown:?}"), request("POST", "/migrations", json, body), &[400]));
    }
    for media_type in [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/json-seq",
        "application/jsonx",
        "multipart/form-data",
    ] {
        let header = if media_type.is_empty() { String::new() } else { format!("Content-Type: {media_type}\r\n") };
        cases.push(case(format!("event as {media_type:?}"), request("POST", &raise, &header, b"1"), &[400]));
    }
    let large = vec![b' '; (1 << 20) + 1];
    cases.push(case("an event that is too large", request("POST", &raise, json, &large), &[413]));
    cases.push(case("no module", request("PUT", "/modules", "", b"\0asm\x01\0\0\0"), &[400]));
    cases.push(case("half a module", request("PUT", "/modules", "", b"\0asm\x0d\0\x01\0\x07\xff"), &[400]));
    cases.push(case("an empty module", request("PUT", "/modules", "", b""), &[400]));
    let long_name = format!("{BASE}/instances/there/raiseEvent/{}", "n".repeat(257));
    cases.push(case("a long event name", request("POST", &long_name, json, b"1"), &[400]));
    let key = |key: &str| format!("{json}Idempotency-Key: {key}\r\n");
    cases.push(case("a long key", request("POST", &raise, &key(&"k".repeat(300)), b"1"), &[400]));
    cases.push(case("an empty key", request("POST", &raise, &key(""), b"1"), &[400]));
    cases
}

fn framing() -> Vec<Case> {
    let target = format!("{BASE}/instances/there/raiseEvent/Other");
    let post = |headers: &str, body: &str| {
        format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n{body}")
            .into_bytes()
    };
    let both = |lengths: &str| {
        let target = format!("{BASE}/instances/nobody/raiseEvent/Other");
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
        );
        format!("{head}{lengths}\r\n1\r\n1\r\n0\r\n\r\n").into_bytes()
    };
    let many = "X-A: 1\r\n".repeat(70);
    let huge = format!("X-A: {}\r\n", "a".repeat(40 << 10));
    vec![
        case("two lengths", post("Content-Length: 1\r\nContent-Length: 2\r\n", "11"), &[400]),
        case("a list of lengths", post("Content-Length: 1, 2\r\n", "11"), &[400]),
        case("a negative length", post("Content-Length: -1\r\n", "1"), &[400]),
        case("a length in words", post("Content-Length: one\r\n", "1"), &[400]),
        case("a length with a sign", post("Content-Length: +1\r\n", "1"), &[400]),
        case("an endless length", post("Content-Length: 99999999999999999999999\r\n", "1"), &[400]),
        case("a length that is too large", post("Content-Length: 9999999999\r\nConnection: close\r\n", "1"), &[413]),
        cut("fewer bytes than were announced", post("Content-Length: 5\r\n", "1")),
        // Chunks it is then (RFC 9112, section 6.3): in either order, and what follows is no second request.
        case("a length and chunks", both("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), &[404]),
        case("chunks and a length", both("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n"), &[404]),
        case("an unknown encoding", post("Transfer-Encoding: gzip\r\n", "1"), &[400]),
        case("chunked is not the last", post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), &[400]),
        case("a chunk of no size", post("Transfer-Encoding: chunked\r\n", "zz\r\n1\r\n0\r\n\r\n"), &[400, 0]),
        cut("a chunk without end", post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff\r\n1")),
        case("a negative chunk", post("Transfer-Encoding: chunked\r\n", "-1\r\n1\r\n0\r\n\r\n"), &[400, 0]),
        cut("a chunk that ends early", post("Transfer-Encoding: chunked\r\n", "5\r\n1\r\n0\r\n\r\n")),
        cut("chunks that break off", post("Transfer-Encoding: chunked\r\n", "1\r\n1\r\n")),
        case("many headers", post(&many, ""), &[431]),
        case("a huge header", post(&huge, ""), &[431]),
        case("a space before the colon", post("X-A : 1\r\n", ""), &[400]),
        case("a folded header", post("X-A: 1\r\n 2\r\n", ""), &[400]),
        case("a header without a colon", post("X-A\r\n", ""), &[400]),
        case("a header without a name", post(": 1\r\n", ""), &[400]),
        case("a header with a zero byte", post("X-A: a\0b\r\n", ""), &[400]),
        case("a header name with a zero byte", post("X\0A: a\r\n", ""), &[400]),
        case("two hosts", request("GET", "/modules", "Host: evil.example\r\n", b""), &[400]),
        case("no host", b"GET /modules HTTP/1.1\r\nConnection: close\r\n\r\n".as_slice(), &[400]),
        case("an empty host", b"GET /modules HTTP/1.1\r\nHost: \r\nConnection: close\r\n\r\n".as_slice(), &[403]),
        case(
            "a host with a path",
            b"GET /modules HTTP/1.1\r\nHost: localhost/x\r\nConnection: close\r\n\r\n".as_slice(),
            &[403],
        ),
        case(
            "a foreign host",
            b"GET /modules HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".as_slice(),
            &[403],
        ),
        case("a foreign host in the target", request("GET", "http://evil.example/modules", "", b""), &[403]),
        case(
            "a foreign page",
            request("POST", &format!("{BASE}/orchestrators/Echo"), "Origin: http://evil.example\r\n", b"1"),
            &[403],
        ),
        case(
            "no page at all",
            request("POST", &format!("{BASE}/orchestrators/Echo"), "Origin: null\r\n", b"1"),
            &[403],
        ),
    ]
}

fn lines() -> Vec<Case> {
    let line = |line: &str| format!("{line}\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes();
    let long = format!("GET /{} HTTP/1.1", "a".repeat(70_000));
    let long_query = format!("GET {BASE}/instances?{} HTTP/1.1", "a=b&".repeat(6_000));
    let mut cases: Vec<Case> = ["PATCH", "TRACE", "OPTIONS", "HEAD", "get", "Post", "PROPFIND", "FOO", "-"]
        .iter()
        .map(|method| {
            case(format!("method {method}"), request(method, &format!("{BASE}/instances/there"), "", b""), &[404])
        })
        .collect();
    cases.extend([
        case("a method with a space", line("G T /modules HTTP/1.1"), &[400]),
        case("a method with a zero byte", line("G\0T /modules HTTP/1.1"), &[400]),
        case("no method", line(" /modules HTTP/1.1"), &[400]),
        case("no target", line("GET HTTP/1.1"), &[400]),
        case("a target of spaces", line("GET   HTTP/1.1"), &[400]),
        case("two spaces", line("GET  /modules HTTP/1.1"), &[400]),
        case("no version", line("GET /modules"), &[400]),
        case("version 2", line("GET /modules HTTP/2.0"), &[400]),
        case("version 1.2", line("GET /modules HTTP/1.2"), &[400]),
        case("version 9", line("GET /modules HTTP/9.9"), &[400]),
        case("version in small letters", line("GET /modules http/1.1"), &[400]),
        case("version 0.9", b"GET /modules\r\n".as_slice(), &[400]),
        case("the preface of version 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[400, 0]),
        cut("a greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice()),
        case("a greeting of SSH", b"SSH-2.0-OpenSSH_9.6\r\n".as_slice(), &[400]),
        cut("zero bytes", vec![0; 4096]),
        cut("nothing but line ends", b"\r\n\r\n\r\n\r\n".as_slice()),
        case("letters without an end", vec![b'A'; 100_000], &[431, 0]),
        case("a long target", line(&long), &[431]),
        case("a long query", line(&long_query), &[200]),
        case("an asterisk", line("OPTIONS * HTTP/1.1"), &[404]),
        case("an authority", line("CONNECT localhost:80 HTTP/1.1"), &[404]),
        case("a target without a slash", line("GET modules HTTP/1.1"), &[404]),
        case("a target that is no URL", line("GET :// HTTP/1.1"), &[400]),
        case("a fragment", line("GET /nothing#x HTTP/1.1"), &[404]),
        case(
            "a target with raw bytes",
            b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".as_slice(),
            &[400],
        ),
        case("a target with a tab", line("GET /mod\tules HTTP/1.1"), &[400]),
        case("backslashes", line("GET \\modules HTTP/1.1"), &[400]),
        case("a way up", line(&format!("GET {BASE}/../../modules HTTP/1.1")), &[404]),
        case("a way up in the page", line("GET /docs/..%2f..%2fetc%2fpasswd HTTP/1.1"), &[404]),
        case("a way up in a module", line("DELETE /modules/..%2f HTTP/1.1"), &[404]),
        case("a way up in a module, with a lock", line("DELETE /modules/keys.json HTTP/1.1"), &[404]),
        case("double slashes", line(&format!("GET {BASE}//instances HTTP/1.1")), &[404]),
        case("doubled slashes in front", line("GET //modules HTTP/1.1"), &[404]),
        case("an entity", line(&format!("GET {BASE}/entities/a/b HTTP/1.1")), &[501]),
        case(
            "two requests, one of them bad",
            [request_kept("GET", "/healthz"), request("GET", "/nothing", "", b"")].concat(),
            &[200, 404],
        ),
        case(
            "three requests at once",
            [request_kept("GET", "/healthz"), request_kept("GET", "/nothing"), request("GET", "/healthz", "", b"")]
                .concat(),
            &[200, 404, 200],
        ),
        case(
            "a request behind a broken one",
            [b"BROKEN\r\n\r\n".to_vec(), request("GET", "/healthz", "", b"")].concat(),
            &[400],
        ),
        case("version 1.0", b"GET /healthz HTTP/1.0\r\n\r\n".as_slice(), &[200]),
        case("version 1.0 for nothing", b"GET /nothing HTTP/1.0\r\n\r\n".as_slice(), &[404]),
    ]);
    cases
}

/// One after which the connection stays open.
pub(super) fn request_kept(method: &str, target: &str) -> Vec<u8> {
    format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

/// All that is kept, as far as it can be seen.
pub(super) fn kept(host: &Host) -> Vec<String> {
    vec![host.get(&format!("{BASE}/instances")).body, host.details("there").to_string(), host.get("/modules").body]
}

/// Sends them all, and shows those that are not answered as they should be.
pub(super) fn check(host: &Host, cases: &[Case]) {
    let mut wrong = Vec::new();
    for Case { name, bytes, expected, ends } in cases {
        let found = statuses(host, bytes, *ends);
        // Several requests have several answers; of one request any of the statuses that are given is right.
        let is_right = if found.len() == 1 { expected.contains(&found[0]) } else { found == *expected };
        if !is_right {
            wrong.push(format!("{name}: {found:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn what_no_good_client_sends_is_refused_and_not_kept() {
    let host = Fresh::start();
    host.post(&format!("{BASE}/orchestrators/BudgetApproval/there"), "null");
    host.waits_for("there", &["Approval"]);
    let before = kept(&host);
    let cases: Vec<Case> = [ids(), queries(), bodies(), framing(), lines()].into_iter().flatten().collect();
    assert!(cases.len() >= 300, "{}", cases.len());
    check(&host, &cases);
    assert_eq!(kept(&host), before);
    assert_eq!(host.get("/healthz").status, 200);
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

#[test]
fn who_sends_too_slowly_is_dropped() {
    let host = Fresh::with(|settings| settings.argument("--client-time=1s"));
    host.post(&format!("{BASE}/orchestrators/BudgetApproval/there"), "null");
    host.waits_for("there", &["Approval"]);
    let target = format!("{BASE}/instances/there/raiseEvent/Approval");
    let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n");
    for (what, sent, expected) in [
        ("nothing", String::new(), vec![0]),
        ("half a line", "POST /runt".to_owned(), vec![0]),
        ("half a head", head.clone(), vec![0]),
        ("half a body", format!("{head}Content-Length: 4\r\n\r\ntr"), vec![408]),
        ("half a chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\ntr"), vec![408]),
        ("a chunk and no more", format!("{head}Transfer-Encoding: chunked\r\n\r\n4\r\ntrue\r\n"), vec![408]),
    ] {
        let mut stream = TcpStream::connect(host.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        assert!(expected.contains(&status), "{what}: {answer}");
    }
    assert_eq!(host.details("there")["bufferedEvents"], serde_json::json!([]));
    host.raise("there", "Approval", "true");
    assert_eq!(host.output("there"), "approval granted");
}

/// Each holds a connection as long as it may: nobody else may notice.
#[test]
fn two_thousand_who_stall_do_not_slow_others() {
    let host = Fresh::start();
    let stalled: Vec<TcpStream> = (0..2_000)
        .map(|number| {
            let mut stream = TcpStream::connect(host.address()).unwrap();
            let half =
                format!("POST {BASE}/orchestrators/Echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n1");
            stream.write_all(if number % 2 == 0 { b"POST /run" } else { half.as_bytes() }).unwrap();
            stream
        })
        .collect();
    let begun = Instant::now();
    for number in 0..20 {
        let id = host.start("Echo", &number.to_string());
        assert_eq!(host.output(&id), number);
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(stalled);
}
