//! What a guest says for people: log lines and printed output. Silent during replay, bounded in each step.

use std::sync::{Arc, Mutex};

use tracing::Level;

/// One guest's log. Lines go to the host's own log under the target `guest`, with the instance they belong to: an activity's at once, an
/// orchestrator's when its step is durable.
#[derive(Clone)]
pub struct GuestLog {
    instance: Arc<str>,
    inner: Arc<Mutex<Inner>>,
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
    lines: u32,
    max_lines: u32,
    max_line_bytes: usize,
    /// The latest line at error level or from standard error: what a guest that crashes has said last.
    last_error: Option<String>,
}

impl GuestLog {
    /// The log of an activity.
    pub fn new(instance: &str, max_lines: u32, max_line_bytes: usize) -> GuestLog {
        let inner = Inner { max_lines, max_line_bytes, ..Inner::default() };
        GuestLog { instance: instance.into(), inner: Arc::new(Mutex::new(inner)) }
    }

    /// The log of an orchestrator.
    pub fn gathering(instance: &str, max_lines: u32, max_line_bytes: usize) -> GuestLog {
        let inner = Inner { max_lines, max_line_bytes, gathered: Some(Vec::new()), ..Inner::default() };
        GuestLog { instance: instance.into(), inner: Arc::new(Mutex::new(inner)) }
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
        inner.lines = 0;
        inner.partial.iter_mut().for_each(Vec::clear);
        inner.last_error = None;
    }

    /// The latest line at error level or from standard error in this step.
    pub fn last_error(&self) -> Option<String> {
        self.inner.lock().expect("no panic while it is held").last_error.take()
    }

    pub fn line(&self, level: Level, text: &str) {
        self.inner.lock().expect("no panic while it is held").line(&self.instance, level, text);
    }

    /// Printed output: each line becomes a line of the log, from standard error as a warning.
    pub fn print(&self, to_stderr: bool, bytes: &[u8]) {
        let mut inner = self.inner.lock().expect("no panic while it is held");
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let limit = inner.max_line_bytes;
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
                inner.line(&self.instance, level, text);
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
    fn line(&mut self, instance: &str, level: Level, text: &str) {
        if self.silent {
            return;
        }
        self.lines += 1;
        if self.lines > self.max_lines {
            if self.lines == self.max_lines + 1 {
                let rest = format!("more than {} lines in one step: the rest is dropped", self.max_lines);
                self.emit(instance, Level::WARN, rest);
            }
            return;
        }
        let mut end = text.len().min(self.max_line_bytes);
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
