//! Holding single threads still with `PTRACE_SEIZE` and `PTRACE_INTERRUPT`.
//!
//! A seized thread goes on by itself when its tracer dies, at whatever instant that is:
//! the kernel detaches it. No signal is sent to it, and none that it gets meanwhile is
//! lost. All calls must come from the OS thread that made the [`Pauser`].
#![allow(unsafe_code)]

use super::clock;
use std::cell::RefCell;
use std::fmt;

/// Why a thread is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PauseError {
    /// It has ended.
    Gone,
    /// We may not, or another tracer has it (EPERM for both).
    Denied,
    /// It did not stop in time: it is in an uninterruptible wait.
    Late,
}

impl fmt::Display for PauseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PauseError::Gone => "the thread has ended",
            PauseError::Denied => "pausing is not permitted, or another tracer holds the process",
            PauseError::Late => "the thread did not stop in time",
        })
    }
}

/// Pauses threads, and lets them go.
#[derive(Debug, Default)]
pub struct Pauser {
    /// Held now: thread id, and the signal to hand on when it is let go.
    held: Vec<(i32, i32)>,
    /// `ptrace` belongs to one OS thread.
    _not_send: std::marker::PhantomData<*const ()>,
}

thread_local! {
    /// Threads that were asked to stop and are still on their way there; let go as soon as
    /// they arrive, also when the [`Pauser`] that asked them is no more: nothing else would
    /// ever let them go on while we live.
    static LATE: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

/// Lets go of threads that stopped after the wait for them was given up; whichever
/// [`Pauser`] of this OS thread that was. To be called often.
pub fn collect_late() {
    LATE.with_borrow_mut(|late| {
        late.retain(|tid| match poll_stop(*tid) {
            Wait::NotYet => true,
            Wait::Gone => false,
            Wait::Stopped { signal } => {
                let _ = ptrace(libc::PTRACE_DETACH, *tid, signal as usize);
                false
            }
        });
    });
}

fn is_late(tid: i32) -> bool {
    LATE.with_borrow(|late| late.contains(&tid))
}

/// Whether `tid` was among those that stop late, of which it is none any longer.
fn take_late(tid: i32) -> bool {
    LATE.with_borrow_mut(|late| {
        let at = late.iter().position(|one| *one == tid);
        at.map(|at| late.swap_remove(at)).is_some()
    })
}

fn ptrace(request: libc::c_uint, tid: i32, data: usize) -> Result<(), i32> {
    // SAFETY: SEIZE, INTERRUPT and DETACH take numbers, no pointers into our memory.
    let failed = unsafe { libc::ptrace(request as _, tid, 0usize, data) } == -1;
    if failed { Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)) } else { Ok(()) }
}

/// How a wait for a stop ended.
enum Wait {
    NotYet,
    Stopped { signal: i32 },
    Gone,
}

/// Asks for the next event of a thread that is being traced, without waiting for one. What
/// `options` name is taken, unless `WNOWAIT` is among them.
fn event(tid: i32, options: libc::c_int) -> Option<libc::siginfo_t> {
    let options = options | libc::WSTOPPED | libc::WNOHANG | libc::__WALL;
    // SAFETY: all zeros are a valid siginfo_t, and it is a valid place to write to.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let failed = libc::waitid(libc::P_PID, tid as libc::id_t, &mut info, options) != 0;
        (!failed).then_some(info)
    }
}

fn poll_stop(tid: i32) -> Wait {
    let Some(info) = event(tid, libc::WEXITED | libc::WNOWAIT) else { return Wait::Gone };
    // SAFETY: what waitid left there is that of a child's event, or all zeros.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Wait::NotYet;
    }
    if !matches!(info.si_code, libc::CLD_TRAPPED | libc::CLD_STOPPED) {
        // Until its tracer takes note, nobody else hears of its end. Whoever started a
        // process of ours wants to know how it ended, and takes note for both.
        if !super::family::is_child(tid) {
            event(tid, libc::WEXITED);
        }
        return Wait::Gone;
    }
    event(tid, 0);
    // With an event in the upper bits it is our own interruption (or a group stop, which
    // outlasts the detach); without, a signal is about to be delivered and must go on.
    let signal = if status >> 8 == 0 { status } else { 0 };
    Wait::Stopped { signal }
}

