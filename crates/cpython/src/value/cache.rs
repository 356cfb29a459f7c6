//! Remembers what was read: values share types, names and neighbouring objects.

use remote::{Arch, Batch, Memory, ReadError};
use std::cell::RefCell;
use std::collections::HashMap;

/// What is read and kept at once. Objects are small and lie together.
const BLOCK: usize = 1024;
/// The most blocks that are kept: 16 MiB.
const MAX_BLOCKS: usize = 16 << 10;

/// A memory of which every block is read once only.
///
/// What it returns was true when it was first asked for. It is meant for the time of one
/// dump, of threads that stand still.
pub struct Cache<'a> {
    memory: &'a dyn Memory,
    blocks: RefCell<HashMap<u64, Box<[u8; BLOCK]>>>,
}

impl<'a> Cache<'a> {
    /// An empty one in front of `memory`.
    pub fn new(memory: &'a dyn Memory) -> Cache<'a> {
        Cache { memory, blocks: RefCell::default() }
    }

    /// Copies what block `start` has from `offset` on.
    fn copy_block(&self, start: u64, offset: usize, buffer: &mut [u8]) -> bool {
        let mut blocks = self.blocks.borrow_mut();
        if blocks.len() >= MAX_BLOCKS {
            blocks.clear();
        }
        let block = match blocks.entry(start) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                let mut bytes = Box::new([0; BLOCK]);
                if self.memory.read(start, &mut bytes[..]).is_err() {
                    return false;
                }
                free.insert(bytes)
            }
        };
        let Some(part) = block.get(offset..offset + buffer.len()) else { return false };
        buffer.copy_from_slice(part);
        true
    }
}

impl Memory for Cache<'_> {
    fn arch(&self) -> Arch {
        self.memory.arch()
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        if buffer.len() > 4 * BLOCK || address.checked_add(buffer.len() as u64).is_none() {
            return self.memory.read_some(address, buffer);
        }
        let mut done = 0;
        while done < buffer.len() {
            let at = address + done as u64;
            let offset = (at % BLOCK as u64) as usize;
            let length = (BLOCK - offset).min(buffer.len() - done);
            let part = &mut buffer[done..done + length];
            if !self.copy_block(at - offset as u64, offset, part) {
                // Only a part of the block may be readable.
                return self.memory.read_some(address, buffer);
            }
            done += length;
        }
        Ok(done)
    }

    fn read_batch(&self, batch: &mut Batch) -> Result<(), ReadError> {
        self.memory.read_batch(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Image;

    #[test]
    fn parts_of_blocks_and_unreadable_ones() {
        let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        let image = Image::new(0x1000, bytes.clone());
        let cache = Cache::new(&image);
        for (from, length) in [(0, 8), (1020, 8), (1000, 3000), (4990, 10), (100, 4900)] {
            for _ in 0..2 {
                let got = cache.bytes(0x1000 + from as u64, length).expect("readable");
                assert_eq!(got, bytes[from..from + length]);
            }
        }
        assert!(cache.bytes(0xfff, 8).is_err());
        assert!(cache.bytes(0x1000 + 4999, 8).is_err());
        assert!(cache.bytes(u64::MAX - 3, 8).is_err());
        assert!(cache.bytes(u64::MAX - 3, 4).is_err());
    }
}
