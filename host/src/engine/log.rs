//! What a guest says for people: log lines and printed output. Silent during replay, bounded in each step.

use std::sync::{Arc, Mutex};

use tracing::Level;

use super::world::Moved;
use crate::limits::{GuestLimits, Limit};
use crate::metrics::Metrics;

/// One guest's log. Lines go to the host's own log under the target `guest`, with the instance they belong to: an activity's at once, an
/// orchestrator's when its step is durable.
#[derive(Clone)]
pub struct GuestLog {
    instance: Arc<str>,
    inner: Arc<Mutex<Inner>>,
    moved: Moved,
    metrics: Arc<Metrics>,
}

/// A line that an orchestrator has logged, to be written once its step is durable.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    level: Level,
    text: String,
    /// The step's number in its execution, from 1.
    step: u64,
}

#[derive(Default)]
struct Inner {
    silent: bool,
    /// Lines of an orchestrator that are not durable yet; none for an activity, whose lines are written as they come.
    gathered: Option<Vec<Line>>,
    step: u64,
    /// Text printed to standard output, and to standard error, that has no end of line yet.
    partial: [Vec<u8>; 2],
    /// In this step.
    lines: u32,
    bytes: usize,
    /// Something was dropped in this step, and that was said.
    full: bool,
    bounds: Bounds,
    /// The latest line at error level or from standard error: what a guest that crashes has said last.
    last_error: Option<String>,
}

#[derive(Clone, Copy, Default)]
struct Bounds {
    lines: u32,
    bytes: usize,
    line_bytes: usize,
}

impl GuestLog {
    /// The log of an activity.
    pub fn new(instance: &str, limits: &GuestLimits, metrics: &Arc<Metrics>) -> GuestLog {
        GuestLog::of(instance, limits, metrics, None)
    }

    /// The log of an orchestrator.
    pub fn gathering(instance: &str, limits: &GuestLimits, metrics: &Arc<Metrics>) -> GuestLog {
        GuestLog::of(instance, limits, metrics, Some(Vec::new()))
    }

    fn of(instance: &str, limits: &GuestLimits, metrics: &Arc<Metrics>, gathered: Option<Vec<Line>>) -> GuestLog {
        let bounds = Bounds {
            lines: limits.log_lines_per_step,
            bytes: limits.log_bytes_per_step,
            line_bytes: limits.log_line_bytes,
        };
        let inner = Inner { bounds, gathered, ..Inner::default() };
        let (instance, inner) = (instance.into(), Arc::new(Mutex::new(inner)));
        GuestLog { instance, inner, moved: Moved::default(), metrics: metrics.clone() }
    }

    /// Counts the bytes of what the guest says.
    pub fn moved(&self) -> &Moved {
        &self.moved
    }

    /// Takes the lines gathered so far.
    pub fn take(&self) -> Vec<Line> {
        self.inner.lock().expect("no panic while it is held").gathered.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// A step begins: a silent one is a replay.
    pub fn begin_step(&self, step: u64, silent: bool) {
        let mut inner = self.inner.lock().expect("no panic while it is held");
        inner.silent = silent;
        inner.step = step;
        (inner.lines, inner.bytes, inner.full) = (0, 0, false);
        inner.partial.iter_mut().for_each(Vec::clear);
        inner.last_error = None;
    }

    /// The latest line at error level or from standard error in this step.
    pub fn last_error(&self) -> Option<String> {
        self.inner.lock().expect("no panic while it is held").last_error.take()
    }

    pub fn line(&self, level: Level, text: &str) {
        self.moved.add(text.len());
        self.inner.lock().expect("no panic while it is held").line(self, level, text);
    }

    /// Printed output: each line becomes a line of the log, from standard error as a warning.
    pub fn print(&self, to_stderr: bool, bytes: &[u8]) {
        self.moved.add(bytes.len());
        let mut inner = self.inner.lock().expect("no panic while it is held");
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let limit = inner.bounds.line_bytes;
            let partial = &mut inner.partial[usize::from(to_stderr)];
            partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || partial.len() >= limit {
                let line = std::mem::take(partial);
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_end_matches(['\r', '\n']);
                let level = if to_stderr { Level::WARN } else { Level::INFO };
                // What std appends to its messages helps nobody here.
                if to_stderr && !text.starts_with("note: ") {
                    inner.last_error = Some(text.to_owned());
                }
                inner.line(self, level, text);
            }
        }
    }
}

/// A level is part of a callsite, which is static: hence one for each.
macro_rules! write_line {
    ($level:expr, $instance:expr, $execution:expr, $step:expr, $text:expr) => {{
        let (instance, execution, step, text) = ($instance, $execution, $step, $text);
        match $level {
            Level::ERROR => tracing::error!(target: "guest", instance, execution, step, "{text}"),
            Level::WARN => tracing::warn!(target: "guest", instance, execution, step, "{text}"),
            Level::INFO => tracing::info!(target: "guest", instance, execution, step, "{text}"),
            Level::DEBUG => tracing::debug!(target: "guest", instance, execution, step, "{text}"),
            Level::TRACE => tracing::trace!(target: "guest", instance, execution, step, "{text}"),
        }
    }};
}

impl Inner {
    fn line(&mut self, log: &GuestLog, level: Level, text: &str) {
        if self.silent {
            return;
        }
        let instance = &log.instance;
        let Bounds { lines, bytes, line_bytes } = self.bounds;
        let mut end = text.len().min(line_bytes);
        self.lines = self.lines.saturating_add(1);
        self.bytes = self.bytes.saturating_add(end);
        if self.lines > lines || self.bytes > bytes {
            log.metrics.log_lines_dropped.inc();
            if !std::mem::replace(&mut self.full, true) {
                log.metrics.hit(Limit::LogStep);
                let rest = format!("more than {lines} lines or {bytes} bytes in one step: the rest is dropped");
                self.emit(instance, Level::WARN, rest);
            }
            return;
        }
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // Control characters could forge lines and colours on a terminal.
        let text = text[..end].replace(|c: char| c.is_control() && c != '\t', " ");
        if level == Level::ERROR {
            self.last_error = Some(text.clone());
        }
        self.emit(instance, level, text);
    }

    fn emit(&mut self, instance: &str, level: Level, text: String) {
        let step = self.step;
        match &mut self.gathered {
            Some(lines) => lines.push(Line { level, text, step }),
            None => write_line!(level, instance, None::<&str>, None::<u64>, text),
        }
    }
}

impl Line {
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Writes the line to the host's log.
    pub fn write(self, instance: &str, execution: &str) {
        let Line { level, text, step } = self;
        write_line!(level, instance, Some(execution), Some(step), text);
    }
}
