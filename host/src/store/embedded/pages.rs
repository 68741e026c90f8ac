//! Every page of the database file ends in a checksum, which is made when the page is written and looked at whenever it is read.
//!
//! SQLite keeps the last [`RESERVED`] bytes of each page free for this, and takes its files through a table of functions, a VFS.
//! Ours is the system's own, but for the reads and writes of a database and its log. A page that is not what was written, or that lies at
//! another's place, is an error to the statement that wanted it, `SQLITE_IOERR_DATA`; so rows, indexes and what links them are covered alike, and
//! who asks for something else is not concerned. The log has checksums of SQLite's own: see [`frames`](super::frames).

// A VFS is a table of C functions that SQLite calls with pointers to memory it owns: there is no other way to be one.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_int, c_void};
use std::sync::OnceLock;

use rusqlite::{Connection, ffi};

use super::frames::Log;

/// How many bytes at the end of each page are the checksum's.
pub(super) const RESERVED: u8 = 4;

const NAME: &CStr = c"fermata";

/// The name of the VFS. Who writes to the file without it spoils the checksums of what it writes.
pub fn vfs() -> rusqlite::Result<&'static CStr> {
    static REGISTERED: OnceLock<c_int> = OnceLock::new();
    succeeded(*REGISTERED.get_or_init(register)).map(|()| NAME)
}

/// Asks that the pages have room for checksums once `VACUUM` has written the file anew.
pub(super) fn ask_for_checksums(db: &Connection) -> rusqlite::Result<()> {
    reserve(db, c_int::from(RESERVED)).map(|_| ())
}

/// Whether the pages have checksums; of a database that was read from, and that nobody asked to have them.
pub(super) fn are_checked(db: &Connection) -> rusqlite::Result<bool> {
    const ASK: c_int = -1;
    Ok(reserve(db, ASK)? == c_int::from(RESERVED))
}

/// Gives how many bytes are reserved, or asked for where that is more.
fn reserve(db: &Connection, mut bytes: c_int) -> rusqlite::Result<c_int> {
    let argument = (&raw mut bytes).cast();
    // SAFETY: the handle is open as long as `db` is, and this operation takes a pointer to one int.
    let code =
        unsafe { ffi::sqlite3_file_control(db.handle(), c"main".as_ptr(), ffi::SQLITE_FCNTL_RESERVE_BYTES, argument) };
    succeeded(code).map(|()| bytes)
}

