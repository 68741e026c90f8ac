//! Connections: accepted, bounded in what they may cost, and finished before the host stops.
//!
//! The loop is our own because `axum::serve` 0.8 gives hyper no timer, so that a client which sends its head slowly holds a connection for
//! ever (tokio-rs/axum#3478).

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::error::ApiError;
use super::{Answer, Api};
use crate::dispatcher::Dispatcher;
use crate::limits::HttpLimits;

/// How long to wait when the system has no more to give, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of hyper's own, smaller than its defaults: a head, and what a connection buffers.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 32 << 10;
const BUFFER_BYTES: usize = 64 << 10;

/// Serves until `shutdown`, then finishes the requests under way and closes the dispatcher: what was acknowledged is durable, and nothing is
/// under way any more on return.
pub async fn serve(
    listener: TcpListener,
    dispatcher: Arc<Dispatcher>,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let http = http(&limits);
    let drain_time = limits.drain_time;
    let api = Arc::new(Api { dispatcher: dispatcher.clone(), limits, address: listener.local_addr()? });
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            stream = accept(&listener) => {
                let api = api.clone();
                let service = service_fn(move |request| {
                    let api = api.clone();
                    async move { Ok::<_, Infallible>(or_internal(api.answer(request)).await) }
                });
                connections.spawn(graceful.watch(http.serve_connection(TokioIo::new(stream), service)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    if tokio::time::timeout(drain_time, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests still under way after {} s are given up", drain_time.as_secs_f32());
    }
    connections.shutdown().await;
    dispatcher.close().await;
    Ok(())
}

fn http(limits: &HttpLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(HEADERS)
        .max_header_size(HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES);
    http
}

/// The next connection. An error never ends the loop, and never makes it spin.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small and complete: waiting for more to send only delays them.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) if is_of_client(&error) => {}
            Err(error) => {
                tracing::warn!("no connection can be accepted: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Whether one connection failed before it was accepted; others have not.
fn is_of_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A handler that panics is a bug of ours, and costs one request. The panic hook has written where it happened.
async fn or_internal(handler: impl Future<Output = Answer>) -> Answer {
    let mut handler = pin!(handler);
    poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| handler.as_mut().poll(context)))
            .unwrap_or_else(|_| Poll::Ready(ApiError::internal().into_answer()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let answer = or_internal(async { panic!("a bug, as the test wants it") }).await;
        assert_eq!(answer.status(), 500);
    }

    #[test]
    fn only_errors_of_one_client_are_passed_over() {
        assert!(is_of_client(&io::ErrorKind::ConnectionAborted.into()));
        let out_of_descriptors = io::Error::from_raw_os_error(24);
        assert!(!is_of_client(&out_of_descriptors));
    }
}
