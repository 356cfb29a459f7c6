//! Many regions of a target, read together into one buffer.

/// Regions to read, and their bytes once read. Kept and reused from sample to sample, so
/// that the steady state allocates nothing.
#[derive(Debug, Default)]
pub struct Batch {
    regions: Vec<Region>,
    buffer: Vec<u8>,
    /// Regions before this index have been read (or found unreadable).
    done: usize,
    /// The length of the longest region read.
    longest: usize,
    /// Regions before this index keep their place: they are read first, in that order.
    first: usize,
    /// Indices of the regions read so far, by address.
    index: Vec<u32>,
}

/// One region of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Region {
    /// Where it is in the target.
    pub address: u64,
    /// How many bytes were asked for.
    pub length: usize,
    /// How many were read, from the start.
    pub got: usize,
    offset: usize,
}

/// This many regions before the nearest one may cover an address too.
const MAX_OVERLAP: usize = 256;

/// A batch never grows past this many bytes; more is refused by [`Batch::push`].
pub const MAX_BATCH: usize = 256 << 20;

impl Batch {
    /// Forgets all regions; keeps the buffers.
    pub fn clear(&mut self) {
        self.regions.clear();
        self.index.clear();
        self.done = 0;
        self.first = 0;
        self.longest = 0;
    }

    /// Like [`Batch::push`], for what must be read first and right after what was pushed
    /// so before: memory that changes while it is copied is then torn least. To be called
    /// before any [`Batch::push`] since the last read.
    pub fn push_first(&mut self, address: u64, length: usize) -> bool {
        let pushed = self.push(address, length);
        if pushed {
            self.first = self.regions.len();
        }
        pushed
    }

    /// Asks for `length` bytes at `address`. False where that would be too much.
    pub fn push(&mut self, address: u64, length: usize) -> bool {
        let offset = self.regions.last().map_or(0, |last| last.offset + last.length);
        if length == 0 || length > MAX_BATCH || offset + length > MAX_BATCH {
            return false;
        }
        if address.checked_add(length as u64).is_none() {
            return false;
        }
        self.regions.push(Region { address, length, got: 0, offset });
        true
    }

    /// Sorts the regions not yet read by address and joins neighbours that overlap or lie
    /// less than `gap` bytes apart: a region more costs more than a few hundred bytes
    /// more. With a gap of 0 regions that only touch stay apart, so that one which cannot
    /// be read does not take its neighbour with it.
    pub fn coalesce(&mut self, gap: u64) {
        let start = self.done.max(self.first);
        let base = match start.checked_sub(1) {
            Some(last) => self.regions[last].offset + self.regions[last].length,
            None => 0,
        };
        self.regions[start..].sort_unstable_by_key(|region| region.address);
        let mut kept = start;
        for i in start..self.regions.len() {
            let region = self.regions[i];
            if kept > start {
                let last = &mut self.regions[kept - 1];
                let end = last.address + last.length as u64;
                if region.address < end.saturating_add(gap) {
                    let new_end = end.max(region.address + region.length as u64);
                    last.length = (new_end - last.address) as usize;
                    continue;
                }
            }
            self.regions[kept] = region;
            kept += 1;
        }
        self.regions.truncate(kept);
        let mut offset = base;
        for region in &mut self.regions[start..] {
            region.offset = offset;
            offset += region.length;
        }
    }

    /// The bytes at `address`, if a region that was read covers all `length` of them.
    #[inline]
    pub fn get(&self, address: u64, length: usize) -> Option<&[u8]> {
        // The last region that starts at or before the address, or one before it: regions
        // of different reads may overlap.
        let at = self.index.partition_point(|i| self.regions[*i as usize].address <= address);
        for i in self.index[at.saturating_sub(MAX_OVERLAP)..at].iter().rev() {
            let region = &self.regions[*i as usize];
            let skip = (address - region.address) as usize;
            if skip > self.longest {
                return None;
            }
            if skip.checked_add(length)? <= region.got {
                let from = region.offset + skip;
                return self.buffer.get(from..from + length);
            }
        }
        None
    }

    /// The bytes of the region read last of those that begin at `address`, if there are `length`.
    pub fn newest(&self, address: u64, length: usize) -> Option<&[u8]> {
        let address_of = |i: &u32| self.regions[*i as usize].address;
        let end = self.index.partition_point(|i| address_of(i) <= address);
        let same = self.index[..end].iter().rev().take_while(|i| address_of(i) == address);
        let region = &self.regions[*same.max()? as usize];
        let bytes = self.buffer.get(region.offset..region.offset + region.got)?;
        bytes.get(..length)
    }

    /// What was read of the longest region that begins at `address`.
    pub fn region(&self, address: u64) -> &[u8] {
        let own = |region: &&Region| region.address == address;
        let read = self.regions[..self.done].iter().filter(own).max_by_key(|region| region.got);
        let bytes =
            read.and_then(|region| self.buffer.get(region.offset..region.offset + region.got));
        bytes.unwrap_or_default()
    }

