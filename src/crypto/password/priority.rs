//! The place of the hash threads among all others that want the same core.

/// Of a core that the threads of requests keep busy, a hash thread gets a thirtieth; of any other whatever they leave.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 15;
/// How long, in nanoseconds, a hash thread goes on at most after somebody else has asked for its core; the least that Linux (6.12 and
/// later) knows. Niceness alone does not shorten it: a request would wait for the rest of up to 3 ms, and again at each of its steps.
#[cfg(target_os = "linux")]
const SLICE: u64 = 100_000;

/// Lets everybody else go first who wants this thread's core. Only Linux knows this about a thread and not only about a process; where
/// a sandbox forbids it, hashes merely weigh as much as requests.
#[cfg(target_os = "linux")]
pub fn give_way() {
    let size = size_of::<libc::sched_attr>();
    let attributes = libc::sched_attr {
        size: u32::try_from(size).unwrap_or_default(),
        sched_policy: libc::SCHED_OTHER.unsigned_abs(),
        sched_flags: 0,
        sched_nice: NICENESS,
        sched_priority: 0,
        sched_runtime: SLICE,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of the structure, which outlives the call; 0 names the calling thread.
    #[expect(unsafe_code, reason = "no library has a safe way to set the slice of a thread")]
    unsafe {
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}

/// Nothing to be done.
#[cfg(not(target_os = "linux"))]
pub fn give_way() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{NICENESS, give_way};

    #[test]
    fn the_thread_steps_back_and_no_other() {
        let niceness = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // Field 19; the name of the thread, field 2, is in parentheses and may hold spaces.
            let after_the_name = stat.rsplit(')').next().unwrap();
            after_the_name.split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = niceness();
        let within = std::thread::spawn(move || {
            give_way();
            niceness()
        });
        assert_eq!(within.join().unwrap(), NICENESS.max(before));
        assert_eq!(niceness(), before);
    }
}
