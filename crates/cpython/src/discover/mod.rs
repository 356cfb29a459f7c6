//! Finding the interpreter: a list of strategies, each of which can say what it saw.
//!
//! For every module that may hold a CPython, in order of promise: the `.PyRuntime`
//! section, symbols, the debug cookie, and last a search of its variables for something
//! that points to an interpreter. What is found counts only once the interpreter behind
//! it has been checked: its threads must point back to it.

mod scan;
mod version;

use crate::layout::Layout;
use crate::layout::debug_offsets::{DebugOffsets, Rejected};
use crate::version::Version;
use remote::elf::{self, Elf};
use remote::{Mapping, Memory, Module};
use std::collections::HashMap;
use std::fmt;

pub use scan::check_interpreter;

/// A CPython found in a process.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Its offsets, and with them its version.
    pub layout: Layout,
    /// The address of the variable that points to the first interpreter.
    pub interpreters_head: u64,
    /// The address of the variable that points to the thread state which holds the GIL
    /// (up to 3.11, where known).
    pub tstate_current: Option<u64>,
    /// The path of the module that holds it.
    pub module: String,
    /// What led to it, for the log.
    pub how: &'static str,
}

/// What a search tried and saw, in order.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    /// One sentence a step.
    pub steps: Vec<String>,
}

impl Trail {
    /// Each step is one line: the paths in it are the target's, and may have line breaks.
    fn note(&mut self, step: impl Into<String>) {
        self.steps.push(step.into().replace('\n', "?"));
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, " - {step}")?;
        }
        Ok(())
    }
}

/// Why no interpreter was found.
#[derive(Debug, Clone)]
pub enum NotFound {
    /// Nothing looks like a CPython.
    NoPython(Trail),
    /// There is a CPython whose interpreter is not there (yet, or no more).
    NotRunning(Trail),
    /// There is a CPython of a version that is not supported.
    Unsupported(String, Trail),
}

/// What a search looks at.
#[derive(Clone, Copy)]
pub struct Landscape<'a> {
    /// The target's memory.
    pub memory: &'a dyn Memory,
    /// Its executable (first) and libraries.
    pub modules: &'a [Module],
    /// All its mappings, in order of address.
    pub mappings: &'a [Mapping],
}

const SYMBOLS: [&str; 5] =
    ["_PyRuntime", "Py_Version", "interp_head", "_PyThreadState_Current", "Py_GetVersion"];

/// Finds the CPython of a process.
pub fn find(landscape: Landscape) -> Result<Runtime, NotFound> {
    let mut trail = Trail::default();
    let mut verdict: Option<fn(Trail) -> NotFound> = None;
    let mut unsupported = None;
    let mut order: Vec<(usize, &Module)> = landscape.modules.iter().enumerate().collect();
    order.sort_by_key(|(i, module)| (promise(module, *i == 0), *i));
    for (i, module) in order {
        match in_module(landscape, module, i == 0, &mut trail) {
            Outcome::Found(runtime) => return Ok(*runtime),
            Outcome::Nothing => {}
            Outcome::NotRunning => verdict = Some(NotFound::NotRunning),
            Outcome::Unsupported(message) => unsupported = Some(message),
        }
    }
    Err(match (unsupported, verdict) {
        (Some(message), _) => NotFound::Unsupported(message, trail),
        (None, Some(verdict)) => verdict(trail),
        (None, None) => {
            trail.note(format!("{} modules hold no CPython", landscape.modules.len()));
            NotFound::NoPython(trail)
        }
    })
}

/// The lower, the earlier it is looked at.
fn promise(module: &Module, executable: bool) -> u8 {
    let name = module.name();
    match () {
        () if name.starts_with("libpython") => 0,
        () if executable => 1,
        () if name.to_ascii_lowercase().contains("python") => 2,
        () if name.starts_with("lib") || name.starts_with("ld-") => 4,
        () => 3,
    }
}

enum Outcome {
    Found(Box<Runtime>),
    Nothing,
    /// A CPython is there, its interpreter is not.
    NotRunning,
    Unsupported(String),
}

fn in_module(
    landscape: Landscape,
    module: &Module,
    executable: bool,
    trail: &mut Trail,
) -> Outcome {
    let memory = landscape.memory;
    let elf = Elf::open(module);
    if let Some(section) = elf.as_ref().and_then(|elf| elf.section(".PyRuntime")) {
        match published(landscape, module, section.address, "section .PyRuntime", trail) {
            Outcome::Nothing => {}
            outcome => return outcome,
        }
    }
    let symbols = match &elf {
        Some(elf) => elf.symbols(&SYMBOLS),
        None => {
            trail.note(format!(
                "{}: the file cannot be opened (deleted, replaced or another namespace); looking at its memory",
                module.path
            ));
            elf::symbols_in_memory(memory, module, &SYMBOLS)
        }
    };
    let named = module.name().to_ascii_lowercase().contains("python");
    if symbols.is_empty() && !executable && !named && promise(module, false) > 2 {
        // One of many libraries that have nothing to do with Python; an embedded static
        // CPython without any symbol would still show its cookie or banner.
        if module.writable().map(|(start, end)| end - start).sum::<u64>() < 100 << 10 {
            return Outcome::Nothing;
        }
    }
    if let Some(runtime) = symbols.get("_PyRuntime") {
        match published(landscape, module, *runtime, "symbol _PyRuntime", trail) {
            Outcome::Nothing => {}
            outcome => return outcome,
        }
    }
    let version = version::of_module(memory, module, &symbols, trail);
    // 3.13 and later without a section header or symbol: the cookie in its variables.
    if version.is_none_or(|version| version.at_least(3, 13)) {
        for address in scan::find_bytes(memory, module, crate::layout::debug_offsets::COOKIE) {
            match published(landscape, module, address, "debug cookie", trail) {
                Outcome::Nothing => {}
                outcome => return outcome,
            }
        }
    }
    let Some(version) = version else {
        if executable || named || !symbols.is_empty() {
            trail.note(format!(
                "{}: no .PyRuntime section, no debug cookie, and no version of CPython in its variables",
                module.path
            ));
        }
        return Outcome::Nothing;
    };
    by_version(landscape, module, version, &symbols, trail)
}

