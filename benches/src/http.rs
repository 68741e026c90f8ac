//! A keep-alive HTTP/1.1 client that costs little: requests are bytes made beforehand, and of an answer only status and length are read.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Answer<'a> {
    pub status: u16,
    /// As it came: a chunked body with its chunk heads.
    pub body: &'a [u8],
}

impl Answer<'_> {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.body).into_owned()
    }

    pub fn contains(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// An error that shows the answer, unless it is a 2xx.
    pub fn succeeded(&self) -> Result<()> {
        ensure!((200..300).contains(&self.status), "answered with {}: {}", self.status, self.text());
        Ok(())
    }
}

/// The bytes of a request; with a body it is JSON.
pub fn request(method: &str, host: SocketAddr, path: &str, body: Option<&str>) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    if let Some(body) = body {
        text += &format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    text += body.unwrap_or_default();
    text.into_bytes()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Connection> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens on {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a request and reads its answer whole.
    pub async fn send(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        let head = loop {
            self.read().await?;
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
        };
        let end = loop {
            if let Some(end) = head.end_of_body(&self.buffer)? {
                break end;
            }
            self.read().await?;
        };
        Ok(Answer { status: head.status, body: &self.buffer[head.len..end] })
    }

    async fn read(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        ensure!(read > 0, "the connection ended within an answer");
        Ok(())
    }
}

struct Head {
    status: u16,
    /// Bytes up to the body.
    len: usize,
    body: Body,
}

enum Body {
    Sized(usize),
    Chunked,
}

impl Head {
    /// None while it is not whole.
    fn parse(bytes: &[u8]) -> Result<Option<Head>> {
        let Some(len) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&bytes[..len]).context("a head is text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
        let mut head = Head { status: status.context("an answer has a status")?, len: len + 4, body: Body::Sized(0) };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                head.body = Body::Sized(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.body = Body::Chunked;
            }
        }
        Ok(Some(head))
    }

    /// None while it is not there.
    fn end_of_body(&self, bytes: &[u8]) -> Result<Option<usize>> {
        let mut at = match self.body {
            Body::Sized(length) => return Ok((bytes.len() >= self.len + length).then_some(self.len + length)),
            Body::Chunked => self.len,
        };
        loop {
            let Some(line) = bytes.get(at..).and_then(|rest| find(rest, b"\r\n")) else { return Ok(None) };
            let size =
                usize::from_str_radix(std::str::from_utf8(&bytes[at..at + line])?, 16).context("a chunk's size")?;
            at += line + 2 + size + 2;
            if size == 0 {
                return Ok((bytes.len() >= at).then_some(at));
            }
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
