//! The code of one process: its modules, and what is known of each address in them.

mod describe;

use crate::image::Image;
use crate::interpreter::{self, Role};
use crate::registers::Registers;
use crate::symbol::cython::LineMaps;
use crate::symbol::library::Library;
use crate::symbol::perf::PerfMap;
use crate::unwind::{Rule, Stack, Stop, scan, scan_arm};
use remote::core::Machine;
use remote::{Mapping, Memory, Module};
use rustc_hash::FxHashMap;
use std::path::PathBuf;

/// Deeper stacks are cut; at 16 bytes a frame the least, this is some megabytes of stack.
const MAX_FRAMES: usize = 200_000;
/// Addresses known; past this many all are forgotten and learned anew.
const MAX_SITES: usize = 1 << 18;

/// What a process's code is, and where it can be looked for.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The processor.
    pub machine: Machine,
    /// The path of the module that holds the interpreter.
    pub interpreter: String,
    /// Folders that debug files and sources are looked for under: the target's root, then
    /// ours.
    pub roots: Vec<PathBuf>,
    /// Symbols that have been read for other processes, and are kept for others.
    pub library: Library,
    /// Where the program names the functions that it generates.
    pub perf_map: Option<PathBuf>,
}

/// A native function at a source line, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// Its name, demangled.
    pub name: String,
    /// The source file's path; empty if unknown.
    pub file: String,
    /// The line in it; 0 is unknown.
    pub line: u32,
    /// The path of the module that it is in.
    pub module: String,
    /// Cython made it.
    pub cython: bool,
}

impl Function {
    /// Where it is: the source file, or else the module.
    pub fn place(&self) -> &str {
        if self.file.is_empty() { &self.module } else { &self.file }
    }
}

/// Index of a [`Function`] in its [`Space`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FunctionId(pub u32);

/// Index of what is known of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SiteId(u32);

/// What is known of an address of code.
#[derive(Debug)]
struct Site {
    /// The address that was looked up: of the instruction, or inside of the call.
    address: u64,
    image: Option<usize>,
    /// The range of its function.
    function: Option<(u64, u64)>,
    rule: Rule,
    /// It comes from following the code: the return address must be checked.
    followed: bool,
    /// The kernel made this frame for a signal.
    signal: bool,
    shown: Option<Shown>,
}

/// How an address is shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub role: Role,
    /// A function of the C library's without a name.
    pub nameless_libc: bool,
    /// A wait that tells that its caller is `take_gil`.
    pub gil_wait: bool,
    /// The wait for a lock, which is the GIL if the caller is the evaluation loop or...
    pub lock_wait: bool,
    /// ... a function that does no more than to take the GIL.
    pub for_gil: bool,
    /// Where its functions are listed.
    first: u32,
    count: u32,
}

/// One frame of a native stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    pub(crate) site: SiteId,
    /// The instruction, or where it returns to.
    pub pc: u64,
    /// The stack pointer: the frame reaches from here up to its caller's.
    pub sp: u64,
}

/// A native stack.
#[derive(Debug, Default)]
pub struct Walk {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// Where the outermost frame ends, if that is known.
    pub end: Option<u64>,
    /// Why there are no more.
    pub stop: Option<Stop>,
}

/// The code of one process.
#[derive(Debug)]
pub struct Space {
    setting: Setting,
    images: Vec<Image>,
    /// Mapped now: range and index, by address.
    order: Vec<(u64, u64, usize)>,
    /// Where the last mapping ends.
    end: u64,
    /// Executable memory without a file.
    generated: Vec<(u64, u64)>,
    known: FxHashMap<u64, SiteId>,
    sites: Vec<Site>,
    /// The functions of all sites that were shown, each site's one after the other.
    listed: Vec<FunctionId>,
    functions: Vec<Function>,
    function_ids: FxHashMap<Function, FunctionId>,
    perf_map: Option<PerfMap>,
    cython: LineMaps,
    /// Parts of the evaluation loop that were moved away from it.
    cold: Vec<(u64, u64)>,
    cold_sought: bool,
}

impl Space {
    /// Without any module yet.
    pub fn new(setting: Setting) -> Space {
        let perf_map = setting.perf_map.clone().map(PerfMap::new);
        Space {
            setting,
            images: Vec::new(),
            order: Vec::new(),
            end: 0,
            generated: Vec::new(),
            known: FxHashMap::default(),
            sites: Vec::new(),
            listed: Vec::new(),
            functions: Vec::new(),
            function_ids: FxHashMap::default(),
            perf_map,
            cython: LineMaps::default(),
            cold: Vec::new(),
            cold_sought: false,
        }
    }

    /// The processor.
    pub fn machine(&self) -> Machine {
        self.setting.machine
    }

