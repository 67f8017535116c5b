//! Write-protection for userfaultfd: a monitor hears of the first write to a page before it happens.
//!
//! A protected page has the uffd-wp bit, in whatever entry stands for it, and is never writable:
//!
//! | page | protected |
//! |---|---|
//! | present | the bit, write-protected; whole blocks stay folded |
//! | in swap, or under migration | the bit in that entry; it comes back protected |
//! | not there yet | a marker: read, the page appears protected; written, the monitor hears of it; of anonymous memory only if the monitor asked for that (WP_UNPOPULATED) |
//!
//! A write to a protected page fails as [`FaultError::UffdWp`]; nothing else about the page changes. Who hears of it is the
//! monitor of the range ([`uffd`](super::uffd)); without one the process gets SIGBUS.
//!
//! fork and mremap drop the protection from what they make, bits and markers, unless the monitor asked to hear of
//! them ([`VmaFlags::UFFD_EVENTS`]): a page that is protected where nobody listens could never be written.

use paging::contpte::{modify_prot_ptes, pte_clear, ptep_get_raw};
use paging::desc::Marker;
use paging::flush::Gather;
use paging::walk::{Part, PteRef, lookup_alloc, parts, tables};
use paging::{Asid, NonPresent, PAGE_SIZE, Pte, VirtAddr};

use super::Mm;
use super::fault::{FaultError, FaultResult, Table};
use super::gather::Unmapped;
use super::machine::Machine;
use super::space::{AddressSpace, check_range};
use super::vma::{Vma, VmaFlags};
use crate::errno::{Errno, Result};
use crate::userfault::feature;