fn succeeded(code: c_int) -> rusqlite::Result<()> {
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

/// An open database or log: ours, and right behind it in the same memory the system's own.
#[repr(C, align(8))]
struct File {
    base: ffi::sqlite3_file,
    kind: Kind,
}

enum Kind {
    Database {
        /// Whether pages have checksums, as the first page says. Until it does they have: of a new file others may be written before it.
        checked: bool,
    },
    Log(Log),
}

type Code = c_int;
type Raw = *mut ffi::sqlite3_file;

/// The system's own part of an open file.
///
/// # Safety
/// `file` is what SQLite was given by [`open`] as a [`File`], for it hands us no other.
unsafe fn inner(file: Raw) -> Raw {
    // SAFETY: `szOsFile` of our VFS made room for both.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// Calls the system's own function of this name.
macro_rules! pass {
    ($file:ident, $function:ident, $default:expr $(, $argument:expr)*) => {{
        // SAFETY: the system's own part was opened, so its table is there; arguments are what SQLite gave for this function.
        unsafe {
            let inner = inner($file);
            match (*(*inner).pMethods).$function {
                Some(function) => function(inner $(, $argument)*),
                None => $default,
            }
        }
    }};
}

/// Defines functions that only pass a call on.
macro_rules! passed_on {
    ($($name:ident as $function:ident($($argument:ident: $type:ty),*);)*) => {
        $(unsafe extern "C" fn $name(file: Raw $(, $argument: $type)*) -> Code {
            pass!(file, $function, ffi::SQLITE_IOERR $(, $argument)*)
        })*
    };
}

passed_on! {
    close as xClose();
    truncate as xTruncate(size: i64);
    file_size as xFileSize(size: *mut i64);
    lock as xLock(level: c_int);
    unlock as xUnlock(level: c_int);
    check_reserved_lock as xCheckReservedLock(reserved: *mut c_int);
    file_control as xFileControl(operation: c_int, argument: *mut c_void);
    sector_size as xSectorSize();
    shm_map as xShmMap(region: c_int, size: c_int, extend: c_int, memory: *mut *mut c_void);
    shm_lock as xShmLock(offset: c_int, count: c_int, flags: c_int);
    shm_unmap as xShmUnmap(delete: c_int);
}

unsafe extern "C" fn shm_barrier(file: Raw) {
    pass!(file, xShmBarrier, ());
}

/// But for this: parts of pages may be read past the cache.
unsafe extern "C" fn device_characteristics(file: Raw) -> c_int {
    pass!(file, xDeviceCharacteristics, 0) & !ffi::SQLITE_IOCAP_SUBPAGE_READ
}

unsafe extern "C" fn sync(file: Raw, flags: c_int) -> Code {
    // SAFETY: `file` is a `File`, and used by one thread at a time.
    if let Kind::Log(log) = unsafe { &mut (*file.cast::<File>()).kind } {
        log.synced();
    }
    pass!(file, xSync, ffi::SQLITE_IOERR, flags)
}

unsafe extern "C" fn read(file: Raw, buffer: *mut c_void, amount: c_int, offset: i64) -> Code {
    let code = pass!(file, xRead, ffi::SQLITE_IOERR, buffer, amount, offset);
    if code != ffi::SQLITE_OK {
        return code;
    }
    // SAFETY: SQLite's buffer holds `amount` bytes, which have just been read; `file` is a `File`, and used by one thread at a time.
    let (bytes, kind) =
        unsafe { (std::slice::from_raw_parts(buffer.cast::<u8>(), amount as usize), &mut (*file.cast::<File>()).kind) };
    kind.notice(bytes, offset);
    let is_damaged = match kind {
        Kind::Database { .. } => {
            kind.page(bytes, offset).is_some_and(|(number, page, sum)| checksum(number, page) != sum)
        }
        Kind::Log(log) => log.is_damaged(bytes, offset, |more, at| {
            let code = pass!(file, xRead, ffi::SQLITE_IOERR, more.as_mut_ptr().cast(), more.len() as c_int, at);
            code == ffi::SQLITE_OK
        }),
    };
    if is_damaged {
        let place = if let Kind::Log(_) = kind { "its log" } else { "it" };
        tracing::error!(offset, "a page of the database is not what was written: its checksum in {place} differs");
        return ffi::SQLITE_IOERR_DATA;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn write(file: Raw, buffer: *const c_void, amount: c_int, offset: i64) -> Code {
    // SAFETY: as in `read`; SQLite's buffer holds what is to be written.
    let (bytes, kind) =
        unsafe { (std::slice::from_raw_parts(buffer.cast::<u8>(), amount as usize), &mut (*file.cast::<File>()).kind) };
    kind.notice(bytes, offset);
    if let Kind::Log(log) = kind {
        log.wrote(bytes.len(), offset);
    }
    let Some((number, page, _)) = kind.page(bytes, offset) else {
        return pass!(file, xWrite, ffi::SQLITE_IOERR, buffer, amount, offset);
    };
    // A copy: the page may be somebody else's in the cache.
    let whole = [page, &checksum(number, page)].concat();
    pass!(file, xWrite, ffi::SQLITE_IOERR, whole.as_ptr().cast(), amount, offset)
}

impl Kind {
    fn notice(&mut self, bytes: &[u8], offset: i64) {
        if let Kind::Database { checked } = self
            && offset == 0
            && bytes.starts_with(b"SQLite format 3\0")
        {
            *checked = bytes.get(20) == Some(&RESERVED);
        }
    }

    /// The number of a database's page, what is in it, and its checksum; none where there is none, or where this is no page.
    fn page<'b>(&self, bytes: &'b [u8], offset: i64) -> Option<(u32, &'b [u8], [u8; 4])> {
        let size = bytes.len();
        let is_page = size >= 512 && size.is_power_of_two() && offset % size as i64 == 0;
        let is_checked = matches!(self, Kind::Database { checked: true });
        let (page, sum) = bytes.split_last_chunk().filter(|_| is_checked && is_page)?;
        Some((u32::try_from(offset / size as i64).ok()?, page, *sum))
    }
}

/// The number is part of it, so that a page at another's place is found out.
fn checksum(number: u32, page: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new_with_initial(number);
    hasher.update(page);
    hasher.finalize().to_be_bytes()
}

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    // The next version has memory-mapped files, which would be read past us.
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// Opens a database and its log as a [`File`], and anything else as the system does.
unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: Raw,
    flags: c_int,
    flags_out: *mut c_int,
) -> Code {
    let system = SYSTEM.get().map_or(std::ptr::null_mut(), |system| system.0);
    // SAFETY: `register` put the system's VFS there, which stays for as long as the process does, and made `szOsFile` large enough for both
    // parts. SQLite looks at the table of what failed to open, too: it is cleared first.
    unsafe {
        let Some(open) = system.as_ref().and_then(|system| system.xOpen) else { return ffi::SQLITE_CANTOPEN };
        let kind = match flags & (ffi::SQLITE_OPEN_MAIN_DB | ffi::SQLITE_OPEN_WAL) {
            ffi::SQLITE_OPEN_MAIN_DB => Kind::Database { checked: true },
            ffi::SQLITE_OPEN_WAL => Kind::Log(Log::default()),
            _ => return open(system, name, file, flags, flags_out),
        };
        file.cast::<File>().write(File { base: ffi::sqlite3_file { pMethods: std::ptr::null() }, kind });
        let code = open(system, name, inner(file), flags, flags_out);
        if !(*inner(file)).pMethods.is_null() {
            (*file).pMethods = &METHODS;
        }
        code
    }
}

struct System(*mut ffi::sqlite3_vfs);

// SAFETY: SQLite calls a VFS from any thread, and the system's does not change once it is registered.
unsafe impl Send for System {}
// SAFETY: as above.
unsafe impl Sync for System {}

static SYSTEM: OnceLock<System> = OnceLock::new();

fn register() -> c_int {
    // SAFETY: SQLite initialises itself here; the default VFS is the system's, and its description is copied whole. Its other functions take
    // ours as they take their own: they use what was copied. Ours is never freed, as SQLite wants it.
    unsafe {
        let system = ffi::sqlite3_vfs_find(std::ptr::null());
        let Some(description) = system.as_ref() else { return ffi::SQLITE_ERROR };
        let ours = ffi::sqlite3_vfs {
            szOsFile: size_of::<File>() as c_int + description.szOsFile,
            pNext: std::ptr::null_mut(),
            zName: NAME.as_ptr(),
            xOpen: Some(open),
            ..*description
        };
        SYSTEM.get_or_init(|| System(system));
        ffi::sqlite3_vfs_register(Box::leak(Box::new(ours)), 0)
    }
}