/// Lets a thread go on, which gets a signal if one was about to be delivered.
fn let_go((tid, signal): (i32, i32)) {
    // A thread that was killed meanwhile, as by the end of its process or by an exec of another
    // thread, cannot be detached: its end must be taken note of, or those would wait for it for
    // ever.
    if ptrace(libc::PTRACE_DETACH, tid, signal as usize).is_err() {
        LATE.with_borrow_mut(|late| late.push(tid));
    }
}

impl Pauser {
    /// Holds no thread yet.
    pub fn new() -> Self {
        Pauser::default()
    }

    /// Stops the thread `tid`, waiting `bound_ns` at the most. On success it is held
    /// until [`Pauser::resume`].
    pub fn pause(&mut self, tid: i32, bound_ns: u64) -> Result<(), PauseError> {
        collect_late();
        if is_late(tid) {
            return Err(PauseError::Late);
        }
        self.seize(tid)?;
        self.await_stop(tid, clock::now_ns() + bound_ns)
    }

    /// Stops all of `tids` together: asks every one first, so that they stop within
    /// microseconds of each other. Returns how many are held.
    pub fn pause_all(&mut self, tids: &[i32], bound_ns: u64) -> usize {
        collect_late();
        // One that has not stopped since an earlier call asked for it is waited for again.
        let seized: Vec<i32> = tids
            .iter()
            .copied()
            .filter(|tid| take_late(*tid) || self.seize(*tid).is_ok())
            .collect();
        let deadline = clock::now_ns() + bound_ns;
        seized.into_iter().filter(|tid| self.await_stop(*tid, deadline).is_ok()).count()
    }

    fn seize(&mut self, tid: i32) -> Result<(), PauseError> {
        let denied = |code| if code == libc::ESRCH { PauseError::Gone } else { PauseError::Denied };
        ptrace(libc::PTRACE_SEIZE, tid, 0).map_err(denied)?;
        if let Err(code) = ptrace(libc::PTRACE_INTERRUPT, tid, 0) {
            // It died in between: nothing is left to let go.
            poll_stop(tid);
            return Err(denied(code));
        }
        Ok(())
    }

    fn await_stop(&mut self, tid: i32, deadline: u64) -> Result<(), PauseError> {
        let mut tries = 0;
        loop {
            match poll_stop(tid) {
                Wait::Stopped { signal } => {
                    self.held.push((tid, signal));
                    return Ok(());
                }
                Wait::Gone => return Err(PauseError::Gone),
                Wait::NotYet => {}
            }
            let now = clock::now_ns();
            if now >= deadline {
                LATE.with_borrow_mut(|late| late.push(tid));
                return Err(PauseError::Late);
            }
            // A running thread stops within some microseconds; on one processor it needs
            // ours to get there.
            tries += 1;
            if tries < 20 {
                std::thread::yield_now();
            } else {
                // Ever longer: one that has not stopped by now waits for a processor.
                let wait = (30_000 << (tries - 20).min(5)).min(1_000_000);
                clock::sleep_until(deadline.min(now + wait));
            }
        }
    }

    /// Lets every held thread go on.
    pub fn resume(&mut self) {
        self.held.drain(..).for_each(let_go);
    }

    /// Lets the thread `tid` go on, if it is held.
    pub fn resume_one(&mut self, tid: i32) {
        if let Some(at) = self.held.iter().position(|(held, _)| *held == tid) {
            let_go(self.held.swap_remove(at));
        }
    }

    /// Whether any thread is held now.
    pub fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Whether the thread `tid` is held now.
    pub fn holds(&self, tid: i32) -> bool {
        self.held.iter().any(|(held, _)| *held == tid)
    }

    /// The general registers of a thread that is held, as the kernel orders them
    /// (`struct user_regs_struct`, `struct user_pt_regs`); fewer of a 32-bit thread.
    pub fn registers(&self, tid: i32) -> Option<Vec<u64>> {
        const NT_PRSTATUS: usize = 1;
        if !self.holds(tid) {
            return None;
        }
        let mut words = vec![0u64; 40];
        let mut into =
            libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: words.len() * 8 };
        // SAFETY: `into` describes exactly `words`, which outlives the call; the kernel
        // writes no more than that, and how much into `iov_len`.
        let failed =
            unsafe { libc::ptrace(libc::PTRACE_GETREGSET, tid, NT_PRSTATUS, &raw mut into) == -1 };
        words.truncate(into.iov_len / 8);
        (!failed).then_some(words)
    }
}