impl AddressSpace {
    /// Registers a range for write-protection; nothing is protected yet. With `events` the monitor hears of fork and
    /// mremap, and the registration goes along.
    ///
    /// # Errors
    /// `EINVAL`: misaligned, or part of it is not mapped. `ENOMEM`.
    pub fn uffd_register_wp<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        addr: usize,
        len: usize,
        events: bool,
    ) -> Result<()> {
        let (start, end) = check_range(addr, len).map_err(|_| Errno::EINVAL)?;
        if !self.vmas.covers(start, end) {
            return Err(Errno::EINVAL);
        }
        let flags = if events { VmaFlags::UFFD_WP | VmaFlags::UFFD_EVENTS } else { VmaFlags::UFFD_WP };
        self.set_wp_flags(mm, (start, end), flags)
    }

    /// Ends the registration of a range, and with it all protection there.
    ///
    /// # Errors
    /// `EINVAL`: misaligned. `ENOMEM`.
    pub fn uffd_unregister_wp<M: Machine>(&mut self, mm: &Mm<M>, addr: usize, len: usize) -> Result<()> {
        let (start, end) = check_range(addr, len).map_err(|_| Errno::EINVAL)?;
        self.set_wp_flags(mm, (start, end), VmaFlags::empty())?;
        self.unprotect_writes(mm, start, end);
        Ok(())
    }

    /// Protects the pages of a registered range against writes, or ends that. Linux: `UFFDIO_WRITEPROTECT`.
    ///
    /// # Errors
    /// `EINVAL`: misaligned. `ENOENT`: nothing is mapped there, or some of that is not registered. `ENOMEM`: no table for markers; part of the range
    /// may be protected.
    pub fn uffd_writeprotect<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        addr: usize,
        len: usize,
        protect: bool,
    ) -> Result<()> {
        let (start, end) = check_range(addr, len).map_err(|_| Errno::EINVAL)?;
        let registered = |vma: &Vma| vma.flags.contains(VmaFlags::UFFD_WP);
        let vmas = self.vmas.overlapping(start, end);
        if vmas.is_empty() || !self.vmas.as_slice()[vmas.clone()].iter().all(registered) {
            return Err(Errno::ENOENT);
        }
        if !protect {
            self.unprotect_writes(mm, start, end);
            return Ok(());
        }
        // By the page, so that single ones can be protected and released.
        self.split_blocks_in(mm, start, end)?;
        let (mut flush, mut done) = (Gather::new(), Ok(()));
        for vma in &self.vmas.as_slice()[vmas] {
            done = self.protect_writes(mm, vma, (vma.start.max(start), vma.end.min(end)), &mut flush);
            if done.is_err() {
                break;
            }
        }
        flush.flush(&mm.machine, self.asid());
        done
    }

    fn set_wp_flags<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        (start, end): (VirtAddr, VirtAddr),
        flags: VmaFlags,
    ) -> Result<()> {
        self.split_vmas(mm, start, end)?;
        let all = VmaFlags::UFFD_WP | VmaFlags::UFFD_EVENTS;
        self.vmas.change(start, end, |vma| vma.flags = (vma.flags - all) | flags);
        Ok(())
    }

    fn protect_writes<M: Machine>(
        &self,
        mm: &Mm<M>,
        vma: &Vma,
        (start, end): (VirtAddr, VirtAddr),
        flush: &mut Gather,
    ) -> Result<()> {
        if !self.marks_absent(vma) {
            for (first, nr) in tables(&mm.machine, self.root, start, end) {
                self.protect_entries(mm, first, nr, false, flush);
            }
            return Ok(());
        }
        let mut va = start;
        while va < end {
            let first = lookup_alloc(&mm.machine, self.root, va, &mut || mm.alloc_table());
            let first = first.map_err(|_| Errno::ENOMEM)?;
            let nr = first.left_in_table().min(va.pages_to(end));
            self.protect_entries(mm, first, nr, true, flush);
            va = va.add(nr as u64 * PAGE_SIZE);
        }
        Ok(())
    }

    /// Whether pages that `vma` does not map are protected as well: those of files always, anonymous ones if the monitor
    /// asked for that.
    fn marks_absent(&self, vma: &Vma) -> bool {
        let monitor = self.monitor_numbered(vma.monitor());
        !vma.is_private_anon() || monitor.is_none_or(|monitor| monitor.has(feature::WP_UNPOPULATED))
    }

    /// Protects the pages of `nr` entries from `first` on; those that are empty too if `absent`.
    fn protect_entries<M: Machine>(
        &self,
        mm: &Mm<M>,
        first: PteRef,
        nr: usize,
        absent: bool,
        flush: &mut Gather,
    ) {
        let mut index = 0;
        while index < nr {
            let at = first.add(index);
            let pte = ptep_get_raw(&mm.machine, at);
            let run = present_run(mm, at, nr - index);
            if run > 0 {
                modify_prot_ptes(&mm.machine, self.asid(), at, run, Pte::mkuffd_wp);
                flush.add(at.va(), at.va().add(run as u64 * PAGE_SIZE));
            } else if pte.is_none() {
                if absent {
                    mm.set_nonpresent(at, NonPresent::Marker(Marker::UffdWp).encode());
                }
            } else if !matches!(NonPresent::decode(pte), NonPresent::Marker(_)) {
                mm.set_nonpresent(at, pte.mkuffd_wp());
            }
            index += run.max(1);
        }
    }

    /// Nothing to flush: the entries stay as strict as they are, and the next write finds out what it may. Blocks have no
    /// protection, or they would have been split.
    pub(super) fn unprotect_writes<M: Machine>(&self, mm: &Mm<M>, start: VirtAddr, end: VirtAddr) {
        for part in parts(&mm.machine, self.root, start, end) {
            let Part::Table(first, nr) = part else { continue };
            let mut index = 0;
            while index < nr {
                let at = first.add(index);
                let pte = ptep_get_raw(&mm.machine, at);
                let run = present_run(mm, at, nr - index);
                if run > 0 {
                    modify_prot_ptes(&mm.machine, self.asid(), at, run, Pte::clear_uffd_wp);
                } else if let Some(entry) = without_uffd_wp(pte) {
                    mm.set_nonpresent(at, entry);
                }
                index += run.max(1);
            }
        }
    }

    /// Clears the entries of `start..end` as [`AddressSpace::zap`] does; but a protected page of a file is still there, if
    /// not mapped, and stays protected. No block reaches across either end.
    #[cold]
    pub(super) fn zap_monitored<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        start: VirtAddr,
        end: VirtAddr,
        unmapped: &mut Unmapped<'_, M>,
    ) {
        let mut from = start;
        for part in parts(&mm.machine, self.root, start, end) {
            let Part::Table(first, nr) = part else { continue };
            for at in (0..nr).map(|index| first.add(index)) {
                let file = || self.vmas.find(at.va()).is_some_and(|vma| !vma.is_private_anon());
                if is_protected(ptep_get_raw(&mm.machine, at)) && file() {
                    let behind = at.va().add(PAGE_SIZE);
                    self.zap(mm, from, behind, unmapped);
                    mm.set_nonpresent(at, NonPresent::Marker(Marker::UffdWp).encode());
                    from = behind;
                }
            }
        }
        self.zap(mm, from, end, unmapped);
    }

    /// An access to a page that is not there yet, whose entry at `at` is the marker. A read maps it, protected.
    #[cold]
    pub(super) fn uffd_marker_fault<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        at: PteRef,
        marker: Pte,
        write: bool,
    ) -> FaultResult {
        let index = self.vmas.index_at(at.va());
        let vma = self.vmas.get(index).ok_or(FaultError::MapErr)?;
        let anon = vma.is_private_anon();
        self.ask_monitor(mm, vma, at.va())?; // first for the page
        if write {
            return Err(FaultError::UffdWp);
        }
        pte_clear(&mm.machine, self.asid(), at);
        let mapped = if anon {
            self.anon_fault(mm, index, at, Table::Used, false)
        } else {
            self.object_fault(mm, at, false)
        };
        match mapped {
            // A shared page may be writable at once; it was not used yet, but a TLB may know it already.
            Ok(()) => protect_fresh(mm, self.asid(), at),
            Err(_) => mm.set_nonpresent(at, marker),
        }
        mapped
    }
}

/// Protects the page at `at` that was just mapped.
fn protect_fresh<M: Machine>(mm: &Mm<M>, asid: Asid, at: PteRef) {
    modify_prot_ptes(&mm.machine, asid, at, 1, Pte::mkuffd_wp);
    let mut flush = Gather::new();
    flush.add(at.va(), at.va().add(PAGE_SIZE));
    flush.flush(&mm.machine, asid);
}

/// How many entries from `at`, at most `max`, are present without a gap.
pub(super) fn present_run<M: Machine>(mm: &Mm<M>, at: PteRef, max: usize) -> usize {
    (0..max).find(|index| !ptep_get_raw(&mm.machine, at.add(*index)).is_present()).unwrap_or(max)
}

/// Whether `pte` stands for a protected page.
fn is_protected(pte: Pte) -> bool {
    pte.is_uffd_wp() || pte.non_present() == Some(NonPresent::Marker(Marker::UffdWp))
}

/// What remains of the entry `pte`, which is not present, without protection; `None` if it had none.
fn without_uffd_wp(pte: Pte) -> Option<Pte> {
    match NonPresent::decode(pte) {
        NonPresent::Marker(Marker::UffdWp) => Some(Pte::NONE),
        _ => pte.is_uffd_wp().then(|| pte.clear_uffd_wp()),
    }
}
