//! Asks a host: one request, one connection.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::http::uri::Scheme;
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::failure::{Exit, Failure};

const CONNECT_TIME: Duration = Duration::from_secs(5);
/// The upload of a large module, and its compilation, fit in here.
const ANSWER_TIME: Duration = Duration::from_secs(120);

pub struct Client {
    url: String,
    host: String,
    port: u16,
    authority: String,
    key: Option<HeaderValue>,
}

/// An answer with a status of success.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// `key`: what the host lets in; none for one that needs none.
    pub fn new(url: &str, key: Option<&str>) -> Result<Client, Failure> {
        let wrong = |why: &str| Failure::new(Exit::Usage, anyhow!("the URL {url:?} {why}"));
        let uri: Uri = url.parse().map_err(|_| wrong("is not valid"))?;
        let authority = uri.authority().ok_or_else(|| wrong("names no host: write http://HOST:PORT"))?;
        if uri.scheme() != Some(&Scheme::HTTP) {
            return Err(wrong("is not supported: write http://HOST:PORT"));
        }
        if !matches!(uri.path(), "" | "/") {
            return Err(wrong("has a path: write http://HOST:PORT alone"));
        }
        let no_key = |_| Failure::new(Exit::Usage, anyhow!("the key holds characters that no key has"));
        Ok(Client {
            key: key.map(HeaderValue::try_from).transpose().map_err(no_key)?,
            url: url.to_owned(),
            // An IPv6 address stands in brackets in a URL, and nowhere else.
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(80),
            authority: authority.to_string(),
        })
    }

    pub async fn get(&self, path: &str) -> Result<Reply, Failure> {
        self.send(self.request(Method::GET, path, Bytes::new())?).await
    }

    pub async fn post(&self, path: &str, body: Bytes) -> Result<Reply, Failure> {
        let mut request = self.request(Method::POST, path, body)?;
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.send(request).await
    }

    pub async fn put(&self, path: &str, body: Bytes) -> Result<Reply, Failure> {
        self.send(self.request(Method::PUT, path, body)?).await
    }

    pub async fn delete(&self, path: &str) -> Result<Reply, Failure> {
        self.send(self.request(Method::DELETE, path, Bytes::new())?).await
    }

    pub fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::builder().method(method).uri(path).header(HOST, &self.authority);
        if let Some(key) = &self.key {
            request = request.header("x-functions-key", key);
        }
        Ok(request.body(Full::new(body)).context("the request can not be made")?)
    }

    /// A refusal comes back as a failure.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, Failure> {
        let stream = self.connect().await?;
        let exchange = exchange(stream, request);
        let reply = match tokio::time::timeout(ANSWER_TIME, exchange).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                let error = anyhow::Error::from(error).context(format!("the host at {} did not answer", self.url));
                return Err(Failure::new(Exit::Unavailable, error).hint("the request may have taken effect"));
            }
            Err(_) => {
                let error = anyhow!("the host at {} did not answer within {} s", self.url, ANSWER_TIME.as_secs());
                return Err(Failure::new(Exit::Unavailable, error).hint("the request may have taken effect"));
            }
        };
        if reply.status.is_success() { Ok(reply) } else { Err(Failure::of_refusal(reply.status, &reply.body)) }
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let connecting = TcpStream::connect((&*self.host, self.port));
        let connected = match tokio::time::timeout(CONNECT_TIME, connecting).await {
            Ok(connected) => connected.map_err(anyhow::Error::from),
            Err(_) => Err(anyhow!("no connection within {} s", CONNECT_TIME.as_secs())),
        };
        connected.map_err(|error| {
            let error = error.context(format!("no host answers at {}", self.url));
            Failure::new(Exit::Unavailable, error)
                .hint("start one with `fermata serve`, or say where it is with --url or FERMATA_URL")
        })
    }
}

async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> hyper::Result<Reply> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Reply { status: head.status, headers: head.headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_hosts() {
        let client = Client::new("http://[::1]:7071/", None).unwrap();
        assert_eq!((&*client.host, client.port, &*client.authority), ("::1", 7071, "[::1]:7071"));
        assert_eq!(Client::new("http://example.org", None).unwrap().port, 80);
        for url in ["", "localhost:7071", "https://localhost", "http://localhost/api", "/"] {
            assert_eq!(Client::new(url, None).err().map(|failure| failure.exit()), Some(Exit::Usage), "{url}");
        }
    }
}
