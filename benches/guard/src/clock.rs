//! The clock of a measured run: each look at it finds it a microsecond later.
//!
//! Under callgrind everything takes some fifty times as long, and how long
//! depends on what else the machine does. By its own clock hosts would give way
//! to other tasks after each turn of a process, and one run would cost more than
//! the next.

// To be the clock of the standard library is to stand in for a function of C.
#![allow(unsafe_code)]

use std::mem::transmute;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use libc::{RTLD_NEXT, c_int, clockid_t, dlsym, timespec};

/// How often it was looked at; less than none while it is the machine's.
static LOOKS: AtomicI64 = AtomicI64::new(-1);

const MICROS_PER_SECOND: i64 = 1_000_000;

/// When it begins: not so early that nothing can have been before.
const START: i64 = 1_000_000;

type ClockGettime = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;

/// The machine's clock, by the function that the one below hides.
static OF_THE_MACHINE: LazyLock<ClockGettime> = LazyLock::new(|| {
    // SAFETY: the name ends with a zero.
    let found = unsafe { dlsym(RTLD_NEXT, c"clock_gettime".as_ptr()) };
    assert!(!found.is_null(), "the C library has no clock_gettime");
    // SAFETY: it is that function, and so of that type.
    unsafe { transmute::<*mut libc::c_void, ClockGettime>(found) }
});

/// From here on looks are counted, instead of asking the machine.
pub(crate) fn count_looks() {
    LOOKS.store(0, Relaxed);
}

/// Takes the place of the C library's, for all that is linked to this program.
///
/// # Safety
///
/// `time` is valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    let looks = LOOKS.load(Relaxed);
    if looks < 0 {
        // SAFETY: the caller keeps its contract, which is the same.
        return unsafe { OF_THE_MACHINE(clock, time) };
    }
    // One thread looks; were there two, a microsecond would be lost.
    LOOKS.store(looks + 1, Relaxed);
    let now = timespec {
        tv_sec: START + looks / MICROS_PER_SECOND,
        tv_nsec: looks % MICROS_PER_SECOND * 1000,
    };
    // SAFETY: the caller says that it can be written to.
    unsafe { time.write(now) };
    0
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    /// The only test here that looks at a clock.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "it is this clock's test")]
    fn looks_pass_the_time() {
        super::count_looks();
        let begin = Instant::now();
        let mut took = Duration::ZERO;
        for _ in 0..1000 {
            took = begin.elapsed();
        }
        // Who runs the tests looks at it too.
        super::LOOKS.store(-1, super::Relaxed);
        assert!(took >= Duration::from_millis(1), "{took:?}");
    }
}
