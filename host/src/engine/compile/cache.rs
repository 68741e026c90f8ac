//! Machine code on disk, by the digest of its module and by everything about the engine that it depends on. What lies here is run, so a
//! file is taken only as it was written: its last bytes are the SHA-256 of all that comes before.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

/// The folder of compiled modules that fit one engine: its version, its settings and this processor.
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// `folder`: nobody but the host may write to it.
    pub fn of(wasm: &wasmtime::Engine, folder: &Path) -> Cache {
        let mut hasher = DefaultHasher::new();
        wasm.precompile_compatibility_hash().hash(&mut hasher);
        Cache { folder: folder.join(format!("{:016x}", hasher.finish())) }
    }

    /// None where there is none, or none that is whole.
    pub fn load(&self, wasm: &wasmtime::Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest);
        let file = File::open(&path).ok()?;
        let loaded = check_sum(file).map_err(wasmtime::Error::from).and_then(|()| run(wasm, &path));
        loaded.inspect_err(|error| tracing::warn!("{} is compiled again: {error:#}", path.display())).ok()
    }

    /// Keeps the code of a module, which a compiler has just made, and loads it.
    pub fn keep(&self, wasm: &wasmtime::Engine, digest: &str, code: &[u8]) -> wasmtime::Result<Component> {
        match self.write(digest, code) {
            Ok(()) => run(wasm, &self.path(digest)),
            Err(error) => {
                tracing::warn!("a compiled module can not be cached in {}: {error}", self.folder.display());
                run_from_memory(wasm, code)
            }
        }
    }

    pub fn forget(&self, digest: &str) {
        // What is left there is never asked for.
        let _ = std::fs::remove_file(self.path(digest));
    }

    /// Writes a file as a whole or not at all.
    fn write(&self, digest: &str, code: &[u8]) -> std::io::Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let temporary = self.folder.join(format!(".{}", uuid::Uuid::new_v4().simple()));
        let written = File::create_new(&temporary).and_then(|mut file| {
            file.write_all(code)?;
            file.write_all(&Sha256::digest(code))?;
            file.sync_all()?;
            std::fs::rename(&temporary, self.path(digest))
        });
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.cwasm"))
    }
}

const SUM_BYTES: usize = 32;

/// Refuses a file that does not end with the sum of all that it holds before.
fn check_sum(mut file: File) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    match bytes.split_last_chunk::<SUM_BYTES>() {
        Some((code, sum)) if Sha256::digest(code).as_slice() == sum => Ok(()),
        _ => Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not as it was written")),
    }
}

#[allow(unsafe_code)]
fn run(wasm: &wasmtime::Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file holds, before its sum, what a compiler of this host has made, as a whole; it lies in a directory that is the host's alone
    // and named for this very engine; wasmtime refuses files of another version or setting.
    unsafe { Component::deserialize_file(wasm, path) }
}

#[allow(unsafe_code)]
fn run_from_memory(wasm: &wasmtime::Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: a compiler of this host has just made it.
    unsafe { Component::deserialize(wasm, code) }
}
