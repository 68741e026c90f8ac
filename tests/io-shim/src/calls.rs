//! The functions of libc that others find here first. Each asks the rules and whoever watches its file, and passes the call on.

// To take the place of a C function, and to call the one it stands in for, there is no other way.
#![allow(unsafe_code)]
// Each is what libc says it is, which is where its callers look.
#![allow(clippy::missing_safety_doc)]

use std::ffi::{CStr, OsStr, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use libc::{c_char, c_int, c_uint, off_t, size_t, ssize_t};

use crate::rules;
use crate::watch::{self, Kind, Op};

type Sync = unsafe extern "C" fn(c_int) -> c_int;
type Write = unsafe extern "C" fn(c_int, *const c_void, size_t) -> ssize_t;
type WriteAt = unsafe extern "C" fn(c_int, *const c_void, size_t, off_t) -> ssize_t;
type Truncate = unsafe extern "C" fn(c_int, off_t) -> c_int;
type Allocate = unsafe extern "C" fn(c_int, c_int, off_t, off_t) -> c_int;
type PosixAllocate = unsafe extern "C" fn(c_int, off_t, off_t) -> c_int;
type Rename = unsafe extern "C" fn(*const c_char, *const c_char) -> c_int;
type Unlink = unsafe extern "C" fn(*const c_char) -> c_int;
type Open = unsafe extern "C" fn(*const c_char, c_int, c_uint) -> c_int;

/// Calls the next definition of a function: libc's.
macro_rules! next {
    ($name:ident as $type:ident ($($argument:expr),*)) => {{
        let name = const { concat!(stringify!($name), "\0") };
        // SAFETY: the next definition of this name is libc's, whose type this is; the arguments are those of our caller.
        unsafe {
            let name = CStr::from_bytes_with_nul_unchecked(name.as_bytes());
            let found = libc::dlsym(libc::RTLD_NEXT, name.as_ptr());
            if found.is_null() {
                fail(libc::ENOSYS) as _
            } else {
                std::mem::transmute::<*mut c_void, $type>(found)($($argument),*)
            }
        }
    }};
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    sync(fd, "fsync", || next!(fsync as Sync(fd)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(fd, "fdatasync", || next!(fdatasync as Sync(fd)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, count: size_t) -> ssize_t {
    // SAFETY: any number is a valid argument.
    let position = || unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
    put(fd, bytes, count, position, |count| next!(write as Write(fd, bytes, count)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(fd: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t {
    put(fd, bytes, count, || offset, |count| next!(pwrite as WriteAt(fd, bytes, count, offset)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, count: size_t, offset: off_t) -> ssize_t {
    put(fd, bytes, count, || offset, |count| next!(pwrite64 as WriteAt(fd, bytes, count, offset)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    resize(fd, |_| length, || next!(ftruncate as Truncate(fd, length)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, length: off_t) -> c_int {
    resize(fd, |_| length, || next!(ftruncate64 as Truncate(fd, length)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    resize(fd, |size| size.max(offset + length), || next!(fallocate as Allocate(fd, mode, offset, length)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fallocate64(fd: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    resize(fd, |size| size.max(offset + length), || next!(fallocate64 as Allocate(fd, mode, offset, length)))
}

/// Unlike others it gives the error, and does not set it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fallocate(fd: c_int, offset: off_t, length: off_t) -> c_int {
    let done = || next!(posix_fallocate as PosixAllocate(fd, offset, length));
    given(resize(fd, |size| size.max(offset + length), done))
}

/// As [`posix_fallocate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_fallocate64(fd: c_int, offset: off_t, length: off_t) -> c_int {
    let done = || next!(posix_fallocate64 as PosixAllocate(fd, offset, length));
    given(resize(fd, |size| size.max(offset + length), done))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let op = |name: &dyn Fn(&Path) -> PathBuf| Op::Rename { from: name(&path(from)), to: name(&path(to)) };
    change(|| Some(path(to)), true, op, || next!(rename as Rename(from, to)))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(file: *const c_char) -> c_int {
    change(|| Some(path(file)), false, |name| Op::Unlink { file: name(&path(file)) }, || next!(unlink as Unlink(file)))
}

/// The mode is there only where a file may be created; elsewhere it is whatever the register holds, and libc does not look at it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(file: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    opened(file, flags, || next!(open as Open(file, flags, mode)))
}

/// As [`open`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(file: *const c_char, flags: c_int, mode: c_uint) -> c_int {
    opened(file, flags, || next!(open64 as Open(file, flags, mode)))
}

fn sync(fd: c_int, name: &str, done: impl FnOnce() -> c_int) -> c_int {
    if let Err(error) = rules::before_sync(name) {
        return fail(error);
    }
    change(
        || path_of(fd),
        false,
        |name| Op::Sync { file: path_of(fd).map(|path| name(&path)).unwrap_or_default() },
        done,
    )
}

fn put(
    fd: c_int,
    bytes: *const c_void,
    count: size_t,
    position: impl FnOnce() -> off_t,
    done: impl FnOnce(size_t) -> ssize_t,
) -> ssize_t {
    let Some(path) = looked_at().then(|| path_of(fd)).flatten() else { return done(count) };
    if let Err(error) = rules::before_growth(&path) {
        return fail(error) as ssize_t;
    }
    let Some(watched) = watch::of(&path) else { return done(count) };
    let (mut call, kind) = watched.enter();
    let count = match kind {
        None => count,
        Some(Kind::Error) => return fail(libc::EIO) as ssize_t,
        Some(Kind::Full) => return fail(libc::ENOSPC) as ssize_t,
        Some(Kind::Short) => count.div_ceil(2),
    };
    let offset = position();
    let written = done(count);
    if let (Ok(offset), Ok(length)) = (u64::try_from(offset), usize::try_from(written)) {
        // SAFETY: libc has read as many of them.
        let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) };
        call.record(|name| Op::Write { file: name(&path), offset, bytes: bytes.to_vec() });
    }
    written
}

/// `length`: of the size before the one after.
fn resize(fd: c_int, length: impl FnOnce(off_t) -> off_t, done: impl FnOnce() -> c_int) -> c_int {
    let file = || path_of(fd).unwrap_or_default();
    let size = || std::fs::metadata(file()).map_or(0, |found| found.len() as off_t);
    let op = |name: &dyn Fn(&Path) -> PathBuf| Op::Truncate { file: name(&file()), length: size() as u64 };
    let grows = looked_at() && {
        let size = size();
        length(size) > size
    };
    change(|| path_of(fd), grows, op, done)
}

fn opened(file: *const c_char, flags: c_int, done: impl FnOnce() -> c_int) -> c_int {
    let writes = flags & (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT) != 0;
    if !writes || !looked_at() {
        return done();
    }
    let is_new = !path(file).exists();
    let op = |name: &dyn Fn(&Path) -> PathBuf| match is_new {
        true => Op::Create { file: name(&path(file)) },
        false => Op::Truncate { file: name(&path(file)), length: size_of(&path(file)) },
    };
    change(|| Some(path(file)), is_new, op, done)
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// A call that is done whole, or fails. `grows`: it takes room.
fn change(
    file: impl FnOnce() -> Option<PathBuf>,
    grows: bool,
    op: impl FnOnce(&dyn Fn(&Path) -> PathBuf) -> Op,
    done: impl FnOnce() -> c_int,
) -> c_int {
    let Some(path) = looked_at().then(file).flatten() else { return done() };
    if let Some(error) = grows.then(|| rules::before_growth(&path).err()).flatten() {
        return fail(error);
    }
    let Some(watched) = watch::of(&path) else { return done() };
    let (mut call, kind) = watched.enter();
    match kind {
        Some(Kind::Error) => return fail(libc::EIO),
        Some(Kind::Full) if grows => return fail(libc::ENOSPC),
        _ => {}
    }
    let outcome = done();
    if outcome >= 0 {
        call.record(op);
    }
    outcome
}

fn looked_at() -> bool {
    watch::is_any() || rules::look_at_growth()
}

fn path_of(fd: c_int) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()
}

/// Paths that are opened are as they were given; those of the tests, and of SQLite, are absolute.
fn path(path: *const c_char) -> PathBuf {
    // SAFETY: whoever calls libc with a path gives it a string that ends.
    OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()).into()
}

fn fail(error: c_int) -> c_int {
    // SAFETY: the address is this thread's errno.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// The error of a call that failed here, for a function that gives it.
fn given(outcome: c_int) -> c_int {
    // SAFETY: as above.
    if outcome < 0 { unsafe { *libc::__errno_location() } } else { outcome }
}
