//! Requests that two programs on the way could read in two ways: where one ends and the next begins. Each is read as RFC 9112 says, or refused,
//! and the connection is closed whenever somebody in front may have read it otherwise: no case has an answer for what was hidden in it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tests::{BASE, Host, PATIENCE};

use crate::Fresh;
use crate::hostile::{Case, case, check, cut, kept, request, request_kept, statuses};

/// An event for an instance that there is not, so that nothing is kept of one that is let through: 404 then. The connection may be kept.
fn post(headers: &str, body: &str) -> Vec<u8> {
    let target = format!("{BASE}/instances/nobody/raiseEvent/Go");
    let head = format!("POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}\r\n");
    [head.as_bytes(), body.as_bytes()].concat()
}

/// What is hidden: were it read as a request, it would be answered with 200, and end the connection.
fn hidden() -> String {
    String::from_utf8(request("GET", "/healthz", "", b"")).unwrap()
}

fn two_lengths() -> Vec<Case> {
    let hidden = hidden();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let of_hidden = format!("Content-Length: {}\r\n", hidden.len());
    vec![
        // Chunks it is, whatever the length says (RFC 9112, section 6.3); then the connection ends, for a proxy may have gone by the length.
        case(
            "a length, then chunks",
            post(&format!("{of_hidden}{chunked}"), &format!("1\r\n1\r\n0\r\n\r\n{hidden}")),
            &[404],
        ),
        case(
            "chunks, then a length",
            post(&format!("{chunked}{of_hidden}"), &format!("1\r\n1\r\n0\r\n\r\n{hidden}")),
            &[404],
        ),
        case(
            "a length of zero and chunks",
            post(&format!("Content-Length: 0\r\n{chunked}"), &format!("1\r\n1\r\n0\r\n\r\n{hidden}")),
            &[404],
        ),
        case("chunks alone", post(chunked, &format!("1\r\n1\r\n0\r\n\r\n{hidden}")), &[404]),
        case(
            "the same length twice",
            post("Connection: close\r\nContent-Length: 1\r\nContent-Length: 1\r\n", "1"),
            &[404, 400],
        ),
        case("the same length in a list", post("Content-Length: 1, 1\r\n", "1"), &[400]),
        case("another length", post("Content-Length: 1\r\nContent-Length: 0\r\n", &hidden), &[400]),
        case("zeros in front of a length", post("Connection: close\r\nContent-Length: 0001\r\n", "1"), &[404]),
        case("an empty length", post("Content-Length: \r\n", "1"), &[400]),
        case("a length in hexadecimal digits", post("Content-Length: 0x1\r\n", "1"), &[400]),
        case("a length with a fraction", post("Content-Length: 1.0\r\n", "1"), &[400]),
        case("a length with a space", post("Content-Length: 1 1\r\n", "1"), &[400]),
        case("a length of 2^64", post("Content-Length: 18446744073709551616\r\n", "1"), &[400]),
        case("chunks in version 1.0", format!("POST /x HTTP/1.0\r\n{chunked}\r\n0\r\n\r\n").into_bytes(), &[400]),
    ]
}

fn encodings() -> Vec<Case> {
    let of = |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), &format!("0\r\n\r\n{}", hidden()));
    let mut cases: Vec<Case> =
        ["identity", "xchunked", "chunkedx", "chunked;q=1", "\"chunked\"", "chunked, identity", "", ",", "chun\tked"]
            .iter()
            .map(|value| case(format!("the encoding {value:?}"), of(value), &[400]))
            .collect();
    cases.extend([
        case("the encoding in capitals", of("CHUNKED"), &[404]),
        case("the encoding behind a tab", of("\tchunked"), &[404]),
        case("gzip, which nobody takes off, then chunks", of("gzip, chunked"), &[404, 400]),
        case(
            "two encodings",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
            &[400],
        ),
        case("a space behind the name", post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), &[400]),
        case("a name in front of a line end", post("Transfer-Encoding\r\n : chunked\r\n", "0\r\n\r\n"), &[400]),
        case("a folded encoding", post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"), &[400]),
    ]);
    cases
}

