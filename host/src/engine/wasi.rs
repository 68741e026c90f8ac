//! WASI for guests. An orchestrator's is virtual: it can tell the time of the step and draw numbers from the execution's seed, both the
//! same on replay, and there is nothing else. An activity's clocks and randomness are real, and the operator may grant it more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use fermata_replay::Timestamp;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{SeedableRng, TryRng};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{FsPerms, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::log::GuestLog;
use super::reach::{self, Reach};
use super::world::{Moved, Unable};
use crate::capabilities::{Directory, Grant};

/// What a guest may draw at once. Fixed for ever, as a guest can see it.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// The streams of the execution's generator, one for each purpose, so that drawing from one never shifts another. Fixed for ever.
#[derive(Clone, Copy)]
enum Stream {
    Secure = 1,
    Insecure = 2,
}

/// The generator named in the design: ChaCha20 from the seed recorded at start.
fn generator(seed: &[u8; 32], stream: Stream) -> ChaCha20Rng {
    let mut rng = ChaCha20Rng::from_seed(*seed);
    rng.set_stream(stream as u64);
    rng
}

/// The time of the step, shared with the guest's WASI clocks.
#[derive(Clone, Default)]
pub struct StepClock {
    micros: Arc<AtomicI64>,
    /// Readings of the monotonic clock so far: each moves it by a microsecond, so that a loop which waits for it ends.
    readings: Arc<AtomicU64>,
}

impl StepClock {
    pub fn set(&self, now: Timestamp) {
        self.micros.store(now.0, Ordering::Relaxed);
    }

    fn micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed).max(0) as u64
    }
}

impl HostWallClock for StepClock {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        Duration::from_micros(self.micros())
    }
}

impl HostMonotonicClock for StepClock {
    fn resolution(&self) -> u64 {
        1_000
    }

    fn now(&self) -> u64 {
        let ticks = self.readings.fetch_add(1, Ordering::Relaxed);
        (self.micros() + ticks) * 1_000
    }
}

/// The whole world of an orchestrator.
pub fn virtual_world(seed: &[u8; 32], clock: &StepClock, log: &GuestLog) -> WasiCtx {
    let mut seed_number = [0; 16];
    seed_number.copy_from_slice(&seed[..16]);
    output_to(log)
        .wall_clock(clock.clone())
        .monotonic_clock(clock.clone())
        .secure_random(Counted(generator(seed, Stream::Secure), log.moved().clone()))
        .insecure_random(Counted(generator(seed, Stream::Insecure), log.moved().clone()))
        .insecure_random_seed(u128::from_le_bytes(seed_number))
        .build()
}

/// A generator whose bytes are counted.
struct Counted(ChaCha20Rng, Moved);

impl TryRng for Counted {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        // That is how wasmtime-wasi draws each single byte.
        self.1.add(size_of::<u32>());
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.1.add(size_of::<u64>());
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.1.add(bytes.len());
        self.0.try_fill_bytes(bytes)
    }
}

/// Real clocks and randomness, and what was granted of files, environment and network.
pub fn real_world(log: &GuestLog, grant: &Grant, reach: Arc<Reach>) -> wasmtime::Result<WasiCtx> {
    let mut builder = output_to(log);
    // Sockets are the host's: who may connect nowhere gets none.
    builder.allow_tcp(!grant.outbound.is_empty()).socket_addr_check(reach::check(reach));
    for (name, value) in &grant.environment {
        builder.env(name, value);
    }
    for Directory { host, guest, write } in &grant.directories {
        let perms = if *write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
        let opened = builder.preopened_dir(host, guest, perms);
        opened.map_err(|error| Unable(error.context(format!("the folder {} can not be opened", host.display()))))?;
    }
    Ok(builder.build())
}

fn output_to(log: &GuestLog) -> WasiCtxBuilder {
    let mut builder = WasiCtxBuilder::new();
    builder
        .stdout(Output { log: log.clone(), is_stderr: false })
        .stderr(Output { log: log.clone(), is_stderr: true })
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false);
    builder
}

/// Standard output or standard error: lines of the guest's log.
#[derive(Clone)]
struct Output {
    log: GuestLog,
    is_stderr: bool,
}

impl Output {
    fn print(&self, bytes: &[u8]) {
        self.log.print(self.is_stderr, bytes);
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn wasmtime_wasi::p2::OutputStream> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.print(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[wasmtime_wasi::async_trait]
impl wasmtime_wasi::p2::Pollable for Output {
    async fn ready(&mut self) {}
}

impl wasmtime_wasi::p2::OutputStream for Output {
    fn write(&mut self, bytes: bytes::Bytes) -> wasmtime_wasi::p2::StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> wasmtime_wasi::p2::StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> wasmtime_wasi::p2::StreamResult<usize> {
        Ok(64 << 10)
    }
}
