//! From `pthread_self()` to the system's thread id, where the C library has it in memory.
//!
//! The C library keeps the id in the thread's descriptor, to which `pthread_self()`
//! points (glibc: `struct pthread.tid`, nptl/descr.h; musl: `struct pthread.tid`,
//! src/internal/pthread_impl.h). Where in it depends on library, version and
//! architecture, so the place is found by looking.

use crate::Memory;

/// Descriptors are searched up to here; glibc has the id at 720 on x86_64, musl at 48.
const SEARCH: usize = 2048;

/// Where glibc has it on x86_64 and aarch64, and musl on 64-bit machines: taken before
/// other places that fit as well. In a container ids are small numbers, of which a
/// descriptor has many.
const KNOWN: [usize; 4] = [720, 208, 48, 56];

/// Finds thread ids by pthread ids, for one process.
#[derive(Debug, Default, Clone)]
pub struct PthreadIds {
    offset: Option<usize>,
    /// By how many descriptors it was found.
    witnesses: usize,
}

impl PthreadIds {
    /// Learns where the id is from the descriptors at `pthreads`, the threads of a
    /// process whose thread ids are `tids`: a place where each descriptor has one of
    /// them, and no two the same.
    pub fn learn(&mut self, memory: &dyn Memory, pthreads: &[u64], tids: &[i32]) {
        // A thread of several interpreters is there several times.
        let mut pthreads = pthreads.to_vec();
        pthreads.sort_unstable();
        pthreads.dedup();
        pthreads.truncate(64);
        // What one descriptor shows may be an accident, so more are looked at when there
        // are more.
        if self.witnesses >= pthreads.len().min(2) {
            return;
        }
        let mut places: Vec<(usize, Vec<i32>)> =
            (0..SEARCH).step_by(4).map(|place| (place, Vec::new())).collect();
        let mut witnesses = 0;
        let mut bytes = vec![0; SEARCH];
        for pthread in pthreads {
            let Ok(got) = memory.read_some(pthread, &mut bytes) else { continue };
            places.retain_mut(|(place, found)| {
                let tid = memory.arch().i32(&bytes[..got], *place);
                let tid = tid.filter(|tid| tids.contains(tid) && !found.contains(tid));
                found.extend(tid);
                tid.is_some()
            });
            witnesses += 1;
        }
        let fits = |place: &usize| places.iter().any(|(fitting, _)| fitting == place);
        let known = KNOWN.into_iter().find(fits);
        // glibc of old kept the process id right behind the thread id: the first wins.
        if let Some(offset) = known.or(places.first().map(|(place, _)| *place))
            && witnesses > 0
        {
            self.offset = Some(offset);
            self.witnesses = witnesses;
        }
    }

    /// The thread id of the thread whose descriptor is at `pthread`.
    pub fn tid(&self, memory: &dyn Memory, pthread: u64, tids: &[i32]) -> Option<i32> {
        let at = pthread.checked_add(self.offset? as u64)?;
        let tid = memory.uint(at, 4).ok()? as i32;
        tids.contains(&tid).then_some(tid)
    }
}