    /// Takes note of what is mapped now. What is known of modules that are still there is
    /// kept.
    pub fn update(&mut self, mappings: &[Mapping], modules: &[Module]) {
        let old = std::mem::take(&mut self.order);
        if let Some(map) = &mut self.perf_map {
            map.recheck();
        }
        let mut add = |images: &mut Vec<Image>, module: Image, inode: u64| {
            let range = module.range;
            let same = |(_, _, at): &&(u64, u64, usize)| {
                images.get(*at).is_some_and(|image| image.is(&module.path, inode, range))
            };
            let at = old.iter().find(same).map_or(images.len(), |(_, _, at)| *at);
            if at == images.len() {
                images.push(module);
            }
            self.order.push((range.0, range.1, at));
        };
        for module in modules {
            let inode = module.mappings.first().map_or(0, |mapping| mapping.inode);
            // Code that was generated can lie right behind a module's variables.
            let of_file = module.mappings.iter().rev().find(|mapping| mapping.inode != 0);
            let end = of_file.map_or(0, |mapping| mapping.end);
            let interpreter = module.path == self.setting.interpreter;
            let range = (module.start(), end);
            let image = Image::new(&module.path, module.file.clone(), inode, range, interpreter);
            add(&mut self.images, image, inode);
        }
        self.end = mappings.iter().map(|mapping| mapping.end).max().unwrap_or(0);
        self.generated.clear();
        for mapping in mappings.iter().filter(|mapping| mapping.execute) {
            let range = (mapping.start, mapping.end);
            if mapping.path == "[vdso]" {
                add(&mut self.images, Image::new("[vdso]", None, 0, range, false), 0);
            } else if mapping.inode == 0
                || !modules
                    .iter()
                    .any(|module| module.mappings.iter().any(|other| other.start == mapping.start))
            {
                self.generated.push(range);
            }
        }
        self.order.sort_unstable();
        self.forget(&old);
    }

    /// Forgets what was known of addresses that mean something else now, or may.
    fn forget(&mut self, old: &[(u64, u64, usize)]) {
        let gone: Vec<(u64, u64)> = old
            .iter()
            .filter(|(_, _, at)| !self.order.iter().any(|(_, _, now)| now == at))
            .map(|(start, end, at)| {
                self.images[*at].unmapped();
                (*start, *end)
            })
            .collect();
        let sites = &self.sites;
        self.known.retain(|address, site| {
            // Generated code may have been generated anew.
            let placed = sites.get(site.0 as usize).is_some_and(|site| site.image.is_some());
            placed && !gone.iter().any(|(start, end)| (*start..*end).contains(address))
        });
    }

    fn image_at(&self, address: u64) -> Option<usize> {
        let next = self.order.partition_point(|(start, ..)| *start <= address);
        let (_, end, at) = self.order.get(next.checked_sub(1)?)?;
        (address < *end).then_some(*at)
    }

    /// Whether there is code at an address, as far as is known: if not, ask for a
    /// [`Space::update`].
    pub fn is_code(&self, address: u64) -> bool {
        self.image_at(address).is_some()
            || self.generated.iter().any(|(start, end)| (*start..*end).contains(&address))
    }

    /// Unwinds the stack of a thread that has these registers. `memory` is where code and
    /// unwind information are read, when an address is seen for the first time.
    pub fn walk(
        &mut self,
        memory: &dyn Memory,
        registers: &Registers,
        stack: &dyn Stack,
        into: &mut Walk,
    ) {
        into.frames.clear();
        into.end = None;
        // No frame of an earlier walk is asked about any longer.
        if self.sites.len() >= MAX_SITES {
            self.known.clear();
            self.sites.clear();
            self.listed.clear();
        }
        let mut registers = *registers;
        registers.end_addresses_at(self.end);
        // Where a call returns to belongs to the call only from one byte before.
        let mut called = false;
        into.stop = Some(loop {
            let address = registers.pc.wrapping_sub(u64::from(called));
            if !self.is_code(address) {
                break Stop::NoCode(registers.pc);
            }
            let id = self.site(memory, address);
            into.frames.push(Frame { site: id, pc: registers.pc, sp: registers.sp() });
            if into.frames.len() >= MAX_FRAMES {
                break Stop::TooLong;
            }
            let site = &self.sites[id.0 as usize];
            if let Err(stop) = site.rule.apply(&mut registers, stack) {
                break stop;
            }
            into.end = Some(registers.sp());
            if site.followed && !is_behind_call(memory, self.setting.machine, registers.pc) {
                break Stop::NoCode(registers.pc);
            }
            called = !site.signal;
        });
        if into.stop != Some(Stop::Outermost) {
            // Of the frame that could not be left, only the start is known.
            let complete = matches!(into.stop, Some(Stop::NoCode(_))) && !into.frames.is_empty();
            into.end = into.end.filter(|_| complete);
        }
    }

    fn site(&mut self, memory: &dyn Memory, address: u64) -> SiteId {
        if let Some(site) = self.known.get(&address) {
            return *site;
        }
        let site = self.make_site(memory, address);
        let id = SiteId(u32::try_from(self.sites.len()).unwrap_or(u32::MAX));
        self.sites.push(site);
        self.known.insert(address, id);
        id
    }