    /// True while there are regions that were asked for and not read.
    pub fn pending(&self) -> bool {
        self.done < self.regions.len()
    }

    /// All regions, in the order in which they lie in the buffer.
    pub fn regions(&self) -> &[Region] {
        &self.regions
    }

    /// For an implementor of [`crate::Memory`]: the unread regions and the buffer to
    /// fill, in which the first of them begins at index 0 and the others follow without
    /// a gap.
    pub(crate) fn unread(&mut self) -> (&mut [Region], &mut [u8]) {
        let end = self.regions.last().map_or(0, |last| last.offset + last.length);
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        let start = self.regions.get(self.done).map_or(end, |first| first.offset);
        (&mut self.regions[self.done..], &mut self.buffer[start..end])
    }

    /// For an implementor of [`crate::Memory`]: all regions have been dealt with.
    pub(crate) fn mark_read(&mut self) {
        self.give_back();
        let from = self.done;
        self.done = self.regions.len();
        self.index.extend((from as u32)..(self.done as u32));
        let regions = &self.regions;
        let longest = regions[from..].iter().map(|region| region.got).max();
        self.longest = self.longest.max(longest.unwrap_or(0));
        self.index.sort_unstable_by_key(|i| regions[*i as usize].address);
    }

    /// Closes the gaps that regions left in the buffer which could not be read (whole), so
    /// that reading ahead in vain many times costs nothing.
    fn give_back(&mut self) {
        let unread = &mut self.regions[self.done..];
        if unread.iter().all(|region| region.got == region.length) {
            return;
        }
        let mut offset = unread.first().map_or(0, |first| first.offset);
        for region in unread {
            self.buffer.copy_within(region.offset..region.offset + region.got, offset);
            region.offset = offset;
            region.length = region.got;
            offset += region.got;
        }
    }
}

/// Reads `batch` region by region: for memories that have nothing better.
pub fn read_one_by_one(memory: &dyn crate::Memory, batch: &mut Batch) {
    let (regions, buffer) = batch.unread();
    let mut at = 0;
    for region in regions {
        let bytes = &mut buffer[at..at + region.length];
        region.got = memory.read_some(region.address, bytes).unwrap_or(0);
        at += region.length;
    }
    batch.mark_read();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(batch: &mut Batch) {
        let (regions, buffer) = batch.unread();
        let mut at = 0;
        for region in regions.iter_mut() {
            for i in 0..region.length {
                buffer[at + i] = (region.address as usize + i) as u8;
            }
            region.got = region.length;
            at += region.length;
        }
        batch.mark_read();
    }

    #[test]
    fn coalesced_regions_are_found_by_any_address_inside() {
        let mut batch = Batch::default();
        assert!(batch.push(100, 10) && batch.push(40, 8) && batch.push(112, 4));
        batch.coalesce(4);
        assert_eq!(batch.regions().len(), 2);
        fill(&mut batch);
        assert_eq!(batch.get(111, 3), Some(&[111, 112, 113][..]));
        assert_eq!(batch.get(40, 8).map(|b| b[7]), Some(47));
        assert_eq!(batch.get(47, 2), None);
        assert_eq!(batch.get(39, 1), None);
        assert!(batch.push(200, 1));
        assert!(batch.pending());
        batch.coalesce(0);
        fill(&mut batch);
        assert_eq!(batch.get(200, 1), Some(&[200][..]));
        assert_eq!(batch.get(100, 1), Some(&[100][..]));
        assert!(!batch.push(u64::MAX, 2) && !batch.push(0, 0));
        assert_eq!(batch.newest(40, 8), Some(&[40, 41, 42, 43, 44, 45, 46, 47][..]));
        assert!(batch.push(40, 2));
        fill(&mut batch);
        assert_eq!(batch.newest(40, 2), Some(&[40, 41][..]));
        assert_eq!((batch.newest(40, 8), batch.newest(41, 1)), (None, None));
    }

    #[test]
    fn what_could_not_be_read_takes_no_room_and_nobody_with_it() {
        let mut batch = Batch::default();
        // More in all than a batch may hold, if it were all kept.
        for round in 0..200u64 {
            let page = 0x1000_0000_0000 + (round << 32);
            assert!(batch.push(page, 4096), "round {round}");
            assert!(batch.push(page - (4 << 20), 4 << 20), "round {round}");
            batch.coalesce(0);
            let (regions, buffer) = batch.unread();
            assert_eq!(regions.len(), 2);
            regions[1].got = 4096;
            buffer[4 << 20..].fill(round as u8);
            batch.mark_read();
        }
        for round in 0..200u64 {
            let page = 0x1000_0000_0000 + (round << 32);
            assert_eq!(batch.get(page, 4096), Some(&[round as u8; 4096][..]));
            assert_eq!(batch.get(page - 8, 8), None);
        }
    }
}
