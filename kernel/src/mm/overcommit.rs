//! Overcommit: how much memory may be promised (Linux: mm/util.c, Documentation/mm/overcommit-accounting.rst).
//!
//! Nothing is counted while memory is mapped, forked and unmapped. What has been promised is added up when it matters:
//! for every mapping where the limit is strict, and for whoever reads `/proc/meminfo`. So the usual mode costs nothing, and
//! the sum is never wrong. Unlike Linux, root gets no reserve.

use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use paging::{PAGE_SIZE, VirtAddr};

use super::space::AddressSpace;
use super::vma::{Backing, Prot, Vma, VmaFlags};
use crate::errno::{Errno, Result};
use crate::util::Ref;

/// `/proc/sys/vm/overcommit_memory`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mode {
    /// A single request is refused if it is more than all memory.
    Heuristic = 0,
    /// Nothing is refused.
    Always = 1,
    /// All promises together stay below a limit.
    Never = 2,
}

/// The settings.
pub struct Overcommit {
    mode: AtomicU8,
    /// Percentage of RAM that may be promised with [`Mode::Never`].
    ratio: AtomicU32,
    /// KiB that may be, which counts instead of the percentage if it is not 0.
    kbytes: AtomicU64,
}

/// Memory there is, in pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Supply {
    /// RAM.
    pub ram: u64,
    /// Swap.
    pub swap: u64,
}

impl Overcommit {
    /// Linux's defaults.
    pub const fn new() -> Self {
        Overcommit {
            mode: AtomicU8::new(Mode::Heuristic as u8),
            ratio: AtomicU32::new(50),
            kbytes: AtomicU64::new(0),
        }
    }

    /// How it is decided.
    pub fn mode(&self) -> Mode {
        match self.mode.load(Relaxed) {
            0 => Mode::Heuristic,
            1 => Mode::Always,
            _ => Mode::Never,
        }
    }

