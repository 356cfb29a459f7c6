//! `process_vm_readv`: reads without stopping, attaching to or changing the target.
#![allow(unsafe_code)]

use crate::memory::{Memory, ReadError};
use crate::{Arch, Batch};
use std::cell::{Cell, RefCell};

/// The kernel takes at most this many regions in a call (`UIO_MAXIOV`).
const MAX_REGIONS: usize = 1024;

/// The memory of a live process.
#[derive(Debug)]
pub struct ProcessMemory {
    pid: i32,
    arch: Arch,
    remote: RefCell<Vec<libc::iovec>>,
    calls: Cell<u64>,
}

// SAFETY: what keeps it from being `Send` by itself are the addresses in `remote`. They
// are another process's, nothing here points to what they name.
unsafe impl Send for ProcessMemory {}

impl ProcessMemory {
    /// For the process `pid`, whose words are as `arch` says.
    pub fn new(pid: i32, arch: Arch) -> Self {
        ProcessMemory { pid, arch, remote: RefCell::default(), calls: Cell::new(0) }
    }

    /// How many system calls have read the target so far.
    pub fn calls(&self) -> u64 {
        self.calls.get()
    }

    /// The process's id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// One call: `remote` regions into `local`, one after the other.
    fn readv(&self, local: &mut [u8], remote: &[libc::iovec]) -> Result<usize, i32> {
        let into = libc::iovec { iov_base: local.as_mut_ptr().cast(), iov_len: local.len() };
        self.calls.set(self.calls.get() + 1);
        // SAFETY: `into` describes exactly `local`, which outlives the call; the remote
        // addresses are interpreted in the other process only.
        let got = unsafe {
            libc::process_vm_readv(self.pid, &into, 1, remote.as_ptr(), remote.len() as _, 0)
        };
        usize::try_from(got)
            .map_err(|_| std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
    }
}

fn error(code: i32, address: u64, length: usize) -> ReadError {
    match code {
        libc::ESRCH => ReadError::Gone,
        libc::EPERM | libc::EACCES => ReadError::Denied(code),
        libc::EFAULT | libc::EIO => ReadError::Fault { address, length },
        other => ReadError::Os(other),
    }
}

fn region(address: u64, length: usize) -> libc::iovec {
    libc::iovec { iov_base: address as *mut libc::c_void, iov_len: length }
}

impl Memory for ProcessMemory {
    fn arch(&self) -> Arch {
        self.arch
    }

    fn read_some(&self, address: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        let length = buffer.len();
        match self.readv(buffer, &[region(address, length)]) {
            Ok(0) if length > 0 => Err(ReadError::Fault { address, length }),
            Ok(got) => Ok(got),
            Err(code) => Err(error(code, address, length)),
        }
    }

    fn read_batch(&self, batch: &mut Batch) -> Result<(), ReadError> {
        let mut remote = self.remote.borrow_mut();
        let (regions, buffer) = batch.unread();
        let mut next = 0;
        let mut filled = 0;
        while next < regions.len() {
            remote.clear();
            let mut bytes = 0;
            for wanted in regions[next..].iter().take(MAX_REGIONS) {
                remote.push(region(wanted.address, wanted.length));
                bytes += wanted.length;
            }
            let asked = remote.len();
            let mut got = match self.readv(&mut buffer[filled..filled + bytes], &remote) {
                Ok(got) => got,
                Err(code) => match error(code, 0, 0) {
                    // The first region cannot be read at all.
                    ReadError::Fault { .. } => 0,
                    fatal => return Err(fatal),
                },
            };
            let whole = got == bytes;
            for wanted in regions[next..next + asked].iter_mut() {
                wanted.got = wanted.length.min(got);
                got -= wanted.got;
                filled += wanted.length;
                next += 1;
                if !whole && wanted.got < wanted.length {
                    // The kernel stops at the first unreadable page: go on behind it.
                    break;
                }
            }
        }
        drop(remote);
        batch.mark_read();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself_and_steps_over_what_is_unreadable() {
        let memory = ProcessMemory::new(std::process::id() as i32, Arch::LE64);
        let data: Vec<u8> = (0..=255).collect();
        let at = data.as_ptr() as u64;
        let mut batch = Batch::default();
        for wanted in [(at, 10), (8, 16), (at + 100, 6)] {
            assert!(batch.push(wanted.0, wanted.1));
        }
        memory.read_batch(&mut batch).expect("our own memory");
        assert_eq!(batch.get(at + 2, 3), Some(&[2, 3, 4][..]));
        assert_eq!(batch.get(8, 1), None);
        assert_eq!(batch.get(at + 105, 1), Some(&[105][..]));
        assert_eq!(memory.calls(), 2);
        assert_eq!(memory.bytes(16, 8), Err(ReadError::Fault { address: 16, length: 8 }));
        assert_eq!(memory.uint(at + 1, 4), Ok(0x04030201));
    }
}
