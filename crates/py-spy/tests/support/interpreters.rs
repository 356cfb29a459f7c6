//! Which interpreters there are, and running a test on each.

use super::process::project;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Condvar, Mutex, OnceLock};
use std::time::{Duration, SystemTime};

/// A CPython of this machine, as `scripts/interpreters` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Its name in messages, such as `3.8.18-static-stripped` or `3.13t-static`.
    pub label: String,
    /// The program.
    pub path: PathBuf,
    pub version: (u8, u8, u8),
    /// Such as `static,stripped,nopie` or `shared,symbols,pie,ft`.
    pub flavour: String,
}

impl Interpreter {
    pub fn at_least(&self, major: u8, minor: u8) -> bool {
        (self.version.0, self.version.1) >= (major, minor)
    }

    pub fn is(&self, flavour: &str) -> bool {
        self.flavour.split(',').any(|word| word == flavour)
    }

    /// Without a GIL.
    pub fn free_threaded(&self) -> bool {
        self.is("ft")
    }
}

/// Those that any machine can have: from `scripts/setup-tests`.
const REQUIRED: &str = "3.13.*-static-stripped 3.14.*-static-stripped 3.15.*-static-stripped 3.13t-static 3.14t-static 3.15t-static";

/// The patterns of `PYSPY_REQUIRED` (or the default ones) that no interpreter fits.
pub fn missing() -> Vec<String> {
    let required = std::env::var("PYSPY_REQUIRED").unwrap_or_else(|_| REQUIRED.to_owned());
    let fits = |pattern: &&str| !interpreters().iter().any(|found| glob(pattern, &found.label));
    required.split_whitespace().filter(fits).map(str::to_owned).collect()
}

/// Whether `text` fits `pattern`, in which `*` stands for anything.
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or("")) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// All interpreters of this machine, oldest first.
pub fn interpreters() -> &'static [Interpreter] {
    static FOUND: OnceLock<Vec<Interpreter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let found: Vec<Interpreter> = listing().lines().map(parse).collect();
        let labels: Vec<&str> = found.iter().map(|one| one.label.as_str()).collect();
        eprintln!("{} interpreters: {}", found.len(), labels.join(" "));
        assert!(!found.is_empty(), "no CPython found: run scripts/setup-tests");
        found
    })
}

fn parse(line: &str) -> Interpreter {
    let fields: Vec<&str> = line.split('\t').collect();
    let [label, path, version, flavour] = fields[..] else {
        panic!("scripts/interpreters: {line:?}")
    };
    let version: Vec<u8> = version.split('.').map(|part| part.parse().unwrap()).collect();
    Interpreter {
        label: label.to_owned(),
        path: path.into(),
        version: (version[0], version[1], version[2]),
        flavour: flavour.to_owned(),
    }
}

/// What the script prints. Some runners start a process for every test: the answer is
/// kept for a minute.
fn listing() -> String {
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interpreters.tsv");
    let listed = std::env::var("PYSPY_TEST_PYTHONS").unwrap_or_default();
    let head = format!("# {} {listed}\n", super::cache().display());
    let age = kept.metadata().and_then(|data| data.modified()).ok();
    let fresh = age
        .and_then(|at| SystemTime::now().duration_since(at).ok())
        .is_some_and(|age| age < Duration::from_secs(60));
    if fresh
        && let Ok(text) = std::fs::read_to_string(&kept)
        && let Some(text) = text.strip_prefix(&head)
    {
        return text.to_owned();
    }
    let script = project().join("scripts/interpreters");
    let output = Command::new(&script)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    assert!(
        output.status.success(),
        "scripts/interpreters: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let new = kept.with_extension(format!("{}", std::process::id()));
    let _ = std::fs::write(&new, head + &text).and_then(|()| std::fs::rename(&new, &kept));
    text
}

/// The newest interpreter whose label fits one of the patterns (best first). Fails if
/// there is none.
pub fn interpreter(patterns: &[&str]) -> &'static Interpreter {
    let of = |pattern: &&str| interpreters().iter().rev().find(|found| glob(pattern, &found.label));
    patterns.iter().find_map(of).unwrap_or_else(|| {
        panic!("no interpreter {patterns:?} on this machine: run scripts/setup-tests")
    })
}

/// The newest interpreter with a GIL.
pub fn newest() -> &'static Interpreter {
    interpreters()
        .iter()
        .rev()
        .find(|found| !found.free_threaded())
        .expect("run scripts/setup-tests")
}

/// One interpreter of each minor version (free-threaded ones count as versions of their
/// own): for tests in which the kind of build makes no difference.
pub fn one_per_version() -> Vec<&'static Interpreter> {
    let mut found: Vec<&Interpreter> = Vec::new();
    for one in interpreters() {
        let key = |of: &Interpreter| (of.version.0, of.version.1, of.free_threaded());
        if found.last().is_none_or(|last| key(last) != key(one)) {
            found.push(one);
        }
    }
    found
}

/// At most this many tests' bodies at once in a process, whatever the runner does.
const AT_ONCE: usize = 2;

static FREE: (Mutex<usize>, Condvar) = (Mutex::new(AT_ONCE), Condvar::new());

struct Slot;

impl Slot {
    fn take() -> Slot {
        let mut free = FREE.0.lock().unwrap();
        while *free == 0 {
            free = FREE.1.wait(free).unwrap();
        }
        *free -= 1;
        Slot
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        *FREE.0.lock().unwrap() += 1;
        FREE.1.notify_one();
    }
}

/// Runs `test` on each of the interpreters, two at a time, and fails at the end if it
/// failed on any, with all failures and their labels.
pub fn for_each<'a>(
    interpreters: impl IntoIterator<Item = &'a Interpreter>,
    test: impl Fn(&Interpreter) + Sync,
) {
    let todo: Vec<&Interpreter> = interpreters.into_iter().collect();
    assert!(!todo.is_empty(), "no interpreter for this test: run scripts/setup-tests");
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(one) =
                    todo.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    let _slot = Slot::take();
                    if let Err(cause) = catch_unwind(AssertUnwindSafe(|| test(one))) {
                        failures.lock().unwrap().push(format!(
                            "{}: {}",
                            one.label,
                            message(&*cause)
                        ));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    assert!(
        failures.is_empty(),
        "failed on {} of {} interpreters:\n\n{}\n",
        failures.len(),
        todo.len(),
        failures.join("\n\n")
    );
}

fn message(cause: &(dyn std::any::Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or(cause.downcast_ref::<&str>().copied()).unwrap_or("panicked").to_owned()
}
