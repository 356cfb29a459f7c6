//! The code objects seen, by address and by what they were compiled from.

use super::trie::Call;
use cpython::frames::RawFrame;
use cpython::value::{Budget, Cache, Decoder};
use cpython::{CodeInfo, Layout, Objects};
use remote::{Batch, Memory};
use rustc_hash::FxHashMap;

/// What a code object was compiled from; the same for all code objects that cannot be
/// told apart by what is shown of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodeId(u32);

impl CodeId {
    /// No code object.
    pub const NONE: CodeId = CodeId(u32::MAX);

    /// A native function of the sampler's, in the place of a code object.
    pub fn of_native(function: u32) -> CodeId {
        CodeId(NATIVE | function.min(NATIVE - 2))
    }

    /// The native function that it stands for; `None` for a code object.
    pub fn native(self) -> Option<u32> {
        (self.0 & NATIVE != 0 && self != CodeId::NONE).then_some(self.0 & !NATIVE)
    }

    #[cfg(test)]
    pub(crate) fn new(id: u32) -> CodeId {
        CodeId(id)
    }

    /// For tables by code object.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Set for native functions.
const NATIVE: u32 = 1 << 31;

/// The code object that was last seen at an address.
#[derive(Debug)]
struct Place {
    id: CodeId,
    info: CodeInfo,
    /// The batch and the generation with which its signature was last compared.
    batch: u64,
    generation: Option<u64>,
    /// Addresses of the thread-local copies of the bytecode, by index (free-threaded).
    thread_local: Vec<u64>,
}

/// Programs that make code objects all the time use ever new addresses: past this many
/// the addresses, not what was found there, are forgotten.
const MAX_PLACES: usize = 1 << 17;

/// All code objects seen so far.
#[derive(Debug, Default)]
pub struct Codes {
    /// The classes of methods are looked for where code objects do not know them.
    class_names: bool,
    infos: Vec<CodeInfo>,
    by_source: FxHashMap<u64, CodeId>,
    places: FxHashMap<u64, Place>,
    /// Counts the reads of the target: what was compared against one batch need not be
    /// compared against it again.
    batch: u64,
    generation: Option<u64>,
    /// The generation moved between the last two batches, and may again.
    unsettled: bool,
}

/// What a frame of a batch stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// This code at this instruction.
    Call(Call),
    /// Its code object has not been seen, or is another one than was seen there before.
    New,
    /// The batch does not hold what is needed to recognise the code object.
    Unread,
    /// Frame and code object do not belong together: it was read while it changed.
    Torn,
}

impl Codes {
    /// None seen yet. With `class_names`, the names of methods tell their class where that can
    /// be found out.
    pub fn new(class_names: bool) -> Codes {
        Codes { class_names, ..Codes::default() }
    }

    /// What was read of a code object.
    pub fn info(&self, id: CodeId) -> Option<&CodeInfo> {
        self.infos.get(id.index())
    }

    /// A new batch has been read. `generation` is the interpreters' count of dead code
    /// objects where they keep one (3.14 and later): while it stands still, all
    /// addresses mean what they meant.
    pub fn new_batch(&mut self, generation: Option<u64>) {
        self.batch += 1;
        self.unsettled = generation != self.generation;
        self.generation = generation;
    }

    /// Asks `batch` for what [`Codes::resolve`] needs to recognise the code object at
    /// `address`, where that is not known without.
    pub fn request(&self, layout: &Layout, address: u64, batch: &mut Batch) {
        let Some(place) = self.places.get(&address) else { return };
        let settled = self.generation.is_some() && !self.unsettled;
        if !(settled && place.generation == self.generation) {
            place.info.signature().request(layout, address, batch);
        }
    }

