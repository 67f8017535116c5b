//! The stack grows: its VMA covers what has been used and a little more, and a fault below it makes it larger. So does
//! any other that was mapped to grow down (MAP_GROWSDOWN).
//!
//! A VMA of all that a stack may ever take would be one whose tables fork and exit search for pages that are not there,
//! in every process, and they are what a small process costs. Linux does the same for the same VMAs (VM_GROWSDOWN).
//!
//! ```text
//!   lowest, at least STACK_GAP above what is mapped      end
//!   |                        |<--- step --->|<-- VMA --->|
//!   |                                 ^ fault            |
//! ```

use paging::VirtAddr;

use super::space::{AddressSpace, check_range};
use super::vma::{Vma, VmaFlags};
use crate::errno::{Errno, Result};

/// The most that the stack may have, in bytes. Linux: the default of RLIMIT_STACK.
pub const STACK_BYTES: u64 = 8 << 20;
/// What stays unmapped below it, in bytes, so that what runs out of its stack does not run into something else. Linux:
/// `stack_guard_gap`, for pages of 4 KiB.
pub const STACK_GAP: u64 = 1 << 20;
/// The VMA begins at a multiple of this, in bytes: a block of 16 pages of 4 KiB, so that the stack's folios can be.
const STEP: u64 = 64 << 10;

/// Where the VMA of a stack begins whose lowest byte in use is `sp`: that is a full step above its beginning, or more.
pub fn stack_start(sp: VirtAddr) -> VirtAddr {
    VirtAddr::new(sp.align_down(STEP).get() - STEP)
}

fn is_stack(vma: &Vma) -> bool {
    vma.flags.intersects(VmaFlags::STACK | VmaFlags::GROWS_DOWN) && vma.is_private_anon()
}

impl AddressSpace {
    /// Makes the VMA with the given index, the first that ends above `va`, reach down to `va`, if it is the stack's, `va`
    /// near enough to its end, and far enough from what is mapped below. Returns whether it does.
    #[cold]
    pub(super) fn grow_stack(&mut self, index: usize, va: VirtAddr) -> bool {
        let is_open = |vma: &&Vma| !vma.prot.is_empty();
        // A neighbour that permits nothing is a guard itself.
        let below = index.checked_sub(1).and_then(|below| self.vmas.get(below)).filter(is_open);
        let floor = below.map_or(0, |vma| vma.end.get() + STACK_GAP);
        let Some(stack) = self.vmas.get(index).filter(|vma| is_stack(vma)) else {
            return false;
        };
        let lowest = floor.max(stack.end.get().saturating_sub(STACK_BYTES));
        let start = va.align_down(STEP).max(VirtAddr::new(lowest));
        if start > va {
            return false;
        }
        self.vmas.grow_down(index, start);
        true
    }

    /// Where an mprotect of `len` bytes from `addr` on begins that is to be for the whole of what grows down there
    /// (PROT_GROWSDOWN): the beginning of the first VMA in the range, in bytes.
    ///
    /// # Errors
    /// `ENOMEM`: nothing is mapped there. `EINVAL`: it does not grow.
    pub fn start_of_growing(&self, addr: usize, len: usize) -> Result<usize> {
        let (start, end) = check_range(addr, len)?;
        let first = self.vmas.get(self.vmas.index_at(start)).filter(|vma| vma.start < end);
        match first.ok_or(Errno::ENOMEM)? {
            vma if is_stack(vma) => Ok(vma.start.get() as usize),
            _ => Err(Errno::EINVAL),
        }
    }
}
