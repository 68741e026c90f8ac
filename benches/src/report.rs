//! What was measured: a table for people, JSON for machines, and [`chart`]s.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Parameters, chart};

/// The measures of one suite, of one system or of several side by side.
pub struct Report {
    suite: &'static str,
    /// In the order they were named first.
    systems: Vec<String>,
    measures: Vec<Measure>,
    /// What a reader must know besides.
    notes: Vec<String>,
}

struct Measure {
    what: String,
    unit: &'static str,
    /// By system: one value each run.
    runs: Vec<Vec<f64>>,
}

impl Report {
    pub fn new(suite: &'static str) -> Report {
        Report { suite, systems: Vec::new(), measures: Vec::new(), notes: Vec::new() }
    }

    /// Adds what one run of a system gave.
    pub fn add(&mut self, system: &str, what: &str, unit: &'static str, value: f64) {
        let column = self.systems.iter().position(|known| known == system).unwrap_or_else(|| {
            self.systems.push(system.to_owned());
            self.systems.len() - 1
        });
        let row = self.measures.iter().position(|known| known.what == what).unwrap_or_else(|| {
            self.measures.push(Measure { what: what.to_owned(), unit, runs: Vec::new() });
            self.measures.len() - 1
        });
        let runs = &mut self.measures[row].runs;
        runs.resize(runs.len().max(column + 1), Vec::new());
        runs[column].push(value);
    }

    /// Adds a sentence, once.
    pub fn note(&mut self, note: &str) {
        if !self.notes.iter().any(|known| known == note) {
            self.notes.push(note.to_owned());
        }
    }

    pub fn suite(&self) -> &'static str {
        self.suite
    }

    pub fn systems(&self) -> &[String] {
        &self.systems
    }

    /// The median of what was measured of a system; none where it was not.
    pub fn median(&self, what: &str, system: &str) -> Option<f64> {
        let column = self.systems.iter().position(|known| known == system)?;
        self.measures.iter().find(|measure| measure.what == what)?.median(column)
    }

    /// Medians over the runs; beside every system but the first, the first's median divided by its own.
    pub fn print(&self) {
        let wide = self.measures.iter().map(|measure| measure.what.chars().count()).max().unwrap_or_default();
        println!("\n{}", self.suite);
        print!("{:wide$}  {:>5}", "", "");
        for (column, system) in self.systems.iter().enumerate() {
            print!("  {system:>9}");
            if column > 0 {
                print!("  {:>7}", "ratio");
            }
        }
        println!();
        for measure in &self.measures {
            print!("{:wide$}  {:>5}", measure.what, measure.unit);
            let first = measure.median(0);
            for column in 0..self.systems.len() {
                let median = measure.median(column);
                let column_wide = self.systems[column].len().max(9);
                print!("  {:>column_wide$}", median.map(shown).unwrap_or_default());
                if column > 0 {
                    let ratio = first.zip(median).filter(|(_, median)| *median != 0.0);
                    print!("  {:>7}", ratio.map(|(first, median)| shown(first / median)).unwrap_or_default());
                }
            }
            println!();
        }
        self.notes.iter().for_each(|note| println!("{note}"));
    }

    /// Writes `<date>-<suite>.json`, and its charts beside it; those of the same day are replaced.
    pub fn write(&self, directory: &Path, parameters: &Parameters) -> Result<()> {
        let now = jiff::Timestamp::now();
        let measures: Vec<Value> = self.measures.iter().map(|measure| self.json(measure)).collect();
        let report = json!({
            "suite": self.suite,
            "date": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "machine": machine(),
            "versions": versions(),
            "parameters": {
                "instances": parameters.instances,
                "rate": parameters.rate,
                "clients": parameters.clients,
                "samples": parameters.samples,
                "runs": parameters.runs,
            },
            "measures": measures,
            "notes": self.notes,
        });
        std::fs::create_dir_all(directory)?;
        let name = format!("{}-{}", now.strftime("%Y-%m-%d"), self.suite);
        let file = directory.join(format!("{name}.json"));
        std::fs::write(&file, serde_json::to_string_pretty(&report)? + "\n")?;
        println!("written to {}", file.display());
        chart::write(self, directory, &name)
    }

    fn json(&self, measure: &Measure) -> Value {
        let by_system = self.systems.iter().enumerate().filter_map(|(column, system)| {
            let runs = measure.runs.get(column).filter(|runs| !runs.is_empty())?;
            Some((system.clone(), json!({ "median": measure.median(column), "runs": runs })))
        });
        json!({ "what": measure.what, "unit": measure.unit, "systems": serde_json::Map::from_iter(by_system) })
    }
}

impl Measure {
    fn median(&self, column: usize) -> Option<f64> {
        median(self.runs.get(column)?)
    }
}

/// None of no values; the mean of the middle two of an even number.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some((lower + upper) / 2.0)
}

/// Three digits that count.
fn shown(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn machine() -> Value {
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, it)| it);
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}

fn versions() -> Value {
    let dirty = said("git", &["status", "--porcelain", "--", ":!benches/results", ":!docs"])
        .is_some_and(|list| !list.is_empty());
    json!({
        "commit": said("git", &["rev-parse", "--short=12", "HEAD"]),
        "changed_since": dirty,
        "rustc": said("rustc", &["--version"]),
    })
}

/// The output of a command, which runs where this one does: in the checkout.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
