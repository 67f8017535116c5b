//! mprotect: whole blocks change their permissions without being unfolded, with one flush at the end.

use paging::batch::{Respect, folio_pte_batch};
use paging::contpte::{modify_prot_run, ptep_get_raw, set_ptes};
use paging::flush::Gather;
use paging::pmd::modify_pmd;
use paging::walk::{Part, PteRef, parts};
use paging::{PAGE_SIZE, Pte, VirtAddr};

use super::Mm;
use super::machine::Machine;
use super::space::{AddressSpace, check_range};
use super::vma::{Prot, VmaFlags};
use crate::errno::{Errno, Result};

impl AddressSpace {
    /// Changes what is permitted in a range, as mprotect.
    ///
    /// # Errors
    /// `EINVAL`: misaligned. `ENOMEM`: part of the range is not mapped. `EACCES`: device registers to be written or
    /// executed, or a shared file that may not be written. What is before that in the range has changed, as on Linux.
    /// `ENOMEM` as well: no memory to split a VMA; nothing changed.
    pub fn mprotect<M: Machine>(&mut self, mm: &Mm<M>, addr: usize, len: usize, prot: Prot) -> Result<()> {
        if len == 0 && (addr as u64).is_multiple_of(PAGE_SIZE) {
            return Ok(());
        }
        let (start, asked) = check_range(addr, len)?;
        let covered = self.vmas.covered(start, asked);
        let end = self.may_protect(start, covered, prot);
        if end > start {
            self.protect_range(mm, start, end, prot)?;
        }
        match end {
            _ if end == asked => Ok(()),
            _ if end == covered => Err(Errno::ENOMEM),
            _ => Err(Errno::EACCES),
        }
    }

    /// Changes what is permitted in a range that is mapped and may be changed so.
    fn protect_range<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        prot: Prot,
    ) -> Result<()> {
        self.split_vmas(mm, start, end)?;
        let mut flush = Gather::new();
        for index in self.vmas.overlapping(start, end) {
            let Some(vma) = self.vmas.get(index) else { continue };
            let (from, to) = (vma.start, vma.end);
            // Private pages become writable by the fault that finds out whether they are shared.
            // So do those whose writes somebody wants to hear of.
            let noticed = vma.flags.intersects(VmaFlags::SOFT_DIRTY | VmaFlags::UFFD_WP);
            let write = prot.contains(Prot::WRITE) && !vma.is_private() && !noticed;
            self.change_protection(mm, from, to, prot, write, &mut flush);
        }
        flush.flush(&mm.machine, self.asid());
        self.vmas.change(start, end, |vma| vma.prot = prot);
        self.refold_range(mm, start, end);
        Ok(())
    }

    fn change_protection<M: Machine>(
        &self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        prot: Prot,
        write: bool,
        flush: &mut Gather,
    ) {
        let permit = |pte: Pte| {
            if prot.is_empty() {
                return pte.mkprotnone();
            }
            let pte = if prot.contains(Prot::EXEC) { pte.mkexec() } else { pte.mknoexec() };
            match (prot.contains(Prot::WRITE), write) {
                (false, _) => pte.wrprotect(),
                (true, true) => pte.mkwrite(),
                (true, false) => pte,
            }
        };
        for part in parts(&mm.machine, self.root, start, end) {
            let (first, nr) = match part {
                Part::Table(first, nr) => (first, nr),
                Part::Block(at, block) => {
                    let valid = block.is_valid();
                    if valid || !prot.is_empty() {
                        modify_pmd(&mm.machine, at, |pmd| permit(pmd.mkvalid()));
                    }
                    // What was not valid is in no TLB.
                    if valid {
                        flush.add_block(at.va());
                    }
                    continue;
                }
            };
            let mut index = 0;
            while index < nr {
                let at = first.add(index);
                let pte = ptep_get_raw(&mm.machine, at);
                index += if pte.is_valid() {
                    let (run, changed) = modify_prot_run(&mm.machine, self.asid(), at, nr - index, permit);
                    if changed {
                        flush.add(at.va(), at.va().add(run as u64 * PAGE_SIZE));
                    }
                    run
                } else if pte.is_protnone() && !prot.is_empty() {
                    self.revalidate(mm, at, pte, nr - index, permit)
                } else {
                    1
                };
            }
        }
    }

    /// Makes a batch of PROT_NONE entries valid again; returns how many they were. They were flushed when they
    /// became PROT_NONE, so whole blocks are written folded.
    fn revalidate<M: Machine>(
        &self,
        mm: &Mm<M>,
        at: PteRef,
        pte: Pte,
        max: usize,
        permit: impl Fn(Pte) -> Pte,
    ) -> usize {
        let nr = if pte.is_special() {
            1
        } else {
            let respect = Respect { write: true, dirty: true, soft_dirty: true };
            let folio = mm.frames.folio(pte.pfn()).span();
            folio_pte_batch(&mm.machine, at, pte, max, folio, respect).nr
        };
        set_ptes(&mm.machine, at, permit(pte.mkvalid()), nr);
        nr
    }
}
