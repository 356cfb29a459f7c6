//! Sleeping to an instant, and CPU clocks of other processes.
#![allow(unsafe_code)]

use std::time::Duration;

/// Nanoseconds on the monotonic clock.
pub fn now_ns() -> u64 {
    let mut at = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `at` is a valid timespec to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut at) };
    at.tv_sec as u64 * 1_000_000_000 + at.tv_nsec as u64
}

/// Sleeps until `deadline_ns` on the clock of [`now_ns`]. Returns early when a signal
/// arrives, so that a stop is seen at once.
pub fn sleep_until(deadline_ns: u64) {
    let at = libc::timespec {
        tv_sec: (deadline_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (deadline_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: `at` is a valid timespec; no remaining time is asked for.
    unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &at,
            std::ptr::null_mut(),
        );
    }
}

/// Asks the kernel to wake this thread as near to its deadlines as it can: by default it
/// may be 50 us late, which is half the time between two samples at 10 kHz.
pub fn tighten_timer() {
    // SAFETY: PR_SET_TIMERSLACK takes a number of nanoseconds and no pointer.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
}

/// The CPU time that the process `pid` has used, all its threads and those that have
/// ended taken together. What a running thread used since the last clock tick or switch
/// may be missing yet. `None` when the process is gone.
pub fn process_cpu(pid: i32) -> Option<Duration> {
    // clock_getcpuclockid(3) on Linux: the complement of the pid, shifted, and the
    // number 2 (CPUCLOCK_SCHED).
    let clock = (!pid << 3) | 2;
    let mut used = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `used` is a valid timespec to write to.
    let failed = unsafe { libc::clock_gettime(clock, &mut used) } != 0;
    (!failed).then(|| Duration::new(used.tv_sec as u64, used.tv_nsec as u32))
}
