//! The least that a durable answer takes: a file that has its room, one thread that appends to it all that is queued, one fdatasync for that,
//! and the answers. No checksum, no index, nothing that could read it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result};

use crate::submit::OnDurable;

/// What one write takes at most, as in the store.
const MAX_RECORDS: usize = 1_024;
const MAX_BYTES: usize = 1 << 20;
static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

type Record = (Vec<u8>, OnDurable);

/// Dropping it removes the file.
pub struct BareLog {
    /// None only while it is dropped.
    queue: Option<Sender<Record>>,
    writer: Option<JoinHandle<()>>,
    path: PathBuf,
}

impl BareLog {
    /// A file with room for so many bytes, which are written once beforehand: so its length and place on the disk change no more.
    pub fn create(path: &Path, room: usize) -> Result<BareLog> {
        let file = File::create(path)?;
        for at in (0..room).step_by(ZEROS.len()) {
            file.write_all_at(&ZEROS, at as u64)?;
        }
        file.sync_all()?;
        let (queue, records) = channel();
        let writer = std::thread::Builder::new().name("bare-log".into()).spawn(move || write(&file, &records))?;
        Ok(BareLog { queue: Some(queue), writer: Some(writer), path: path.to_owned() })
    }

    /// Queues one record; never blocks.
    pub fn append(&self, record: Vec<u8>, on_durable: OnDurable) {
        let queue = self.queue.as_ref().expect("it is there until the log is dropped");
        // Where the writer is gone the record is dropped, and with it the answer.
        let _ = queue.send((record, on_durable));
    }
}

impl Drop for BareLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        let _ = std::fs::remove_file(&self.path);
    }
}

fn write(file: &File, records: &Receiver<Record>) {
    let (mut end, mut bytes, mut answers) = (0, Vec::with_capacity(2 * MAX_BYTES), Vec::new());
    while let Ok(first) = records.recv() {
        let mut next = Some(first);
        while let Some((record, answer)) = next.take() {
            bytes.extend_from_slice(&record);
            answers.push(answer);
            if answers.len() < MAX_RECORDS && bytes.len() < MAX_BYTES {
                next = records.try_recv().ok();
            }
        }
        let written = file.write_all_at(&bytes, end).and_then(|()| file.sync_data()).context("the log");
        end += bytes.len() as u64;
        bytes.clear();
        let durable = written.inspect_err(|error| eprintln!("{error:#}")).is_ok();
        answers.drain(..).for_each(|answer| answer(durable));
    }
}
