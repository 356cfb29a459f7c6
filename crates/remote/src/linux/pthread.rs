//! From `pthread_self()` to the system's thread id.
//!
//! The C library keeps the id in the thread's descriptor, to which `pthread_self()`
//! points (glibc: `struct pthread.tid`, nptl/descr.h; musl: `struct pthread.tid`,
//! src/internal/pthread_impl.h). Where in it depends on library, version and
//! architecture, so the place is found by looking.

use crate::Memory;

/// Descriptors are searched up to here; glibc has the id at 720 on x86_64, musl at 48.
const SEARCH: usize = 2048;

/// Finds thread ids by pthread ids, for one process.
#[derive(Debug, Default, Clone)]
pub struct PthreadIds {
    offset: Option<usize>,
}

impl PthreadIds {
    /// Learns where the id is from the descriptors at `pthreads`, the threads of a
    /// process whose thread ids are `tids`: a place where each
    /// descriptor has one of them.
    pub fn learn(&mut self, memory: &dyn Memory, pthreads: &[u64], tids: &[i32]) {
        if self.offset.is_some() || pthreads.is_empty() {
            return;
        }
        let mut places: Option<Vec<usize>> = None;
        for pthread in pthreads.iter().take(64) {
            let mut bytes = vec![0; SEARCH];
            let Ok(got) = memory.read_some(*pthread, &mut bytes) else { continue };
            let at = |place: usize| memory.arch().i32(&bytes[..got], place);
            let fits = |place: usize| at(place).is_some_and(|tid| tids.contains(&tid));
            let fitting: Vec<usize> = match &places {
                None => (0..SEARCH).step_by(4).filter(|place| fits(*place)).collect(),
                Some(known) => known.iter().copied().filter(|place| fits(*place)).collect(),
            };
            places = Some(fitting);
        }
        // glibc of old kept the process id right behind the thread id: the first wins.
        self.offset = places.and_then(|places| places.first().copied());
    }

    /// The thread id of the thread whose descriptor is at `pthread`.
    pub fn tid(&self, memory: &dyn Memory, pthread: u64, tids: &[i32]) -> Option<i32> {
        let at = pthread.checked_add(self.offset? as u64)?;
        let tid = memory.uint(at, 4).ok()? as i32;
        tids.contains(&tid).then_some(tid)
    }
}