/// 3.13 and later: `_PyRuntime` at `address` publishes its own layout.
fn published(
    landscape: Landscape,
    module: &Module,
    address: u64,
    how: &'static str,
    trail: &mut Trail,
) -> Outcome {
    let memory = landscape.memory;
    let offsets = match DebugOffsets::read(memory, address) {
        Ok(offsets) => offsets,
        Err(Rejected::NotThere) => return Outcome::Nothing,
        Err(Rejected::Field(field)) => {
            trail.note(format!(
                "{}: {how} at {address:#x} has debug offsets that make no sense: {field}",
                module.path
            ));
            return Outcome::NotRunning;
        }
    };
    let arch = memory.arch();
    let layout = match Layout::new(offsets.version, offsets.free_threaded, arch, Some(&offsets)) {
        Ok(layout) => layout,
        Err(unsupported) => return Outcome::Unsupported(unsupported.message),
    };
    let head = address + u64::from(layout.runtime.interpreters_head.unwrap_or(0));
    accept(landscape, module, layout, head, None, how, trail)
}

/// Before 3.13: the layout comes from the table.
fn by_version(
    landscape: Landscape,
    module: &Module,
    version: Version,
    symbols: &HashMap<&'static str, u64>,
    trail: &mut Trail,
) -> Outcome {
    let layout = match Layout::new(version, false, landscape.memory.arch(), None) {
        Ok(layout) => layout,
        Err(unsupported) => {
            trail.note(format!("{}: {}", module.path, unsupported.message));
            return Outcome::Unsupported(unsupported.message);
        }
    };
    let mut waiting = false;
    let mut tried = |outcome: Outcome| match outcome {
        Outcome::NotRunning => {
            waiting = true;
            None
        }
        Outcome::Nothing => None,
        found => Some(found),
    };
    let runtime = &layout.runtime;
    if let (Some(address), Some(head)) = (symbols.get("_PyRuntime"), runtime.interpreters_head) {
        let current = current_at(landscape.memory, &layout, *address);
        let head = address + u64::from(head);
        let outcome =
            accept(landscape, module, layout.clone(), head, current, "symbol _PyRuntime", trail);
        if let Some(found) = tried(outcome) {
            return found;
        }
    }
    let current = symbols.get("_PyThreadState_Current").copied();
    if let Some(head) = symbols.get("interp_head") {
        let outcome =
            accept(landscape, module, layout.clone(), *head, current, "symbol interp_head", trail);
        if let Some(found) = tried(outcome) {
            return found;
        }
    }
    match scan::interpreters_head(landscape, module, &layout) {
        Some(head) => {
            // The runtime struct around the variable tells where its other fields are.
            let base = runtime.interpreters_head.map(|at| head.wrapping_sub(u64::from(at)));
            let current = current.or_else(|| current_at(landscape.memory, &layout, base?));
            accept(landscape, module, layout, head, current, "search of its variables", trail)
        }
        None => {
            trail.note(format!(
                "{}: CPython {version}, but none of its variables leads to an interpreter{}",
                module.path,
                if waiting { " (it is not initialised)" } else { "" }
            ));
            Outcome::NotRunning
        }
    }
}

/// Where `_PyRuntime` at `base` notes the thread state that holds the GIL (3.7 to 3.11).
///
/// Between its start and there lie two mutexes of the GIL's, and a mutex of glibc's has 48
/// bytes on aarch64 and 40 on x86_64 (sysdeps/*/nptl/bits/pthreadtypes-arch.h,
/// `__SIZEOF_PTHREAD_MUTEX_T`), as musl's have everywhere. The main interpreter, which is
/// noted right behind it, tells which it is.
fn current_at(memory: &dyn Memory, layout: &Layout, base: u64) -> Option<u64> {
    const MUTEXES: u64 = 2 * (48 - 40);
    let base = base.wrapping_add(u64::from(layout.runtime.tstate_current?));
    let behind = layout.runtime.auto_interpreter?.checked_sub(layout.runtime.tstate_current?)?;
    let leads_to_interpreter = |shift: &u64| {
        let at = base.wrapping_add(u64::from(behind)).wrapping_add(*shift);
        memory.ptr(at).is_ok_and(|main| main != 0 && check_interpreter(memory, layout, main))
    };
    let shift = [0, MUTEXES].into_iter().find(leads_to_interpreter).unwrap_or(0);
    Some(base.wrapping_add(shift))
}

fn accept(
    landscape: Landscape,
    module: &Module,
    layout: Layout,
    head: u64,
    current: Option<u64>,
    how: &'static str,
    trail: &mut Trail,
) -> Outcome {
    let memory = landscape.memory;
    let interpreter = memory.ptr(head).unwrap_or(0);
    if interpreter == 0 || !check_interpreter(memory, &layout, interpreter) {
        trail.note(format!(
            "{}: CPython {}, {how}: {}",
            module.path,
            layout.version,
            match interpreter {
                0 => "no interpreter has been created yet".to_owned(),
                at => format!("what is at {at:#x} is not an interpreter"),
            }
        ));
        return Outcome::NotRunning;
    }
    Outcome::Found(Box::new(Runtime {
        layout,
        interpreters_head: head,
        tstate_current: current,
        module: module.path.clone(),
        how,
    }))
}
