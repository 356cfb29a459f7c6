//! Symbols that several processes share: those of the files that more than one has mapped.

use super::{Source, Symbols};
use remote::Memory;
use remote::os::FileId;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Past this many files, those that no process has mapped any longer are forgotten.
const MANY: usize = 128;

/// The symbols of files, read once for all processes that have them mapped.
#[derive(Debug, Clone, Default)]
pub struct Library {
    files: Rc<RefCell<FxHashMap<FileId, Rc<RefCell<Symbols>>>>>,
}

impl Library {
    /// The symbols of a module, read now if nobody has asked for them before.
    pub(crate) fn symbols(&self, memory: &dyn Memory, source: Source) -> Rc<RefCell<Symbols>> {
        let read = || Rc::new(RefCell::new(Symbols::read(memory, source)));
        let Some(id) = source.file.and_then(FileId::of) else { return read() };
        let mut files = self.files.borrow_mut();
        if files.len() >= MANY && !files.contains_key(&id) {
            files.retain(|_, symbols| Rc::strong_count(symbols) > 1);
        }
        files.entry(id).or_insert_with(read).clone()
    }
}
