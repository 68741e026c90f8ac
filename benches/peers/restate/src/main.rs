//! `peer-restate SERVICE-PORT ASIDE-PORT`: the benchmark's workload as a Restate service. A call of `Bench/wait` makes an awakeable and
//! returns what it is resolved with. The load generator learns the awakeables' ids beside Restate: of the calls whose names begin with PREFIX,
//! `GET /count/PREFIX` answers how many wait, `GET /ids/PREFIX` a line `call awakeable` each.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{LazyLock, Mutex};

use restate_sdk::prelude::*;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

static WAITING: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

struct Bench;

#[restate_sdk::service]
impl Bench {
    #[handler]
    async fn wait(&self, ctx: Context<'_>, call: String) -> Result<String, HandlerError> {
        let (awakeable, resolved) = ctx.awakeable::<String>();
        WAITING.lock().unwrap().insert(call, awakeable);
        Ok(resolved.await?)
    }
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut ports = std::env::args().skip(1).map(|port| port.parse::<u16>().expect("two ports"));
    let (service, aside) = (ports.next().expect("SERVICE-PORT"), ports.next().expect("ASIDE-PORT"));
    let listener = TcpListener::bind(("127.0.0.1", aside)).await?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    let endpoint = Endpoint::builder().bind(Bench).build();
    HttpServer::new(endpoint).listen_and_serve(([127, 0, 0, 1], service).into()).await;
    Ok(())
}

/// Answers requests without a body on one connection.
async fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    loop {
        if stream.read_line(&mut head).await? == 0 {
            return Ok(());
        }
        if !head.ends_with("\r\n\r\n") {
            continue;
        }
        let path = head.split(' ').nth(1).unwrap_or_default();
        let body = match path.strip_prefix("/count/") {
            Some(prefix) => WAITING.lock().unwrap().keys().filter(|call| call.starts_with(prefix)).count().to_string(),
            None => ids(path.strip_prefix("/ids/").unwrap_or_default()),
        };
        head.clear();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.get_mut().write_all(answer.as_bytes()).await?;
    }
}

fn ids(prefix: &str) -> String {
    let mut text = String::new();
    for (call, awakeable) in WAITING.lock().unwrap().iter().filter(|(call, _)| call.starts_with(prefix)) {
        let _ = writeln!(text, "{call} {awakeable}");
    }
    text
}
