use std::process::ExitCode;

/// Requests, steps and writes allocate much that is small, on one thread, and free it on another: what the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    fermata::cli::run()
}
