//! Whether all memory came back.
//!
//! Memory that is neither free, nor kept by the kernel for reuse and told as such (kernel stacks, heap), is in use, and with
//! nobody left to use it has to be what it was after the first round. That one round leaves more behind than there was
//! before is normal: the kernel's own tables and lists grow to the size that such a load needs.
//! The rule: neither the rest nor the heap in use may grow by more than [`SLACK_KIB`] in a round after the first, however
//! many calls it makes, and in one more round after that: how much the kernel's own takes also depends on how many there
//! were at once.

use user::counters::field;
use user::println;
use user::sys::file;

/// What may be missing: tables that the kernel's map needs for more heap or stacks, and a list that has grown.
const SLACK_KIB: u64 = 256;

/// What memory is used for, in KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// Neither free nor told to be the kernel's.
    rest: u64,
    /// The kernel heap's bytes in use.
    heap: u64,
    /// What nothing uses.
    free: u64,
}

impl Usage {
    /// As `/proc/meminfo` tells it now; none if it does not.
    pub fn now() -> Option<Usage> {
        let mut buffer = [0; 4096];
        Usage::parse(file::read_file(c"/proc/meminfo", &mut buffer).ok()?)
    }

    fn parse(text: &[u8]) -> Option<Usage> {
        let value = |name| field(text, name);
        let kept = value("KernelStack")? + value("Slab")?;
        let free = value("MemFree")?;
        Some(Usage { rest: value("MemTotal")?.checked_sub(free + kept)?, heap: value("SUnreclaim")?, free })
    }

    /// How much more than at `before` is in use beside the kernel's heap and stacks, and in the heap.
    fn growth(&self, before: &Usage) -> [u64; 2] {
        [self.rest.saturating_sub(before.rest), self.heap.saturating_sub(before.heap)]
    }

    /// Prints what has become of memory since `before`. True if all of it came back.
    pub fn report(&self, before: &Usage) -> bool {
        let [rest, heap] = self.growth(before);
        let whole = rest.max(heap) <= SLACK_KIB;
        println!(
            "fuzz: memory: {} KiB free, {} before; {rest} KiB more in use, and {heap} KiB of kernel heap: {}",
            self.free,
            before.free,
            if whole { "no leak" } else { "more than it should be" }
        );
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(free: u64, slab: u64, unreclaimable: u64) -> Usage {
        let text = format!(
            "MemTotal: 100000 kB\nMemFree: {free} kB\nSlab: {slab} kB\nSUnreclaim: {unreclaimable} kB\nKernelStack: 160 kB\n"
        );
        Usage::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_the_kernel_keeps_is_no_leak() {
        let before = usage(50_000, 1000, 400);
        assert_eq!(usage(49_000, 2000, 400).growth(&before), [0, 0]);
        assert_eq!(usage(48_990, 2000, 470).growth(&before), [10, 70]);
        assert_eq!(usage(50_007, 1000, 100).growth(&before), [0, 0]);
        assert_eq!(Usage::parse(b"MemTotal: 7 kB\n"), None);
    }
}