fn chunks() -> Vec<Case> {
    let of = |body: &str| post("Transfer-Encoding: chunked\r\n", &format!("{body}{}", hidden()));
    let mut cases: Vec<Case> = [
        "0x1\r\n1\r\n0\r\n\r\n",
        "+1\r\n1\r\n0\r\n\r\n",
        " 1\r\n1\r\n0\r\n\r\n",
        "1 1\r\n1\r\n0\r\n\r\n",
        "1\r\n12\r\n0\r\n\r\n",
        "1\r\n1\n0\r\n\r\n",
        "\r\n1\r\n1\r\n0\r\n\r\n",
        "1_0\r\n1\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n1\r\n0\r\n\r\n",
        "10000000000000000\r\n1\r\n0\r\n\r\n",
        "1;a\nb\r\n1\r\n0\r\n\r\n",
        "1\n1\r\n0\r\n\r\n",
        "1\r1\r\n0\r\n\r\n",
    ]
    .iter()
    .map(|body| Case { ends: true, ..case(format!("the chunks {body:?}"), of(body), &[400, 413, 0]) })
    .collect();
    let long_extension = format!("1;{}\r\n1\r\n0\r\n\r\n", "a".repeat(64 << 10));
    let many_trailers = format!("1\r\n1\r\n0\r\n{}\r\n", "X-A: 1\r\n".repeat(10_000));
    cases.extend([
        case("an extension of a chunk", of("1;a=b\r\n1\r\n0\r\n\r\n"), &[404]),
        case("an endless extension", of(&long_extension), &[400, 0]),
        case("endless trailers", of(&many_trailers), &[400, 0]),
        case("a trailer that is a length", of("1\r\n1\r\n0\r\nContent-Length: 99\r\n\r\n"), &[404]),
        case("a trailer that is a host", of("1\r\n1\r\n0\r\nHost: evil.example\r\n\r\n"), &[404]),
        case("a body by way of many small chunks", of(&format!("{}0\r\n\r\n", "1\r\n1\r\n".repeat(20_000))), &[404]),
    ]);
    cases
}

