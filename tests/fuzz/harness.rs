//! Runs a target: its corpus, then inputs made at random.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tests::number;

/// How long a target is given random inputs where FERMATA_FUZZ_SECONDS does not say.
const SECONDS: u64 = 15;

/// An input that takes longer hangs, however busy the machine is.
const HANG: Duration = Duration::from_secs(120);

/// Something that takes bytes from strangers.
pub trait Target {
    /// Its test, and its folder in `corpus/`.
    const NAME: &'static str;

    /// An input made at random, out of one of these or of nothing.
    fn make(&self, random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8>;

    /// Takes an input. An error, or a panic of any thread, is a bug.
    fn take(&mut self, input: &[u8]) -> Result<(), String>;

    /// What there is to tell about all that were taken.
    fn told(&self) -> String {
        String::new()
    }
}

pub fn fuzz<T: Target>(target: T) {
    listen();
    let mut run = Run { target, watch: Watch::start(T::NAME) };
    match std::env::var("FERMATA_FUZZ_INPUT") {
        Ok(file) => run.attempt(&std::fs::read(file).unwrap()),
        Err(_) => run.attempt_all(),
    }
    drop(run);
    // The target is gone, and with it what inputs had begun.
    if let Some(words) = elsewhere() {
        panic!("{}: after the last input {words}", T::NAME);
    }
}

struct Run<T> {
    target: T,
    watch: Watch,
}

impl<T: Target> Run<T> {
    /// The corpus, and what is made at random until the time is over.
    fn attempt_all(&mut self) {
        let corpus = corpus(T::NAME);
        corpus.iter().for_each(|input| self.attempt(input));
        let seed = number("SEED").unwrap_or_else(|| fastrand::u64(..));
        println!("to repeat: SEED={seed} cargo xtask fuzz {}", T::NAME);
        let seconds = number("FERMATA_FUZZ_SECONDS").unwrap_or(SECONDS);
        let (begun, mut count) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_secs(seconds) {
            // Each input has a seed of its own, so that the same run makes the same inputs, however far it gets.
            let input = self.target.make(&mut Rng::with_seed(seed.wrapping_add(count)), &corpus);
            self.attempt(&input);
            count += 1;
        }
        println!("{}: {} inputs of the corpus and {count} at random {}", T::NAME, corpus.len(), self.target.told());
    }

    fn attempt(&mut self, input: &[u8]) {
        self.watch.begins(input);
        let taken = catch_unwind(AssertUnwindSafe(|| self.target.take(input)));
        self.watch.ends();
        let wrong = taken.unwrap_or_else(|panic| Err(words(&*panic))).err();
        // What another thread does may have begun with an input before.
        let elsewhere = elsewhere().map(|words| format!("for this input, or for one before it, {words}"));
        let wrong: Vec<String> = [wrong, elsewhere].into_iter().flatten().collect();
        if !wrong.is_empty() {
            panic!("{}: {}\n{}", T::NAME, wrong.join("\n"), keep(T::NAME, input));
        }
    }
}

/// What threads panicked with that run no target: nobody else hears of it.
static ELSEWHERE: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether a target is run here; its panics are caught where it is called.
    static IS_HEARD: Cell<bool> = const { Cell::new(false) };
}

/// Begins to note panics elsewhere than in this thread.
fn listen() {
    static ONCE: Once = Once::new();
    IS_HEARD.set(true);
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_HEARD.get() {
                ELSEWHERE.lock().unwrap().push(panic.to_string());
            }
            usual(panic);
        }));
    });
}

/// The words of the panics elsewhere, since this was last asked for.
fn elsewhere() -> Option<String> {
    let words = std::mem::take(&mut *ELSEWHERE.lock().unwrap());
    (!words.is_empty()).then(|| format!("a thread of its own panicked: {}", words.join("; ")))
}

/// The words of a panic here.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(|text| &**text));
    format!("a panic: {}", text.unwrap_or("without words"))
}

/// The input that is tried now, and since when.
type Current = Arc<Mutex<Option<(Instant, Vec<u8>)>>>;

/// Ends the process when an input hangs.
struct Watch(Current);

impl Watch {
    fn start(name: &'static str) -> Watch {
        let current = Current::default();
        let watched = Arc::downgrade(&current);
        std::thread::spawn(move || {
            while let Some(current) = watched.upgrade() {
                if let Some((_, input)) = current.lock().unwrap().as_ref().filter(|(begun, _)| begun.elapsed() > HANG) {
                    eprintln!("{name}: an input hangs\n{}", keep(name, input));
                    std::process::exit(101);
                }
                drop(current);
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        Watch(current)
    }

    fn begins(&self, input: &[u8]) {
        *self.0.lock().unwrap() = Some((Instant::now(), input.to_vec()));
    }

    fn ends(&self) {
        *self.0.lock().unwrap() = None;
    }
}

/// Writes an input that has found something where it can be tried again, and says how.
fn keep(name: &str, input: &[u8]) -> String {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let file = folder
        .join(format!("{name}-{:016x}", input.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31) ^ u64::from(*byte))));
    let kept = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, input));
    match kept {
        Ok(()) => format!(
            "to repeat: FERMATA_FUZZ_INPUT={} cargo xtask fuzz {name}; then it belongs in tests/fuzz/corpus/{name}",
            file.display()
        ),
        Err(error) => format!("the input can not be kept: {error}: {}", input.escape_ascii()),
    }
}

/// What a target starts from, in the order of the names.
fn corpus(name: &str) -> Vec<Vec<u8>> {
    read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name))
}

/// The files of a folder, by name.
pub fn read_folder(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}
