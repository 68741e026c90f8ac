//! An HTTP endpoint that serves activities, in this process: it notes what it is asked, and answers as a test wants.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long it may take until the end of a connection that was given up arrives here.
const GIVES_UP: Duration = Duration::from_secs(2);

/// Its threads end with the process.
pub struct Endpoint {
    address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<Request>>,
    connections: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    hung_up: AtomicUsize,
    stayed: AtomicUsize,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What is answered, and how long that takes; none: the client is expected to have given up.
pub struct Answer {
    status: Option<u16>,
    body: String,
    delay: Duration,
}

impl Answer {
    pub fn new(status: u16, body: &str) -> Answer {
        Answer { status: Some(status), body: body.to_owned(), delay: Duration::ZERO }
    }

    /// None, for the client must have given up: one that has not is counted as one that [stayed](Endpoint::stayed).
    pub fn to_nobody() -> Answer {
        Answer { status: None, body: String::new(), delay: Duration::ZERO }
    }

    pub fn after(self, delay: Duration) -> Answer {
        Answer { delay, ..self }
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Endpoint {
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (kept, answer) = (seen.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (seen, answer) = (kept.clone(), answer.clone());
                seen.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    while serve(&stream, &seen, &*answer).is_some() {}
                    seen.connections.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Endpoint { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Waits until all who ever connected are gone, with all that they sent, and forgets their requests.
    pub fn drain(&self) {
        // Connections are accepted in order, so when this one is over none waits to be accepted.
        let mut last = TcpStream::connect(self.address).unwrap();
        last.shutdown(Shutdown::Write).unwrap();
        let _ = last.read(&mut [0]);
        crate::until("every connection ends", || (self.seen.connections.load(Ordering::SeqCst) == 0).then_some(()));
        self.seen.requests.lock().unwrap().clear();
    }

    /// How many requests were under way at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.seen.most_at_once.load(Ordering::SeqCst)
    }

    /// How many clients went away before they were answered.
    pub fn hung_up(&self) -> usize {
        self.seen.hung_up.load(Ordering::SeqCst)
    }

    /// How many clients waited for an answer although they were to have given up.
    pub fn stayed(&self) -> usize {
        self.seen.stayed.load(Ordering::SeqCst)
    }
}

/// One request of a connection; none where there are no more.
fn serve(stream: &TcpStream, seen: &Seen, answer: &dyn Fn(&Request) -> Answer) -> Option<()> {
    let request = read(&mut BufReader::new(stream))?;
    seen.requests.lock().unwrap().push(request.clone());
    let now = seen.at_once.fetch_add(1, Ordering::SeqCst) + 1;
    seen.most_at_once.fetch_max(now, Ordering::SeqCst);
    let Answer { status, body, delay } = answer(&request);
    std::thread::sleep(delay);
    seen.at_once.fetch_sub(1, Ordering::SeqCst);
    let Some(status) = status else {
        stream.set_read_timeout(Some(GIVES_UP)).ok()?;
        let waits = |error: std::io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        if (&*stream).read(&mut [0]).is_err_and(waits) {
            seen.stayed.fetch_add(1, Ordering::SeqCst);
        }
        return None;
    };
    // A client that is still there has nothing to say now; one that has gone has closed the connection.
    stream.set_nonblocking(true).ok()?;
    let gone = matches!(stream.peek(&mut [0]), Ok(0))
        || stream.peek(&mut [0]).is_err_and(|e| e.kind() != std::io::ErrorKind::WouldBlock);
    stream.set_nonblocking(false).ok()?;
    if gone {
        seen.hung_up.fetch_add(1, Ordering::SeqCst);
        return None;
    }
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nContent-Type: application/json\r\n\r\n", body.len());
    (&mut &*stream).write_all((head + &body).as_bytes()).ok()
}

fn read(stream: &mut BufReader<&TcpStream>) -> Option<Request> {
    let line = |stream: &mut BufReader<&TcpStream>| {
        let mut line = String::new();
        let length = stream.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim_end().to_owned())
    };
    let first = line(stream)?;
    let mut headers = Vec::new();
    loop {
        let line = line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { line: first, headers, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}