fn line_ends() -> Vec<Case> {
    let raw = |text: &str| text.as_bytes().to_vec();
    vec![
        // A line may end without a carriage return (section 2.2): all that we know of read it so.
        case("line feeds alone", raw("GET /healthz HTTP/1.1\nHost: localhost\nConnection: close\n\n"), &[200]),
        case("carriage returns alone", raw("GET /healthz HTTP/1.1\rHost: localhost\r\r\n\r\n"), &[400]),
        case("a carriage return in a value", post("X-A: 1\rX-B: 2\r\n", ""), &[400]),
        case(
            "a line feed in a value, which hides a length",
            post("X-A: 1\nContent-Length: 0\r\nContent-Length: 1\r\n", "1"),
            &[400],
        ),
        case("two carriage returns", raw("GET /healthz HTTP/1.1\r\r\nHost: localhost\r\n\r\n"), &[400]),
        case("a space in front of the first header", raw("GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n"), &[400]),
        case("a folded header of two lines", post("X-A: 1\r\n\tContent-Length: 5\r\n", ""), &[400]),
        case(
            "an empty line in front",
            raw("\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
            &[200],
        ),
        cut("a head that ends in its middle", raw("GET /healthz HTTP/1.1\r\nHost: loc")),
        case(
            "a body where none was announced",
            [request_kept("GET", "/healthz"), b"{\"a\":1}\r\n\r\n".to_vec()].concat(),
            &[200, 400],
        ),
        case("a body of GET that is a request", get_with_body(), &[404, 200]),
        case(
            "an expectation of nothing known",
            post("Expect: a-miracle\r\nContent-Length: 1\r\nConnection: close\r\n", "1"),
            &[404, 417],
        ),
        case("an upgrade", request("GET", "/healthz", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", b""), &[200]),
    ]
}

/// The body is what the length says, a request as it may look; the one behind it is answered.
fn get_with_body() -> Vec<u8> {
    let body = hidden();
    let head = format!("GET /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.into_bytes(), body.into_bytes(), request("GET", "/healthz", "", b"")].concat()
}

#[test]
fn no_request_is_hidden_in_another_one() {
    let host = Fresh::start();
    host.post(&format!("{BASE}/orchestrators/BudgetApproval/there"), "null");
    host.waits_for("there", &["Approval"]);
    let before = kept(&host);
    let cases: Vec<Case> = [two_lengths(), encodings(), chunks(), line_ends()].into_iter().flatten().collect();
    assert!(cases.len() >= 60, "{}", cases.len());
    check(&host, &cases);
    assert_eq!(kept(&host), before);
    assert!(!host.log().contains("panicked"), "{}", host.log());
}

/// Each is answered in its turn, and nothing of what comes behind the last one is kept.
#[test]
fn a_thousand_requests_that_nobody_waits_for_are_answered_in_order() {
    let host = Fresh::start();
    let flood: Vec<u8> =
        (0..1_000).flat_map(|n| request_kept("GET", if n % 2 == 0 { "/healthz" } else { "/nothing" })).collect();
    let found = statuses(&host, &[flood, request("GET", "/modules", "", b"")].concat(), false);
    let expected: Vec<u16> = (0..1_000).map(|n| if n % 2 == 0 { 200 } else { 404 }).chain([200]).collect();
    assert_eq!(found, expected);
}

/// Sends these bytes, and some more from time to time, until the host closes; all that it says.
fn trickle(host: &Host, first: &[u8], drop: &[u8]) -> String {
    let mut stream = TcpStream::connect(host.address()).unwrap();
    let mut reader = stream.try_clone().unwrap();
    reader.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(first).unwrap();
    let answer = std::thread::spawn(move || {
        let mut answer = Vec::new();
        let ended = reader.read_to_end(&mut answer);
        let is_open = ended.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(!is_open, "the host waits on");
        String::from_utf8_lossy(&answer).into_owned()
    });
    // It fails when the host has closed: that it does ends the test.
    while !answer.is_finished() && stream.write_all(drop).is_ok() {
        std::thread::sleep(Duration::from_millis(20));
    }
    answer.join().unwrap()
}

#[test]
fn who_sends_a_byte_from_time_to_time_gains_no_time() {
    let host = Fresh::with(|settings| settings.argument("--client-time=1s"));
    let head = format!("POST {BASE}/orchestrators/Echo HTTP/1.1\r\nHost: localhost\r\n");
    for (what, first, drop, expected) in [
        ("a head", head.clone(), "a", ""),
        ("headers", head.clone(), "X-A: 1\r\n", ""),
        ("a body", format!("{head}Content-Length: 100000\r\n\r\n"), "1", "408"),
        ("chunks", format!("{head}Transfer-Encoding: chunked\r\n\r\n"), "1\r\n1\r\n", "408"),
        ("an extension of a chunk", format!("{head}Transfer-Encoding: chunked\r\n\r\n1;"), "a", "408"),
        ("trailers", format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\n1\r\n0\r\n"), "X-A: 1\r\n", "408"),
    ] {
        let answer = trickle(&host, first.as_bytes(), drop.as_bytes());
        assert_eq!(answer.split(' ').nth(1).unwrap_or_default(), expected, "{what}: {answer}");
    }
    // A connection that has been answered is kept as long, and no longer.
    let idle = trickle(&host, &request_kept("GET", "/healthz"), b"");
    assert!(idle.starts_with("HTTP/1.1 200"), "{idle}");
}