impl Drop for Pauser {
    fn drop(&mut self) {
        self.resume();
        // What is still on its way to a stop is detached by the kernel when we end, but
        // not while we live on: give it a moment, for those who never call again.
        let deadline = clock::now_ns() + 20_000_000;
        while LATE.with_borrow(|late| !late.is_empty()) && clock::now_ns() < deadline {
            collect_late();
            clock::sleep_until(clock::now_ns() + 200_000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn wait_for_a_byte(from: *mut libc::c_void) -> libc::c_int {
        let mut byte = 0u8;
        // SAFETY: only system calls, on a stack of its own and a valid buffer.
        unsafe {
            libc::read(from as libc::c_int, (&raw mut byte).cast(), 1);
            libc::_exit(0)
        }
    }

    fn state(pid: i32) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it is there");
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).expect("a state")
    }

    fn wait_for(pid: i32, wanted: char) {
        for _ in 0..10_000 {
            collect_late();
            if state(pid) == wanted {
                return;
            }
            clock::sleep_until(clock::now_ns() + 1_000_000);
        }
        panic!("it is {} and not {wanted}", state(pid));
    }

    /// A process that waits in `vfork` does not stop. It stops after that, when nobody waits
    /// for it any more, and must not remain so.
    #[test]
    fn what_stops_late_goes_on() {
        let mut pipe = [0; 2];
        let mut stack = [0u128; 4096];
        // SAFETY: between fork and the end only system calls are made. The child that is
        // cloned runs on `stack` of the forked process, which waits for it as in vfork.
        let child = unsafe {
            assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
            let child = libc::fork();
            if child == 0 {
                let top = stack.as_mut_ptr().add(stack.len()).cast();
                let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
                libc::clone(wait_for_a_byte, top, flags, pipe[0] as *mut libc::c_void);
                loop {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::pause();
                }
            }
            child
        };
        wait_for(child, 'D');
        let mut pauser = Pauser::new();
        assert_eq!(pauser.pause(child, 5_000_000), Err(PauseError::Late));
        assert_eq!(pauser.pause(child, 5_000_000), Err(PauseError::Late));
        drop(pauser);
        // SAFETY: writes one byte of a valid buffer; the others take numbers.
        unsafe {
            assert_eq!(libc::write(pipe[1], b"x".as_ptr().cast(), 1), 1);
            wait_for(child, 'S');
            assert!(!is_late(child));
            libc::kill(child, libc::SIGKILL);
            libc::waitpid(child, std::ptr::null_mut(), 0);
        }
    }

    /// One that is killed while it is held: its parent hears of it.
    #[test]
    fn the_end_of_one_that_is_held_is_told() {
        let mut pipe = [0; 2];
        let mut held = 0i32;
        let size = size_of::<i32>();
        // SAFETY: between fork and the end only system calls are made, with valid buffers.
        let parent = unsafe {
            assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
            let parent = libc::fork();
            if parent == 0 {
                let child = libc::fork();
                if child == 0 {
                    loop {
                        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                        libc::pause();
                    }
                }
                libc::write(pipe[1], (&raw const child).cast(), size);
                libc::waitpid(child, std::ptr::null_mut(), 0);
                libc::_exit(0);
            }
            assert_eq!(libc::read(pipe[0], (&raw mut held).cast(), size), size as isize);
            parent
        };
        let mut pauser = Pauser::new();
        assert_eq!(pauser.pause(held, 5_000_000_000), Ok(()));
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::kill(held, libc::SIGKILL) }, 0);
        wait_for(held, 'Z');
        pauser.resume();
        wait_for(parent, 'Z');
        super::super::family::collect(parent);
    }

    /// One of ours that ends while it is asked to stop: how it ended can still be asked.
    #[test]
    fn the_end_of_a_child_of_ours_is_left_to_be_collected() {
        // SAFETY: the forked process only makes system calls, and they take numbers.
        let child = unsafe {
            let child = libc::fork();
            if child == 0 {
                loop {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::pause();
                }
            }
            child
        };
        let mut pauser = Pauser::new();
        assert_eq!(pauser.pause(child, 5_000_000_000), Ok(()));
        // SAFETY: takes numbers.
        assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
        wait_for(child, 'Z');
        pauser.resume();
        collect_late();
        let mut status = 0;
        // SAFETY: `status` is a valid int to write to.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) }, child);
        assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL);
    }
}
