//! Memory that is free goes back to the system. glibc keeps it, in as many as eight arenas for each
//! core: after a burst of requests that was more than a gateway has at rest.

use std::time::Duration;

/// How often what is free is given back. It takes less than a millisecond where little is.
const GIVE_BACK_EVERY: Duration = Duration::from_secs(30);

/// From now on; to be called before other threads start.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "two functions of glibc's allocator")]
pub(crate) fn keep_little() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // SAFETY: it takes two numbers, and refuses what it does not know.
    unsafe { libc::mallopt(libc::M_ARENA_MAX, i32::try_from(cores).unwrap_or(i32::MAX)) };
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(GIVE_BACK_EVERY);
            // SAFETY: it takes a number, and the locks of the allocator, which it is a part of.
            unsafe { libc::malloc_trim(0) };
        }
    });
}

/// Other allocators do as they do.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn keep_little() {}
