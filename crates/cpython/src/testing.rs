//! A piece of memory for tests of the readers.

use remote::{Arch, Batch, Memory, ReadError};

/// Bytes at an address.
pub struct Image {
    start: u64,
    bytes: Vec<u8>,
}

impl Image {
    /// `bytes` from `start` on.
    pub fn new(start: u64, bytes: Vec<u8>) -> Image {
        Image { start, bytes }
    }
}

impl Memory for Image {
    fn arch(&self) -> Arch {
        Arch::LE64
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let fault = ReadError::Fault { address, length: buffer.len() };
        let from = address.checked_sub(self.start).ok_or(fault.clone())? as usize;
        let rest = self.bytes.get(from..).filter(|rest| !rest.is_empty()).ok_or(fault)?;
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }

    fn read_batch(&self, batch: &mut Batch) -> Result<(), ReadError> {
        remote::batch::read_one_by_one(self, batch);
        Ok(())
    }
}
