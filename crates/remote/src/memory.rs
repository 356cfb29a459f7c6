//! Reading a target's bytes: the one door through which everything is seen.

use crate::{Arch, Batch};
use std::fmt;

/// The largest single read that is ever asked for. A length that comes from the target
/// may be garbage; nothing a profiler wants in one piece is larger.
pub const MAX_READ: usize = 64 << 20;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadError {
    /// The process has ended.
    Gone,
    /// The system does not let us read this process (the OS error number).
    Denied(i32),
    /// Nothing readable is mapped there.
    Fault {
        /// Where the read began.
        address: u64,
        /// How many bytes were asked for.
        length: usize,
    },
    /// Any other OS error number.
    Os(i32),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Gone => write!(f, "the process has ended"),
            ReadError::Denied(_) => write!(f, "no permission to read the process's memory"),
            ReadError::Fault { address, length } => {
                write!(f, "{length} bytes at {address:#x} are not readable")
            }
            ReadError::Os(code) => {
                write!(f, "reading memory failed: {}", std::io::Error::from_raw_os_error(*code))
            }
        }
    }
}

impl std::error::Error for ReadError {}

/// The memory of a live process, of a core file, or of a recorded snapshot.
pub trait Memory {
    /// Word size and byte order of what is read.
    fn arch(&self) -> Arch;

    /// Reads from `address` on, as much as is readable; returns the number of bytes, at
    /// least one. Reads of several pages may end early at an unreadable one.
    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError>;

    /// Reads every region of `batch` not read yet, in as few system calls as the system
    /// allows. An unreadable region is marked so and spoils no other. An error means
    /// that nothing at all can be read any more (the process is gone, or not ours).
    fn read_batch(&self, batch: &mut Batch) -> Result<(), ReadError>;

    /// Fills `buffer` from `address`, or fails.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), ReadError> {
        let length = buffer.len();
        if length == 0 {
            return Ok(());
        }
        if length > MAX_READ || self.read_some(address, buffer)? != length {
            return Err(ReadError::Fault { address, length });
        }
        Ok(())
    }

    /// `length` bytes (at most [`MAX_READ`]) from `address`.
    fn bytes(&self, address: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        if length > MAX_READ {
            return Err(ReadError::Fault { address, length });
        }
        let mut buffer = vec![0; length];
        self.read(address, &mut buffer)?;
        Ok(buffer)
    }

    /// The pointer stored at `address`.
    fn ptr(&self, address: u64) -> Result<u64, ReadError> {
        self.uint(address, self.arch().word())
    }

    /// An unsigned integer of 1, 2, 4 or 8 bytes at `address`.
    fn uint(&self, address: u64, size: usize) -> Result<u64, ReadError> {
        let fault = ReadError::Fault { address, length: size };
        let mut buffer = [0; 8];
        let field = buffer.get_mut(..size).ok_or(fault.clone())?;
        self.read(address, field)?;
        self.arch().uint(field, 0, size).ok_or(fault)
    }

    /// The bytes up to the first NUL from `address`, `limit` at the most.
    fn c_string(&self, address: u64, limit: usize) -> Result<Vec<u8>, ReadError> {
        let mut text = Vec::new();
        let mut chunk = [0; 256];
        while text.len() < limit {
            // Stops at page ends so that a string beside an unmapped page is readable.
            let at = address.wrapping_add(text.len() as u64);
            let to_page_end = 4096 - (at % 4096) as usize;
            let want = chunk.len().min(to_page_end).min(limit - text.len());
            self.read(at, &mut chunk[..want])?;
            if let Some(end) = chunk[..want].iter().position(|byte| *byte == 0) {
                text.extend_from_slice(&chunk[..end]);
                return Ok(text);
            }
            text.extend_from_slice(&chunk[..want]);
        }
        Ok(text)
    }
}
