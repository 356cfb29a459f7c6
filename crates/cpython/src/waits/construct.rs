//! The waiting functions of the standard library, known by their frames.

use super::{Lock, LockKind, Stack};
use crate::value::Decoder;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The end of a thread: `Thread.join`.
    Join,
    /// The begin of a thread: `Thread.start`.
    Start,
    /// The end of all threads that are no daemons, as the interpreter ends.
    Shutdown,
    /// `Condition.wait`.
    Condition,
    /// `Event.wait`.
    Event,
    /// `Semaphore.acquire`.
    Semaphore,
    /// `Barrier.wait`.
    Barrier,
    /// An item: `Queue.get`.
    Get,
    /// Room for an item: `Queue.put`.
    Put,
    /// `Queue.join`.
    Tasks,
    /// `Future.result` and such.
    Future,
    /// Several futures: `concurrent.futures.wait`.
    Futures,
    /// A module that another thread imports.
    Import,
}

/// Something that the standard library makes from locks, and that a thread waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Construct {
    /// What for.
    pub purpose: Purpose,
    /// The object whose method it is; 0 if it is a function.
    pub object: u64,
    /// Its type.
    pub type_name: String,
    /// The name of the thread or module.
    pub name: Option<String>,
    /// `threading.get_ident()` of the thread that is joined, or that imports.
    pub thread: Option<u64>,
}

/// More frames than this one wait does not take.
const MAX_FRAMES: usize = 8;

/// Whether a file is one of those that [`purpose`] knows: most are not, and then nothing of the
/// frame need be read.
fn may_wait(file: &str) -> bool {
    ["threading.py", "ueue.py", "/_base.py", "importlib"].iter().any(|part| file.contains(part))
}

/// The path inside of the standard library's folder, by what that is called: `lib/python3.13`,
/// `python313.zip`, or `Lib` where it was built. Of frozen modules, and where paths are relative,
/// it is the path itself.
fn inside_library(file: &str) -> Option<&str> {
    if !file.contains('/') || file.starts_with('<') {
        return Some(file);
    }
    let is_library = |folder: &str| {
        let version = folder.strip_prefix("python").and_then(|rest| rest.chars().next());
        folder == "Lib" || version.is_some_and(|first| first.is_ascii_digit())
    };
    let mut rest = file;
    while let Some((folder, inside)) = rest.split_once('/') {
        if is_library(folder) && KNOWN.contains(&inside) {
            return Some(inside);
        }
        rest = inside;
    }
    None
}

/// Files of the standard library that wait.
const KNOWN: [&str; 5] = [
    "threading.py",
    "queue.py",
    "Queue.py",
    "concurrent/futures/_base.py",
    "importlib/_bootstrap.py",
];

/// A function that waits, by its file and name; what for may depend on `self`.
fn purpose(file: &str, function: &str, type_name: &str) -> Option<Purpose> {
    let file = file.strip_suffix('c').filter(|file| file.ends_with(".py")).unwrap_or(file);
    let file = inside_library(file)?;
    if file == "threading.py" {
        return Some(match function {
            "wait" | "_wait" if type_name.contains("Event") => Purpose::Event,
            "wait" | "_wait" if type_name.contains("Barrier") => Purpose::Barrier,
            "wait" | "wait_for" => Purpose::Condition,
            "acquire" if type_name.contains("Semaphore") => Purpose::Semaphore,
            "join" | "_wait_for_tstate_lock" | "_join_thread" => Purpose::Join,
            "start" => Purpose::Start,
            "_shutdown" | "_exitfunc" => Purpose::Shutdown,
            _ => return None,
        });
    }
    if file == "queue.py" || file == "Queue.py" {
        return Some(match function {
            "get" => Purpose::Get,
            "put" => Purpose::Put,
            "join" => Purpose::Tasks,
            _ => return None,
        });
    }
    if file == "concurrent/futures/_base.py" {
        return Some(match function {
            "result" | "exception" => Purpose::Future,
            "wait" | "as_completed" => Purpose::Futures,
            _ => return None,
        });
    }
    let bootstrap = file == "<frozen importlib._bootstrap>"
        || file == "importlib/_bootstrap.py"
        || file == "<frozen importlib>";
    (bootstrap && function == "acquire" && type_name == "_ModuleLock").then_some(Purpose::Import)
}

