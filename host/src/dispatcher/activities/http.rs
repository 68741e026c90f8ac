//! Activities that an HTTP endpoint serves: `POST` with the input as JSON. 2xx is the result, as JSON; 4xx a failure that trying again can not
//! help, but for 408 and 429, which say to come back; anything else one that it can. No redirect is followed.

use std::time::Duration;

use bytes::Bytes;
use fermata_replay::{Failure, Outcome, Payload, kind};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::limits;
use crate::outbound::resolve::{OfEndpoints, Resolver};
use crate::store::Activity;

/// Keeps connections open for the next call.
pub(super) struct Endpoints {
    client: Client<HttpConnector<OfEndpoints>, Full<Bytes>>,
}

impl Endpoints {
    pub fn new(resolver: Resolver) -> Endpoints {
        let mut connector = HttpConnector::new_with_resolver(OfEndpoints(resolver));
        connector.set_connect_timeout(Some(limits::ENDPOINT_CONNECT_TIME));
        connector.set_nodelay(true);
        Endpoints { client: Client::builder(TokioExecutor::new()).build(connector) }
    }

    /// One call. Whatever comes of it is an outcome of the activity. Dropping it closes the connection, which is all that an endpoint is told
    /// when nobody waits for it any more.
    pub async fn call(&self, url: &Uri, activity: &Activity, task_key: &str) -> Outcome {
        let limit = activity.timeout.map_or(limits::ENDPOINT_TIME, Duration::from_micros);
        match tokio::time::timeout(limit, self.exchange(url, activity, task_key)).await {
            Ok(Ok(output)) => Outcome::Succeeded(output),
            Ok(Err(failure)) => Outcome::Failed(failure),
            Err(_) => {
                let message = format!("{url} did not answer within {} s", limit.as_secs_f32());
                Outcome::Failed(Failure::new(kind::TIMEOUT, message))
            }
        }
    }

    async fn exchange(&self, url: &Uri, activity: &Activity, task_key: &str) -> Result<Payload, Failure> {
        let request = Request::post(url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", task_key)
            .header("Fermata-Attempt", activity.attempt)
            .header("Fermata-Activity", percent_encoding(&activity.name))
            .header("Fermata-Instance-Id", percent_encoding(&activity.instance_id))
            .body(Full::from(activity.input.clone()))
            .map_err(|error| Failure::new(kind::UNAVAILABLE, format!("{url} can not be called: {error}")))?;
        let unreachable = |error: &dyn std::error::Error| {
            Failure::new(kind::UNAVAILABLE, format!("{url} can not be reached: {}", chain(error)))
        };
        let answer = self.client.request(request).await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), limits::ENDPOINT_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| match error.is::<LengthLimitError>() {
            true => Failure::new(
                kind::LIMIT,
                format!("the answer of {url} is larger than {} bytes", limits::ENDPOINT_ANSWER_BYTES),
            )
            .non_retryable(),
            false => unreachable(&*error),
        })?;
        result(url, status, &body.to_bytes())
    }
}

fn result(url: &Uri, status: StatusCode, body: &[u8]) -> Result<Payload, Failure> {
    let text = String::from_utf8_lossy(body);
    if status.is_success() {
        if text.trim().is_empty() {
            return Ok(Payload::null());
        }
        return Payload::parse(&text)
            .map_err(|error| Failure::new(kind::PAYLOAD, format!("the answer of {url} is {error}")).non_retryable());
    }
    let comes_back = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    let failure = Failure {
        error_type: error_type(&text),
        details: text.chars().take(limits::ENDPOINT_DETAIL_CHARS).collect(),
        ..Failure::new(kind::UNAVAILABLE, format!("{url} answered {status}"))
    };
    match status.is_client_error() && !comes_back {
        true => Err(Failure { kind: kind::APPLICATION.into(), ..failure }.non_retryable()),
        false => Err(failure),
    }
}

