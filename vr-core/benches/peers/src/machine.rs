//! What keeps the machine out of the figures: a clock that stops while other processes have the core, and an allocator
//! that does not hand memory back.

use std::time::Duration;

/// Time this thread has spent on a core: with one thread and no I/O, what a wall clock would show on a free core.
#[cfg(unix)]
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours, which outlives the call.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "no per-thread clock");
    let seconds = u64::try_from(time.tv_sec).expect("time is not negative");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("nanoseconds fit"))
}

/// The wall clock, for want of a better one.
#[cfg(not(unix))]
pub(crate) fn thread_time() -> Duration {
    static START: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// Keeps what a dropped cluster gave back. Otherwise every fresh one begins by having its pages zeroed by the kernel,
/// which cost raft-rs up to 40 % and says nothing about anybody's protocol.
pub(crate) fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only sets the allocator's options, and no other thread is running.
    let set = unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) == 1 && libc::mallopt(libc::M_MMAP_MAX, 0) == 1
    };
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let set = false;
    if !set {
        eprintln!("peers: this allocator may hand memory back to the system; expect lower figures");
    }
}
