//! The memory of another process, copied to and from: process_vm_readv and process_vm_writev.
//!
//! What it permits itself is permitted, no more: a page is faulted in as by an access of its own, and then reached by
//! its frame. The other address space's lock is held while bytes move, so the frame stays what it is; they come from or go
//! to a buffer of the kernel's, since the caller's memory must not be touched under a lock.

use paging::{PAGE_SIZE, Pfn, VirtAddr};

use super::Mm;
use super::fault::{Access, FaultError};
use super::machine::Machine;
use super::space::{AddressSpace, USER_END};

impl AddressSpace {
    /// Copies the bytes at `addr`, as far as one page has them; returns how many.
    ///
    /// # Errors
    /// [`FaultError`]: they cannot be read.
    pub fn read_remote<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        addr: usize,
        to: &mut [u8],
    ) -> Result<usize, FaultError> {
        let (frame, offset) = self.frame_for(mm, addr, Access::Read)?;
        let count = to.len().min(PAGE_SIZE as usize - offset);
        let from = mm.machine.ptr(frame.addr().add(offset as u64));
        // SAFETY: within a frame that this address space maps, which it does while it is locked; what another CPU, at
        // EL0, writes to it during the copy may be in it or not, and any byte is a valid one.
        unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, count) };
        Ok(count)
    }

    /// Copies `from` to `addr`, as far as one page has room; returns how many bytes.
    ///
    /// # Errors
    /// [`FaultError`]: they cannot be written.
    pub fn write_remote<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        addr: usize,
        from: &[u8],
    ) -> Result<usize, FaultError> {
        let (frame, offset) = self.frame_for(mm, addr, Access::Write)?;
        let count = from.len().min(PAGE_SIZE as usize - offset);
        let to = mm.machine.ptr(frame.addr().add(offset as u64));
        // SAFETY: as above; the entry permits writes, so the frame is this address space's, or shared memory's.
        unsafe { to.copy_from_nonoverlapping(from.as_ptr(), count) };
        Ok(count)
    }

    /// The frame that holds `addr`, faulted in for `access`, and how far into it that is.
    fn frame_for<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        addr: usize,
        access: Access,
    ) -> Result<(Pfn, usize), FaultError> {
        let va = VirtAddr::new(addr as u64);
        if va >= USER_END {
            return Err(FaultError::MapErr);
        }
        let (page, write) = (va.align_down(PAGE_SIZE), access == Access::Write);
        // Every round but the last changes the entry towards what is needed.
        loop {
            let pte = self.pte_at(mm, page);
            // What is written through the frame leaves no trace in the entry: it must be dirty beforehand.
            let ready = pte.is_valid() && (!write || (pte.is_writable() && pte.is_dirty()));
            match ready {
                true if pte.is_special() && pte.pfn() != mm.zero_page() => {
                    return Err(FaultError::AccErr); // not a page of memory
                }
                true => return Ok((pte.pfn(), (va.get() - page.get()) as usize)),
                false => self.fault(mm, addr, access)?,
            }
        }
    }
}