/// An endpoint may name its error, so that an orchestrator can branch on it: `{"errorType": "OutOfStock"}`.
fn error_type(body: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Named {
        #[serde(rename = "errorType")]
        error_type: String,
    }
    serde_json::from_str::<Named>(body).map(|named| named.error_type).unwrap_or_default()
}

/// Ids and names may hold what a header can not.
fn percent_encoding(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::CONTROLS).to_string()
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::outbound::Outbound;
    use crate::outbound::resolve::tests::stub;

    fn outcome(status: u16, body: &str) -> Result<String, (String, String, bool)> {
        let url = "http://localhost/charge".parse().unwrap();
        result(&url, StatusCode::from_u16(status).unwrap(), body.as_bytes())
            .map(|payload| payload.as_str().to_owned())
            .map_err(|failure| (failure.kind, failure.error_type, failure.non_retryable))
    }

    /// Answers every request so, and counts the connections.
    async fn service(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (port, connections)
    }

    async fn call(endpoints: &Endpoints, url: &str) -> Outcome {
        let text = || "x".to_owned();
        let (instance_id, execution, module, name, input) = (text(), text(), text(), text(), "null".to_owned());
        let activity =
            Activity { key: 1, instance_id, execution, module, task: 0, name, input, attempt: 1, timeout: None };
        endpoints.call(&url.parse().unwrap(), &activity, "key").await
    }

    fn message(outcome: Outcome) -> String {
        match outcome {
            Outcome::Failed(failure) => failure.message,
            other => panic!("{other:?}"),
        }
    }

    /// A name that leads elsewhere the next time (DNS rebinding) leads nowhere: it is looked up once for a connection.
    #[tokio::test]
    async fn what_was_checked_is_what_is_connected_to() {
        const CLOSING: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n1";
        let (port, connections) = service(CLOSING).await;
        let names: &[(&str, &[&str])] = &[("charge.internal", &["127.0.0.1", "169.254.169.254"])];
        let (resolver, stub) = stub(Outbound::default(), names);
        let endpoints = Endpoints::new(resolver);
        let url = format!("http://charge.internal:{port}/");
        assert_eq!(call(&endpoints, &url).await, Outcome::Succeeded(Payload::parse("1").unwrap()));
        assert_eq!((stub.look_ups.load(Ordering::SeqCst), connections.load(Ordering::SeqCst)), (1, 1));
        let refused = message(call(&endpoints, &url).await);
        assert!(refused.contains("169.254.169.254, which is where a cloud tells its secrets"), "{refused}");
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn no_redirect_is_followed() {
        let (aim, connections) = service("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").await;
        for status in ["301", "302", "303", "307", "308"] {
            let answer =
                format!("HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:{aim}/\r\nContent-Length: 0\r\n\r\n");
            let (port, _) = service(answer.leak()).await;
            let endpoints = Endpoints::new(stub(Outbound::default(), &[]).0);
            let message = message(call(&endpoints, &format!("http://127.0.0.1:{port}/")).await);
            assert!(message.contains(status), "{message}");
        }
        assert_eq!(connections.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn what_an_answer_comes_to() {
        let failed = |kind: &str, error_type: &str, final_| Err((kind.to_owned(), error_type.to_owned(), final_));
        assert_eq!(outcome(200, " {\"a\": 1} "), Ok("{\"a\": 1}".to_owned()));
        assert_eq!(outcome(204, ""), Ok("null".to_owned()));
        assert_eq!(outcome(200, "<html>"), failed("payload", "", true));
        assert_eq!(outcome(404, "nothing"), failed("application", "", true));
        assert_eq!(outcome(422, "{\"errorType\":\"OutOfStock\"}"), failed("application", "OutOfStock", true));
        assert_eq!(outcome(429, ""), failed("unavailable", "", false));
        assert_eq!(outcome(408, ""), failed("unavailable", "", false));
        assert_eq!(outcome(500, "{\"errorType\":\"Busy\"}"), failed("unavailable", "Busy", false));
        assert_eq!(outcome(302, ""), failed("unavailable", "", false));
    }
}