impl Decoder<'_> {
    /// The waiting function of the standard library that a thread is in, if it is. `lock`
    /// is the one that it sleeps at: a lock that the function only takes for a moment is
    /// a wait of its own.
    pub(super) fn construct(&self, stack: Stack, lock: Option<&Lock>) -> Option<Construct> {
        if let Some(Lock { kind: LockKind::SimpleQueue, address, .. }) = lock {
            let (purpose, type_name) = (Purpose::Get, "SimpleQueue".to_owned());
            return Some(Construct {
                purpose,
                object: *address,
                type_name,
                name: None,
                thread: None,
            });
        }
        let mut found: Option<Construct> = None;
        for (depth, (frame, code, _)) in stack.iter().take(MAX_FRAMES).enumerate() {
            if !may_wait(&code.filename) {
                break;
            }
            let variables = self.addresses(frame).unwrap_or_default();
            let of = |name: &str| {
                variables.iter().find(|(known, _)| known == name).map(|(_, address)| *address)
            };
            let object = of("self").unwrap_or(0);
            let type_name = self.type_name(object).unwrap_or_default();
            let function = code.name.rsplit('.').next().unwrap_or("");
            let Some(purpose) = purpose(&code.filename, function, &type_name) else { break };
            if depth == 0 && !may_sleep(purpose, function, lock, of("waiter")) {
                return None;
            }
            let inner = found.take();
            found = Some(self.described(purpose, object, type_name, inner));
        }
        found
    }

    fn described(
        &self,
        purpose: Purpose,
        object: u64,
        type_name: String,
        inner: Option<Construct>,
    ) -> Construct {
        let text = |names: &[&str]| {
            let text = self.first_attribute(object, names)?;
            self.objects.text(text, 256).ok()
        };
        let number = |names: &[&str]| {
            let number = self.first_attribute(object, names)?;
            self.objects.small_int(number).ok().map(|number| number as u64)
        };
        let (name, thread) = match purpose {
            Purpose::Join | Purpose::Start => {
                (text(&["_name", "_Thread__name"]), number(&["_ident", "_Thread__ident"]))
            }
            Purpose::Import => (text(&["name"]), number(&["owner"])),
            // The thread that it is at.
            Purpose::Shutdown => inner.map_or((None, None), |inner| (inner.name, inner.thread)),
            _ => (None, None),
        };
        Construct { purpose, object, type_name, name, thread }
    }
}

/// Whether the innermost function is at its wait, and not at a lock that it takes.
fn may_sleep(purpose: Purpose, function: &str, lock: Option<&Lock>, waiter: Option<u64>) -> bool {
    let Some(lock) = lock else { return true };
    match purpose {
        // `Condition.wait` sleeps at a lock of its own, then takes the condition's again.
        Purpose::Condition => Some(lock.address) == waiter,
        Purpose::Join => function != "join",
        Purpose::Shutdown | Purpose::Import => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_standard_library() {
        for (file, function, type_name, expected) in [
            ("/usr/lib/python3.8/threading.py", "wait", "Condition", Some(Purpose::Condition)),
            ("/usr/lib/python3.8/threading.py", "wait", "Event", Some(Purpose::Event)),
            ("/usr/lib/python2.7/threading.pyc", "wait", "_Event", Some(Purpose::Event)),
            ("/usr/lib/python2.7/Queue.py", "get", "Queue", Some(Purpose::Get)),
            (
                "/opt/lib/python3.13t/concurrent/futures/_base.py",
                "result",
                "Future",
                Some(Purpose::Future),
            ),
            ("/x/python313.zip/queue.py", "get", "Queue", Some(Purpose::Get)),
            ("/src/cpython/Lib/queue.py", "get", "Queue", Some(Purpose::Get)),
            ("threading.py", "wait", "Event", Some(Purpose::Event)),
            ("/usr/lib/python3.8/threading.py", "run", "Thread", None),
            ("/app/queue.py", "get", "RedisQueue", None),
            ("/usr/lib/python3.8/site-packages/app/queue.py", "get", "Queue", None),
            ("/x/mythreading.py", "wait", "Condition", None),
            ("<frozen importlib._bootstrap>", "acquire", "_ModuleLock", Some(Purpose::Import)),
            ("<frozen importlib._bootstrap>", "acquire", "Other", None),
        ] {
            assert_eq!(purpose(file, function, type_name), expected, "{file} {function}");
            assert!(expected.is_none() || may_wait(file), "{file}");
        }
    }
}
