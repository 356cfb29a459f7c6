//! What is shown for an address: the functions there, and what part they play.

use super::{Function, Shown, Space};
use crate::interpreter::{self, Role};
use crate::symbol::{cython, demangle};
use crate::unwind::{scan, scan_arm};
use remote::Memory;
use remote::core::Machine;

impl Space {
    /// What is shown for the site number `at`.
    pub(super) fn describe(&mut self, memory: &dyn Memory, at: usize) -> Shown {
        let (address, bounds) = (self.sites[at].address, self.sites[at].function);
        let Some(image) = self.sites[at].image else { return self.describe_generated(address) };
        let bias = address.wrapping_sub(self.images[image].in_file(memory, address));
        let in_file = |address: u64| address.wrapping_sub(bias);
        let interpreter = self.images[image].interpreter;
        let bounds_in_file = bounds.map(|(start, end)| (in_file(start), in_file(end)));
        let roots = std::mem::take(&mut self.setting.roots);
        let module = self.images[image].path.clone();
        let mut raw = None;
        let mut source_file = None;
        let mut lines = Vec::new();
        let mut eval_calls_loop = false;
        let library = self.setting.library.clone();
        if let Some((symbols, source)) = self.images[image].symbols(memory, &library, &roots) {
            let mut symbols = symbols.borrow_mut();
            let symbol = symbols.function(in_file(address), bounds_in_file);
            raw = symbol.map(|symbol| symbol.name.to_owned());
            eval_calls_loop = interpreter
                && raw.as_deref() == Some("PyEval_EvalFrameEx")
                && symbols.address("_PyEval_EvalFrameDefault").is_some();
            source_file = symbol.and_then(|symbol| symbol.file.map(str::to_owned));
            if !interpreter {
                lines = symbols.lines(source, in_file(address));
            }
        }
        let base = raw.as_deref().map(demangle::base).unwrap_or_default();
        let role = if interpreter {
            match interpreter::role(base, source_file.as_deref()) {
                Role::Internal if self.is_cold_eval(memory, image, bounds) => Role::Eval,
                Role::Eval if eval_calls_loop => Role::Internal,
                role => role,
            }
        } else if interpreter::is_startup(base, &module) {
            Role::Startup
        } else if raw.as_deref().is_some_and(|raw| cython::is_helper(&demangle::plain(raw))) {
            Role::Internal
        } else {
            Role::Plain
        };
        let start = in_file(bounds.map_or(address, |(start, _)| start));
        let mut functions = Vec::new();
        let python_module = self.images[image].python_module().map(str::to_owned);
        // The outermost one is the function itself, which the symbol table knows by its
        // whole name.
        let count = lines.len().max(1);
        for i in 0..count {
            let line = lines.get(i);
            let own = i + 1 == count;
            let name = match (own, &raw, line.and_then(|line| line.function.as_deref())) {
                (true, Some(raw), _) => Some(raw.as_str()),
                (_, _, name) => name,
            };
            if !own && name.is_some_and(|name| cython::is_helper(&demangle::plain(name))) {
                continue;
            }
            // In C++ these are mangled as well.
            let plain = name.map(demangle::plain);
            let made =
                plain.as_deref().and_then(|name| cython::function(name, python_module.as_deref()));
            let mut function = Function {
                name: plain.unwrap_or_else(|| format!("{start:#x}")),
                file: line.and_then(|line| line.file.clone()).unwrap_or_default(),
                line: line.map_or(0, |line| line.line),
                module: module.clone(),
                cython: made.is_some(),
            };
            if let Some(name) = made {
                let of = (module.as_str(), python_module.as_deref());
                let place = self.cython.find(&function.file, function.line, of, &roots);
                function.name = place.as_ref().and_then(|p| p.function.clone()).unwrap_or(name);
                (function.file, function.line) =
                    place.map(|place| (place.file, place.line)).unwrap_or_default();
            }
            functions.push(self.intern(function));
        }
        self.setting.roots = roots;
        functions.dedup();
        self.list(role, functions)
    }

    fn describe_generated(&mut self, address: u64) -> Shown {
        let found = self.perf_map.as_mut().and_then(|map| map.find(address));
        let (name, role) = match found {
            Some((_, name)) if interpreter::is_trampoline(name) => {
                (name.to_owned(), Role::Internal)
            }
            Some((_, name)) => (demangle::plain(name), Role::Plain),
            None => ("[generated code]".to_owned(), Role::Generated),
        };
        let function =
            Function { name, file: String::new(), line: 0, module: String::new(), cython: false };
        let function = self.intern(function);
        self.list(role, vec![function])
    }

    /// Whether a function is a part of the evaluation loop that the compiler has moved away
    /// from it, where no symbol says so: the loop jumps into it.
    fn is_cold_eval(
        &mut self,
        memory: &dyn Memory,
        image: usize,
        bounds: Option<(u64, u64)>,
    ) -> bool {
        let Some((start, end)) = bounds else { return false };
        if !std::mem::replace(&mut self.cold_sought, true) {
            self.cold = self.find_cold(memory, image).unwrap_or_default();
        }
        self.cold.iter().any(|(from, to)| (*from, *to) == (start, end))
    }

    fn find_cold(&mut self, memory: &dyn Memory, image: usize) -> Option<Vec<(u64, u64)>> {
        /// One jump may be data that looks like one.
        const ENOUGH: usize = 4;
        let roots = self.setting.roots.clone();
        let bias = {
            let start = self.images[image].range.0;
            start.wrapping_sub(self.images[image].in_file(memory, start))
        };
        let library = self.setting.library.clone();
        let eval = {
            let (symbols, _) = self.images[image].symbols(memory, &library, &roots)?;
            let symbols = symbols.borrow();
            let found = symbols.address("_PyEval_EvalFrameDefault");
            found.or_else(|| symbols.address("PyEval_EvalFrameEx"))?.wrapping_add(bias)
        };
        let machine = self.setting.machine;
        let range = self.images[image].function(memory, machine, eval)?;
        let text = |at: u64, into: &mut [u8]| memory.read_some(at, into).unwrap_or(0);
        let mut found: Vec<((u64, u64), usize)> = Vec::new();
        let targets = match machine {
            Machine::X86_64 => scan::jump_targets(&text, range),
            Machine::Aarch64 => scan_arm::jump_targets(&text, range),
        };
        for target in targets {
            if let Some((_, count)) =
                found.iter_mut().find(|((start, end), _)| (*start..*end).contains(&target))
            {
                *count += 1;
                continue;
            }
            let part = self.images[image]
                .unwind(memory, machine, target)
                // A function of its own finds nothing but a return address.
                .filter(|part| part.entry_depth > 8);
            if let Some(part) = part {
                found.push((part.function, 1));
            }
        }
        found.retain(|(_, count)| *count >= ENOUGH);
        Some(found.into_iter().map(|(range, _)| range).collect())
    }
}