    fn make_site(&mut self, memory: &dyn Memory, address: u64) -> Site {
        let machine = self.setting.machine;
        let image = self.image_at(address).filter(|at| !self.images[*at].is_raw(memory));
        let found = image.and_then(|at| self.images[at].unwind(memory, machine, address));
        let mut site = Site {
            address,
            image,
            function: None,
            rule: Rule::Unknown,
            followed: false,
            signal: false,
            shown: None,
        };
        match found {
            Some(found) => {
                site.function = Some(found.function);
                site.rule = found.rule;
                site.signal = found.signal;
            }
            None => {
                // Looked up inside of a call, the code goes on behind it.
                site.rule = self.follow(memory, address);
                site.followed = true;
            }
        }
        site
    }

    /// A rule for code without unwind information, from the code.
    fn follow(&self, memory: &dyn Memory, address: u64) -> Rule {
        let text = |at: u64, into: &mut [u8]| memory.read_some(at, into).unwrap_or(0);
        // `address` is an instruction, or the last byte of a call.
        let call = is_behind_call(memory, self.setting.machine, address.wrapping_add(1));
        let from = if call { address.wrapping_add(1) } else { address };
        let rule = match self.setting.machine {
            Machine::X86_64 => scan::rule(&text, from),
            // Instructions begin at multiples of four.
            Machine::Aarch64 => scan_arm::rule(&text, address.wrapping_add(1) & !3),
        };
        rule.unwrap_or(Rule::Unknown)
    }

    /// The range of a frame's function, where it is known.
    pub(crate) fn bounds(&self, frame: &Frame) -> Option<(u64, u64)> {
        self.sites.get(frame.site.0 as usize)?.function
    }

    /// Whether a frame is the interpreter's, or of code without a name.
    pub(crate) fn is_interpreter(&self, frame: &Frame) -> bool {
        let image = self.sites.get(frame.site.0 as usize).and_then(|site| site.image);
        image.is_some_and(|image| self.images[image].interpreter)
    }

    /// Whether two frames are of the same module.
    pub(crate) fn same_module(&self, one: &Frame, other: &Frame) -> bool {
        let image = |frame: &Frame| self.sites.get(frame.site.0 as usize)?.image;
        image(one).is_some() && image(one) == image(other)
    }

    /// What is shown for a frame; names are looked up when they are first asked for.
    pub(crate) fn shown(&mut self, memory: &dyn Memory, frame: &Frame) -> Shown {
        let at = frame.site.0 as usize;
        if let Some(shown) = self.sites.get(at).and_then(|site| site.shown) {
            return shown;
        }
        let shown = self.describe(memory, at);
        if let Some(site) = self.sites.get_mut(at) {
            site.shown = Some(shown);
        }
        shown
    }

    /// The functions of a frame, the innermost inlined one first.
    pub(crate) fn functions_of(&self, shown: Shown) -> &[FunctionId] {
        let (first, count) = (shown.first as usize, shown.count as usize);
        self.listed.get(first..first + count).unwrap_or_default()
    }

    fn list(&mut self, role: Role, functions: Vec<FunctionId>) -> Shown {
        let last = functions.last().and_then(|id| self.function(*id));
        let shown = Shown {
            role,
            nameless_libc: last.is_some_and(|function| {
                function.name.starts_with("0x") && interpreter::is_c_library(&function.module)
            }),
            lock_wait: last.is_some_and(|function| interpreter::is_lock_wait(&function.name)),
            for_gil: last.is_some_and(|function| interpreter::is_for_gil(&function.name)),
            gil_wait: last.is_some_and(|function| interpreter::is_gil_wait(&function.name)),
            first: self.listed.len() as u32,
            count: functions.len() as u32,
        };
        self.listed.extend(functions);
        shown
    }

    /// A function that was shown.
    pub fn function(&self, id: FunctionId) -> Option<&Function> {
        self.functions.get(id.0 as usize)
    }

    /// The function of a frame by another name.
    pub(crate) fn named_like(&mut self, shown: Shown, name: &str) -> FunctionId {
        let last = self.functions_of(shown).last();
        let function = last.and_then(|id| self.function(*id)).cloned();
        let module = function.map(|function| function.module).unwrap_or_default();
        let (name, file) = (name.to_owned(), String::new());
        self.intern(Function { name, file, line: 0, module, cython: false })
    }

    fn intern(&mut self, function: Function) -> FunctionId {
        if let Some(id) = self.function_ids.get(&function) {
            return *id;
        }
        let id = FunctionId(u32::try_from(self.functions.len()).unwrap_or(u32::MAX));
        self.functions.push(function.clone());
        self.function_ids.insert(function, id);
        id
    }
}

/// Whether `address` is where a call returns to.
fn is_behind_call(memory: &dyn Memory, machine: Machine, address: u64) -> bool {
    match machine {
        Machine::X86_64 => {
            let mut before = [0; 8];
            memory.read(address.wrapping_sub(8), &mut before).is_ok()
                && scan::is_behind_call(&before)
        }
        Machine::Aarch64 => {
            let mut before = [0; 4];
            memory.read(address.wrapping_sub(4), &mut before).is_ok()
                && scan_arm::is_behind_call(before)
        }
    }
}
