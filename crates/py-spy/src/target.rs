//! A Python process that we have attached to.

use crate::error::Error;
use cpython::Runtime;
use cpython::discover::{self, Landscape, NotFound};
use remote::Memory;
use remote::os::{OpenError, Process};
use std::time::{Duration, Instant};

/// A live process and the CPython in it.
#[derive(Debug)]
pub struct Target {
    /// The process.
    pub process: Process,
    /// Its interpreter.
    pub runtime: Runtime,
}

/// How long a process that has just been started is given to become a Python, and how
/// long one that already is takes at most to have an interpreter.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same of one that we started and that has loaded a Python: the machine may be busy.
const START_PATIENCE: Duration = Duration::from_secs(30);

impl Target {
    /// Attaches to the process `pid`. `fresh` says that we started it ourselves, so that
    /// what does not look like Python yet may still become one.
    pub fn attach(pid: i32, fresh: bool) -> Result<Target, Error> {
        let start = Instant::now();
        loop {
            // Asked before the look: during it, the process may become all that we look for.
            let (elapsed, young) = (start.elapsed(), fresh || is_young(pid));
            let missing = match Target::try_attach(pid)? {
                Ok(target) => {
                    log::debug!(
                        "process {pid}: CPython {} in {} ({})",
                        target.runtime.layout.version,
                        target.runtime.module,
                        target.runtime.how
                    );
                    return Ok(target);
                }
                Err(missing) => missing,
            };
            let patience = match &missing {
                NotFound::NotRunning(_) if fresh => START_PATIENCE,
                NotFound::NotRunning(_) => PATIENCE,
                NotFound::NoPython(_) if young => PATIENCE,
                NotFound::NoPython(_) | NotFound::Unsupported(..) => Duration::ZERO,
            };
            if elapsed >= patience {
                return Err(Error::not_python(pid, missing));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// One attempt to attach to the process `pid`.
    pub fn try_attach(pid: i32) -> Result<Result<Target, NotFound>, Error> {
        let open = |error: OpenError| Error::open(pid, error);
        let process = Process::open(pid).map_err(open)?;
        let mappings = process.mappings().map_err(open)?;
        let modules = process.modules_in(&mappings);
        let landscape =
            Landscape { memory: &process.memory, modules: &modules, mappings: &mappings };
        Ok(discover::find(landscape).map(|runtime| Target { process, runtime }))
    }

    /// A process that was forked by one whose CPython is `runtime`: its own is at the same
    /// place. `None` if it is not.
    pub fn like(pid: i32, runtime: &Runtime) -> Option<Target> {
        let process = Process::open(pid).ok()?;
        let memory = &process.memory;
        let interpreter = memory.ptr(runtime.interpreters_head).ok().filter(|at| *at != 0)?;
        let same = memory.arch() == runtime.layout.arch
            && discover::check_interpreter(memory, &runtime.layout, interpreter);
        same.then(|| Target { process, runtime: runtime.clone() })
    }

    /// The command line, or the executable's path for a process that hides its own.
    pub fn command(&self) -> String {
        crate::fleet::command(self.process.pid)
    }
}

/// Started within the last two seconds.
fn is_young(pid: i32) -> bool {
    remote::os::process::age(pid).is_some_and(|age| age < Duration::from_secs(2))
}
