//! Stands in for `fsync` and `fdatasync` in a process it is preloaded into (`LD_PRELOAD`), ruled by files in the directory named
//! by `FERMATA_FSYNC_SHIM`; without that it only passes calls on.
//!
//! - while `hold` exists, a call appends a line (`fsync` or `fdatasync`) to `entered` and returns once `hold` is gone
//! - while `fail` exists, a call returns `EIO` and syncs nothing

// To take the place of a C function, and to call the one it stands in for, there is no other way.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use libc::c_int;

type Sync = unsafe extern "C" fn(c_int) -> c_int;

/// # Safety
/// As the function of libc: there is nothing to break.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    static REAL: OnceLock<Option<Sync>> = OnceLock::new();
    sync(fd, c"fsync", &REAL)
}

/// # Safety
/// As the function of libc: there is nothing to break.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    static REAL: OnceLock<Option<Sync>> = OnceLock::new();
    sync(fd, c"fdatasync", &REAL)
}

fn sync(fd: c_int, name: &'static CStr, real: &OnceLock<Option<Sync>>) -> c_int {
    if let Some(dir) = rules() {
        hold(dir, name);
        if dir.join("fail").exists() {
            return fail(libc::EIO);
        }
    }
    // SAFETY: the next definition of this name is libc's, whose type this is.
    let real = real.get_or_init(|| unsafe {
        let found = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
        (!found.is_null()).then(|| std::mem::transmute::<*mut libc::c_void, Sync>(found))
    });
    match real {
        // SAFETY: any number is a valid argument.
        Some(real) => unsafe { real(fd) },
        None => fail(libc::ENOSYS),
    }
}

fn hold(dir: &Path, name: &CStr) {
    let hold = dir.join("hold");
    if !hold.exists() {
        return;
    }
    if let Ok(mut entered) = File::options().create(true).append(true).open(dir.join("entered")) {
        let _ = entered.write_all(format!("{}\n", name.to_string_lossy()).as_bytes());
    }
    while hold.exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the address is this thread's errno.
    unsafe { *libc::__errno_location() = error };
    -1
}

fn rules() -> Option<&'static Path> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIR.get_or_init(|| std::env::var_os("FERMATA_FSYNC_SHIM").map(PathBuf::from)).as_deref()
}
