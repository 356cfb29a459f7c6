//! `dump --core --native`: the native stacks of a core file's threads.

use crate::sampler::Merged;
use cpython::Runtime;
use cpython::runs;
use cpython::still::Stack;
use cpython::threads::ThreadState;
use native::{Choice, Function, FunctionId, Level, Library, Registers, Setting, Space, Step, Walk};
use remote::Memory;
use remote::core::{Core, CoreThread};
use std::path::Path;

/// The native stacks of a core file.
pub struct CoreNatives<'a> {
    core: &'a Core,
    runtime: &'a Runtime,
    space: Space,
    choice: Choice,
    walk: Walk,
    /// How many of them do not fit their Python stacks, or end early.
    pub unmerged: u64,
}

/// The Python stack of a thread.
#[derive(Clone, Copy)]
pub struct Python<'a> {
    /// Its thread.
    pub state: &'a ThreadState,
    /// Its frames.
    pub stack: &'a Stack,
    /// The number that each of them is shown by, counted from the innermost; `None` for
    /// the interpreter's own.
    pub numbers: &'a [Option<usize>],
}

impl<'a> CoreNatives<'a> {
    /// `None` where this is not possible: core files of 32-bit programs. Debug files are
    /// sought under `root`.
    pub fn new(
        core: &'a Core,
        runtime: &'a Runtime,
        choice: Choice,
        root: &Path,
    ) -> Option<CoreNatives<'a>> {
        if core.memory.arch() != remote::Arch::LE64 {
            return None;
        }
        let setting = Setting {
            machine: core.machine,
            interpreter: runtime.module.clone(),
            roots: vec![root.to_owned()],
            perf_map: None,
            library: Library::default(),
        };
        let mut space = Space::new(setting);
        space.update(&core.mappings, &core.modules);
        let walk = Walk::default();
        Some(CoreNatives { core, runtime, space, choice, walk, unmerged: 0 })
    }

    /// The stack of a thread, innermost first. All frames of `python` that are to be shown
    /// are there.
    pub fn merge(&mut self, thread: &CoreThread, python: Option<Python>) -> Vec<Merged> {
        let memory = &self.core.memory;
        let sp = thread.stack_pointer();
        let mappings = &self.core.mappings;
        let around = mappings.iter().find(|mapping| (mapping.start..mapping.end).contains(&sp));
        let (start, end) = around.map_or((0, 0), |mapping| (mapping.start, mapping.end));
        let word = |address: u64| {
            let inside = address >= start && address.checked_add(8)? <= end;
            if inside { memory.uint(address, 8).ok() } else { None }
        };
        match Registers::from_kernel(self.core.machine, &thread.registers) {
            Some(registers) => self.space.walk(memory, &registers, &word, &mut self.walk),
            None => self.walk = Walk::default(),
        }
        let mut runs = Vec::new();
        if let Some(python) = python {
            let layout = &self.runtime.layout;
            let cframe = layout.thread.cframe.and_then(|offset| {
                memory.ptr(python.state.address.wrapping_add(u64::from(offset))).ok()
            });
            let Stack { frames, visited, .. } = python.stack;
            runs::find(layout, runs::Stack { frames, visited, cframe }, &word, &mut runs);
        }
        let level =
            |run: &runs::Run| Level { marker: run.marker, frame: run.frame, count: run.count };
        let levels: Vec<Level> = runs.iter().map(level).collect();
        let mut steps = Vec::new();
        let (space, walk) = (&mut self.space, &self.walk);
        let outcome = native::merge(space, memory, &word, walk, &levels, self.choice, &mut steps);
        self.unmerged += u64::from(!outcome.whole);
        let numbers = python.map_or(&[][..], |python| python.numbers);
        let steps = steps.into_iter().filter_map(|step| match step {
            Step::Python(frame) => numbers.get(frame).copied().flatten().map(Merged::Python),
            Step::Native(function) => Some(Merged::Native(function)),
        });
        steps.collect()
    }

    /// Threads that run no Python as well.
    pub fn shows_all(&self) -> bool {
        self.choice.all
    }

    /// What a function is.
    pub fn function(&self, id: FunctionId) -> Option<&Function> {
        self.space.function(id)
    }
}
