//! `peer-duroxide DATABASE NORMAL|FULL`: the benchmark's workload as a duroxide orchestration. duroxide is a library that keeps its state in an SQLite
//! file; this gives it the HTTP that it has none of, one request for one call of its client, and says on standard output where it listens:
//!
//! - `POST /start/ID`: answered when the start is queued in the file
//! - `POST /raise/ID`: likewise for the event
//! - `GET /wait/ID`: answered with the output when the orchestration has completed
//! - `GET /queued`: `true` while there is a message that no orchestration has taken
//!
//! The runtime has the settings that duroxide comes with. `NORMAL` is the `PRAGMA synchronous` that it comes with, too (it asks for one that
//! SQLite does not have, and falls back to this): a commit is not flushed, and what was answered can be lost with the power. `FULL`
//! flushes each commit.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::Runtime;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::{Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};

const PATIENCE: Duration = Duration::from_secs(60);

struct Bench {
    client: Client,
    store: Arc<SqliteProvider>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let database = arguments.next().context("DATABASE is missing")?;
    let synchronous = arguments.next().context("NORMAL or FULL is missing")?;
    std::fs::File::create(&database)?;
    let store = Arc::new(SqliteProvider::new(&format!("sqlite:{database}"), None).await?);
    set_synchronous(&store, &synchronous).await?;

    let wait = |context: OrchestrationContext, _: String| async move { Ok(context.schedule_wait("go").await) };
    let orchestrations = OrchestrationRegistry::builder().register("W", wait).build();
    let activities = ActivityRegistry::builder().build();
    let _runtime = Runtime::start_with_store(store.clone(), activities, orchestrations).await;

    let bench = Arc::new(Bench { client: Client::new(store.clone()), store });
    let router = Router::new()
        .route("/start/{id}", post(start))
        .route("/raise/{id}", post(raise))
        .route("/wait/{id}", get(wait_for))
        .route("/queued", get(queued))
        .with_state(bench);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, router).await?;
    Ok(())
}

/// On every connection that the pool may have. They are opened here, and none is closed within the minutes of a run.
async fn set_synchronous(store: &SqliteProvider, mode: &str) -> Result<()> {
    let pool = store.get_pool();
    let mut connections = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        connections.push(pool.acquire().await?);
    }
    for connection in &mut connections {
        sqlx::query(&format!("PRAGMA synchronous = {mode}")).execute(&mut **connection).await?;
        let level: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut **connection).await?;
        let expected = if mode == "FULL" { 2 } else { 1 };
        ensure!(level == expected, "`PRAGMA synchronous = {mode}` gave {level}");
    }
    Ok(())
}

type Answer = Result<String, (StatusCode, String)>;

async fn start(State(bench): State<Arc<Bench>>, Path(id): Path<String>) -> Answer {
    bench.client.start_orchestration(id, "W", "x").await.map(|()| String::new()).map_err(failed)
}

async fn raise(State(bench): State<Arc<Bench>>, Path(id): Path<String>) -> Answer {
    bench.client.raise_event(id, "go", "ok").await.map(|()| String::new()).map_err(failed)
}

async fn wait_for(State(bench): State<Arc<Bench>>, Path(id): Path<String>) -> Answer {
    match bench.client.wait_for_orchestration(&id, PATIENCE).await.map_err(failed)? {
        OrchestrationStatus::Completed { output, .. } => Ok(output),
        other => Err(failed(format!("{other:?}"))),
    }
}

/// A message stays in the queue until the turn that took it is committed.
async fn queued(State(bench): State<Arc<Bench>>) -> Answer {
    let any = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM orchestrator_queue)").fetch_one(bench.store.get_pool());
    any.await.map(|any: bool| any.to_string()).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