    /// What `frame` stands for, by what `batch` holds.
    pub fn resolve(
        &mut self,
        memory: &dyn Memory,
        layout: &Layout,
        frame: &RawFrame,
        batch: &Batch,
    ) -> Resolved {
        let Some(place) = self.places.get_mut(&frame.code) else { return Resolved::New };
        let current = self.generation.is_some() && place.generation == self.generation;
        if place.batch != self.batch && !current {
            match place.info.signature().still(layout, frame.code, batch) {
                Some(true) => {
                    place.batch = self.batch;
                    place.generation = self.generation;
                }
                Some(false) => {
                    self.places.remove(&frame.code);
                    return Resolved::New;
                }
                None => return Resolved::Unread,
            }
        }
        match place.lasti(memory, layout, frame) {
            Some(lasti) => Resolved::Call(Call { code: place.id, lasti }),
            None => Resolved::Torn,
        }
    }

    /// What `frame` of a target that does not move stands for; `None` where its code
    /// object cannot be read.
    pub fn at_rest(&mut self, objects: Objects, frame: &RawFrame) -> Option<Call> {
        if !self.places.contains_key(&frame.code) && !self.load(objects, frame) {
            return None;
        }
        match self.resolve(objects.memory, objects.layout, frame, &Batch::default()) {
            Resolved::Call(call) => Some(call),
            _ => None,
        }
    }

    /// Reads the code object of `frame`, which holds it alive: its thread must stand still.
    /// False if there is none.
    pub fn load(&mut self, objects: Objects, frame: &RawFrame) -> bool {
        let address = frame.code;
        let Ok(mut info) = CodeInfo::load(objects, address) else { return false };
        if self.class_names {
            let memory = Cache::new(objects.memory);
            let objects = Objects { memory: &memory, ..objects };
            let decoder = Decoder::new(objects, Budget::level(1));
            if let Some(name) = decoder.method_name(frame) {
                info.name = name;
            }
        }
        let hash = info.source_hash();
        let same = self.by_source.get(&hash).copied();
        let same = same.filter(|id| self.infos[id.index()].same_source(&info));
        let id = match same {
            Some(id) => id,
            None => {
                let Ok(id) = u32::try_from(self.infos.len()) else { return false };
                self.infos.push(info.clone());
                self.by_source.insert(hash, CodeId(id));
                CodeId(id)
            }
        };
        if self.places.len() >= MAX_PLACES {
            self.places.clear();
        }
        let (batch, generation) = (self.batch, self.generation);
        let place = Place { id, info, batch, generation, thread_local: Vec::new() };
        self.places.insert(address, place);
        true
    }
}

impl Place {
    /// A frame's instruction as bytes into the bytecode; `None` if it is outside.
    fn lasti(&mut self, memory: &dyn Memory, layout: &Layout, frame: &RawFrame) -> Option<i32> {
        if frame.tlbc_index == 0 {
            return self.info.lasti(layout, frame.instruction, None);
        }
        let index = frame.tlbc_index as usize;
        let known = self.thread_local.get(index).copied().filter(|start| *start != 0);
        let lasti = known.and_then(|start| self.info.lasti(layout, frame.instruction, Some(start)));
        if lasti.is_some() || index >= 65_536 {
            return lasti;
        }
        let start = thread_local_start(memory, layout, self.info.address, index)?;
        self.thread_local.resize(self.thread_local.len().max(index + 1), 0);
        self.thread_local[index] = start;
        self.info.lasti(layout, frame.instruction, Some(start))
    }
}

/// `co_tlbc` points to a `_PyCodeArray`: a size, then a pointer to the bytecode of each
/// index (Include/cpython/code.h, 3.14).
fn thread_local_start(
    memory: &dyn Memory,
    layout: &Layout,
    code: u64,
    index: usize,
) -> Option<u64> {
    let word = layout.arch.word() as u64;
    let array = memory.ptr(code.wrapping_add(u64::from(layout.code.tlbc?))).ok()?;
    let size = memory.ptr(array).ok()?;
    if index as u64 >= size.min(1 << 20) {
        return None;
    }
    let start = memory.ptr(array.wrapping_add(word * (index as u64 + 1))).ok()?;
    (start != 0).then_some(start)
}