    /// Reads the mode as it is written to the file.
    ///
    /// # Errors
    /// `EINVAL`: not 0, 1 or 2.
    pub fn set_mode(&self, text: &[u8]) -> Result<()> {
        match text {
            [digit @ b'0'..=b'2'] => self.mode.store(digit - b'0', Relaxed),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    /// Percentage of RAM that may be promised where that is limited.
    pub fn ratio(&self) -> u32 {
        self.ratio.load(Relaxed)
    }

    /// Reads that percentage as it is written to the file; more than 100 is a choice as well.
    ///
    /// # Errors
    /// `EINVAL`: no number.
    pub fn set_ratio(&self, text: &[u8]) -> Result<()> {
        let ratio = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        self.ratio.store(ratio.ok_or(Errno::EINVAL)?, Relaxed);
        self.kbytes.store(0, Relaxed);
        Ok(())
    }

    /// KiB that may be promised where that is limited; 0: a percentage of RAM.
    pub fn kbytes(&self) -> u64 {
        self.kbytes.load(Relaxed)
    }

    /// Reads that number as it is written to the file. The percentage reads 0 from then on.
    ///
    /// # Errors
    /// `EINVAL`: no number.
    pub fn set_kbytes(&self, text: &[u8]) -> Result<()> {
        let kbytes = core::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
        self.kbytes.store(kbytes.ok_or(Errno::EINVAL)?, Relaxed);
        self.ratio.store(0, Relaxed);
        Ok(())
    }

    /// Pages that may be promised with [`Mode::Never`].
    pub fn limit(&self, supply: Supply) -> u64 {
        let of_ram = match self.kbytes() {
            0 => supply.ram * u64::from(self.ratio()) / 100,
            kbytes => kbytes / (PAGE_SIZE / 1024),
        };
        of_ram.saturating_add(supply.swap)
    }

    /// Whether `pages` more may be promised. `noreserve`: the program asked not to count them (MAP_NORESERVE), to which
    /// the strict mode does not listen. `committed` adds up what has been promised.
    pub fn permits(
        &self,
        pages: u64,
        noreserve: bool,
        supply: Supply,
        committed: impl FnOnce() -> u64,
    ) -> bool {
        match self.mode() {
            Mode::Always => true,
            Mode::Heuristic => noreserve || pages <= supply.ram + supply.swap,
            Mode::Never => committed().saturating_add(pages) <= self.limit(supply),
        }
    }
}

impl Default for Overcommit {
    fn default() -> Self {
        Self::new()
    }
}

impl Vma {
    /// Pages that are promised here: private memory that is or was writable, and shared memory's that it does not have yet,
    /// of which each of the VMAs that show it stands for a part. What files and shared memory have is not among them.
    pub fn committed(&self) -> u64 {
        if self.flags.contains(VmaFlags::NORESERVE) {
            return 0;
        }
        let touched = self.prot.contains(Prot::WRITE) || self.flags.contains(VmaFlags::HAS_ANON);
        match &self.backing {
            Backing::Anon | Backing::Object { .. } if self.is_private() && touched => {
                self.start.pages_to(self.end) as u64
            }
            Backing::Object { object, .. } if !self.is_private() && object.is_shared_memory() => {
                object.pages().saturating_sub(object.present()).div_ceil(Ref::count(object))
            }
            _ => 0,
        }
    }
}

impl AddressSpace {
    /// Pages that are promised to this address space.
    pub fn committed(&self) -> u64 {
        self.vmas().map(Vma::committed).sum()
    }

    /// Whether the private memory at `addr` counts as promised.
    pub fn is_committed(&self, addr: usize) -> bool {
        let vma = self.vmas.find(VirtAddr::new(addr as u64));
        vma.is_some_and(|vma| vma.is_private() && vma.committed() > 0)
    }

    /// How large it is, in bytes: all of it, and the private memory in it that may be written and is no stack.
    pub fn expanse(&self) -> (u64, u64) {
        let bytes = |vma: &Vma| vma.end.get() - vma.start.get();
        let is_data = |vma: &&Vma| {
            let other = VmaFlags::STACK | VmaFlags::GROWS_DOWN;
            vma.is_private() && vma.prot.contains(Prot::WRITE) && !vma.flags.intersects(other)
        };
        (self.vmas().map(bytes).sum(), self.vmas().filter(is_data).map(bytes).sum())
    }

    /// How many bytes of a range are mapped.
    pub fn mapped_in(&self, start: VirtAddr, end: VirtAddr) -> u64 {
        let inside = |vma: &Vma| {
            let (from, to) = (vma.start.max(start), vma.end.min(end));
            to.get().saturating_sub(from.get())
        };
        self.vmas().map(inside).sum()
    }

    /// Pages that a child of fork would be promised.
    pub fn committed_by_fork(&self) -> u64 {
        let private = |vma: &&Vma| vma.is_private() && !vma.flags.contains(VmaFlags::DONTFORK);
        self.vmas().filter(private).map(Vma::committed).sum()
    }

    /// Pages of the `bytes` bytes at `addr` that are promised only if they may be written from now on.
    pub fn committed_by_write(&self, addr: usize, bytes: usize) -> u64 {
        let (start, end) = (addr as u64, (addr as u64).saturating_add(bytes as u64));
        let inside =
            |vma: &&Vma| vma.is_private() && !vma.flags.contains(VmaFlags::NORESERVE) && vma.committed() == 0;
        let bytes = |vma: &Vma| vma.end.get().min(end).saturating_sub(vma.start.get().max(start));
        self.vmas().filter(inside).map(bytes).sum::<u64>() / paging::PAGE_SIZE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUPPLY: Supply = Supply { ram: 1000, swap: 100 };

    fn permits(overcommit: &Overcommit, pages: u64, committed: u64) -> bool {
        overcommit.permits(pages, false, SUPPLY, || committed)
    }

    #[test]
    fn one_request_for_more_than_there_is_is_refused() {
        let overcommit = Overcommit::new();
        assert!(permits(&overcommit, 1100, 1 << 40), "what was promised before does not count");
        assert!(!permits(&overcommit, 1101, 0));
        assert!(overcommit.permits(1 << 40, true, SUPPLY, || 0), "MAP_NORESERVE");
    }

    #[test]
    fn anything_goes() {
        let overcommit = Overcommit::new();
        overcommit.set_mode(b"1").unwrap();
        assert!(permits(&overcommit, u64::MAX, u64::MAX));
    }

    #[test]
    fn promises_stay_below_the_limit() {
        let overcommit = Overcommit::new();
        overcommit.set_mode(b"2").unwrap();
        assert_eq!(overcommit.limit(SUPPLY), 600);
        assert!(permits(&overcommit, 200, 400) && !permits(&overcommit, 201, 400));
        assert!(!permits(&overcommit, u64::MAX, 400));
        assert!(!overcommit.permits(601, true, SUPPLY, || 0), "MAP_NORESERVE is not listened to");
        overcommit.set_ratio(b"150").unwrap();
        assert_eq!(overcommit.limit(SUPPLY), 1600);
        overcommit.set_kbytes(b"640").unwrap();
        assert_eq!((overcommit.limit(SUPPLY), overcommit.ratio()), (640 / (PAGE_SIZE / 1024) + 100, 0));
        overcommit.set_ratio(b"50").unwrap();
        assert_eq!((overcommit.limit(SUPPLY), overcommit.kbytes()), (600, 0));
    }

    #[test]
    fn only_what_there_is_can_be_set() {
        let overcommit = Overcommit::new();
        for bad in [&b""[..], b"3", b"-1", b"00", b"x"] {
            assert!(overcommit.set_mode(bad).is_err());
        }
        assert!(overcommit.set_ratio(b"half").is_err() && overcommit.set_kbytes(b"-1").is_err());
        assert_eq!((overcommit.mode(), overcommit.ratio()), (Mode::Heuristic, 50));
    }

    #[test]
    fn an_address_space_knows_its_expanse() {
        use crate::mm::testing::{Process, machine};
        let mm = machine();
        let mut process = Process::new(&mm);
        let (base, page) = (0x100_0000, PAGE_SIZE);
        process.map_anon(base, 4);
        process.map_anon(base + 8 * page as usize, 1);
        assert_eq!(process.space.expanse(), (5 * page, 5 * page));
        process.space.mprotect(&mm, base, page as usize, Prot::READ).unwrap();
        assert_eq!(process.space.expanse(), (5 * page, 4 * page));
        let start = VirtAddr::new(base as u64);
        assert_eq!(process.space.mapped_in(start.add(2 * page), start.add(20 * page)), 3 * page);
        assert_eq!(process.space.mapped_in(start.add(4 * page), start.add(8 * page)), 0);
        process.exit();
    }
}
