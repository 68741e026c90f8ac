//! Connections: accepted, bounded in what they may cost, and finished before the host stops.
//!
//! The loop is our own because `axum::serve` 0.8 gives hyper no timer, so that a client which sends its head slowly holds a connection for
//! ever (tokio-rs/axum#3478).

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
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
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::Api;
use super::answer::Answer;
use super::clients::Connections;
use super::error::ApiError;
use crate::dispatcher::Dispatcher;
use crate::limits::{HttpLimits, Limit};

/// How long to wait when the system has no more to give, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of hyper's own, smaller than its defaults: a head, and what a connection buffers.
const HEADERS: usize = 64;
const HEAD_BYTES: usize = 32 << 10;
const BUFFER_BYTES: usize = 64 << 10;

/// Serves until `shutdown`, then finishes the requests under way and closes the dispatcher: what was acknowledged is durable, and nothing is
/// under way any more on return.
pub async fn serve(
    listeners: Vec<(TcpListener, Api)>,
    dispatcher: Arc<Dispatcher>,
    limits: HttpLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let proxies = listeners.iter().flat_map(|(_, api)| &api.outside.proxies);
    let uncounted = limits.uncounted.iter().chain(proxies).copied().collect();
    let graceful = Arc::new(GracefulShutdown::new());
    let (give_up, _) = watch::channel(());
    let common = Arc::new(Common {
        http: http(&limits),
        graceful: graceful.clone(),
        give_up: give_up.clone(),
        places: Arc::new(Semaphore::new(limits.connections)),
        clients: Connections::new(limits.connections_per_client, uncounted),
        turned_away: too_many(limits.connections_per_client),
    });
    let mut loops = JoinSet::new();
    for (listener, api) in listeners {
        loops.spawn(accept_all(listener, Arc::new(api), common.clone()));
    }
    drop(common);
    shutdown.await;
    // Nothing listens any more. The connections there are go on, but none waits for an instance.
    loops.shutdown().await;
    dispatcher.stop_waiting();
    let graceful = Arc::into_inner(graceful).expect("only the loops shared it");
    if tokio::time::timeout(limits.drain_time, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests still under way after {} s are given up", limits.drain_time.as_secs_f32());
    }
    give_up.send_replace(());
    give_up.closed().await;
    dispatcher.close().await;
    Ok(())
}

/// What the listeners share.
struct Common {
    http: http1::Builder,
    graceful: Arc<GracefulShutdown>,
    /// Ends every connection.
    give_up: watch::Sender<()>,
    /// One for each connection that there may be.
    places: Arc<Semaphore>,
    /// What there is of each client.
    clients: Arc<Connections>,
    /// What a client is told that has as many as it may have.
    turned_away: Vec<u8>,
}

/// Takes what connects. Where there are as many connections as there may be, the next one waits until one ends.
async fn accept_all(listener: TcpListener, api: Arc<Api>, common: Arc<Common>) {
    loop {
        let (stream, peer) = accept(&listener).await;
        let Ok(place) = common.places.clone().acquire_owned().await else { return };
        let Some(of_client) = common.clients.admit(peer.ip()) else {
            api.dispatcher.metrics().hit(Limit::Connections);
            turn_away(stream, &common.turned_away);
            continue;
        };
        let api = api.clone();
        let service = service_fn(move |request| {
            let api = api.clone();
            async move { Ok::<_, Infallible>(or_internal(api.answer(request, peer.ip())).await) }
        });
        let connection = common.graceful.watch(common.http.serve_connection(TokioIo::new(stream), service));
        let mut given_up = common.give_up.subscribe();
        tokio::spawn(async move {
            // A client that hangs up, or breaks the protocol, is its own affair.
            tokio::select! {
                _ = connection => {}
                _ = given_up.changed() => {}
            }
            drop((place, of_client));
        });
    }
}

/// Tells a client that it has too many connections, if it listens, and takes no time over it.
fn turn_away(stream: TcpStream, answer: &[u8]) {
    let Ok(stream) = stream.into_std() else { return };
    // Nothing was sent here before, so it fits the buffers of the system. What is left unread would make the system take it back.
    let _ = (&stream).write(answer);
    let _ = (&stream).read(&mut [0; 4096]);
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

/// The answer, for which no request is read.
fn too_many(most: usize) -> Vec<u8> {
    let refusal = ApiError::too_many_connections(most);
    let (head, body) = (refusal.status, refusal.body());
    let head = format!(
        "HTTP/1.1 {head}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\nretry-after: 1\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
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
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Answers are small and complete: waiting for more to send only delays them.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
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
