//! userfaultfd: which ranges are registered with which monitor.
//!
//! | registered for | a fault is the monitor's when | see |
//! |---|---|---|
//! | missing pages | nothing is mapped, and shared memory has no page there either | [`uffd_fill`](super::uffd_fill) |
//! | minor faults | nothing is mapped, and shared memory has the page | [`uffd_fill`](super::uffd_fill) |
//! | write-protection | the page is protected, and written | [`uffd_wp`](super::uffd_wp) |
//!
//! A VMA names its monitor by a number, the place in the address space's list of monitors, so that VMAs of different
//! monitors differ and are not merged. Anonymous and shared memory can be registered. What is registered never gets
//! more than the page that was asked for: no larger folio, nothing around a fault.
//!
//! A monitor whose descriptor is closed is noticed by the next fault that would be its, the next registration and the
//! next MADV_COLLAPSE: then all that was registered with it is so no more. Whoever waits for a monitor in a range that
//! ceases to be registered, or to be there, is woken. Linux: `fs/userfaultfd.c`.
//!
//! Locks: all of it under the address space's; a monitor's own is a leaf.

use paging::{PAGE_SIZE, VirtAddr};

use super::Mm;
use super::fault::Access;
use super::machine::Machine;
use super::space::{AddressSpace, USER_END, USER_START};
use super::vma::{Backing, Vma, VmaFlags};
use crate::errno::{Errno, Result};
use crate::userfault::Monitor;
use crate::util::Ref;

/// What a range can be registered for.
pub const MODES: VmaFlags = VmaFlags::UFFD_MISSING.union(VmaFlags::UFFD_MINOR).union(VmaFlags::UFFD_WP);
/// All that a registration says of a VMA.
pub(super) const REGISTERED: VmaFlags = MODES.union(VmaFlags::UFFD_EVENTS).union(VmaFlags::UFFD_MONITOR);
/// Registered so, pages appear one by one, each on its own account.
pub(super) const SINGLE: VmaFlags = VmaFlags::UFFD_MISSING.union(VmaFlags::UFFD_MINOR);
/// Monitors that an address space can have at once: the numbers that a VMA has room for.
const MOST: usize = 15;

/// An address space's monitors, by number - 1.
pub(super) type Monitors = alloc::vec::Vec<Option<Ref<Monitor>>>;

impl Vma {
    /// The number of its monitor; 0: it has none.
    pub(super) fn monitor(&self) -> u32 {
        (self.flags & VmaFlags::UFFD_MONITOR).bits() >> VmaFlags::UFFD_MONITOR.bits().trailing_zeros()
    }

    /// Whether a fault on a page that it does not map may be a monitor's.
    #[inline]
    pub(super) fn hears_of_absence(&self) -> bool {
        self.flags.intersects(SINGLE)
    }

    /// Whether it can be registered for `modes`.
    fn can_be_registered(&self, modes: VmaFlags) -> bool {
        match &self.backing {
            Backing::Anon => !modes.contains(VmaFlags::UFFD_MINOR),
            // Every file is one of a tmpfs, and so shared memory.
            Backing::Object { .. } => true,
            Backing::Frames { .. } => false,
        }
    }
}

impl AddressSpace {
    /// Registers `start..end` with `monitor` for `modes`, and for nothing else.
    ///
    /// # Errors
    /// `EINVAL`: outside of user space, nothing mapped, or a mapping that cannot be registered so. `EBUSY`: registered
    /// with another monitor. `EPERM`: a file that may not be written. `ENOMEM`: too many monitors, or no memory.
    pub fn uffd_register<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        (start, end): (VirtAddr, VirtAddr),
        modes: VmaFlags,
        monitor: &Ref<Monitor>,
    ) -> Result<()> {
        check(start, end)?;
        self.forget_closed_monitors(mm);
        let vmas = &self.vmas.as_slice()[self.vmas.overlapping(start, end)];
        if vmas.is_empty() {
            return Err(Errno::EINVAL);
        }
        let known = self.number_of(monitor);
        for vma in vmas {
            if !vma.can_be_registered(modes) {
                return Err(Errno::EINVAL);
            }
            if vma.flags.contains(VmaFlags::READ_ONLY) {
                return Err(Errno::EPERM);
            }
            if vma.monitor() != 0 && Some(vma.monitor()) != known {
                return Err(Errno::EBUSY);
            }
        }
        self.split_vmas(mm, start, end)?;
        // By the page, so that single ones can be protected and missed.
        self.split_blocks_in(mm, start, end)?;
        let number = match known {
            Some(number) => number,
            None => self.new_monitor(monitor)?,
        };
        if !modes.contains(VmaFlags::UFFD_WP) {
            self.unprotect_registered(mm, (start, end), |vma| vma.flags.contains(VmaFlags::UFFD_WP));
        }
        let named = VmaFlags::from_bits_retain(number << VmaFlags::UFFD_MONITOR.bits().trailing_zeros());
        self.vmas.change(start, end, |vma| vma.flags = (vma.flags - REGISTERED) | modes | named);
        Ok(())
    }

    /// Ends what is registered of `start..end`, with whichever monitor, and wakes who waits there.
    ///
    /// # Errors
    /// `EINVAL`: outside of user space, nothing mapped, or a mapping that could not be registered. `ENOMEM`.
    pub fn uffd_unregister<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        (start, end): (VirtAddr, VirtAddr),
    ) -> Result<()> {
        check(start, end)?;
        let vmas = &self.vmas.as_slice()[self.vmas.overlapping(start, end)];
        if vmas.is_empty() || vmas.iter().any(|vma| !vma.can_be_registered(VmaFlags::empty())) {
            return Err(Errno::EINVAL);
        }
        self.split_vmas(mm, start, end)?;
        self.unprotect_registered(mm, (start, end), |vma| vma.flags.contains(VmaFlags::UFFD_WP));
        self.wake_monitored(start, end);
        self.vmas.change(start, end, |vma| vma.flags -= REGISTERED);
        Ok(())
    }

    /// The number by which VMAs name `monitor`.
    fn number_of(&self, monitor: &Ref<Monitor>) -> Option<u32> {
        let is_it =
            |known: &Option<Ref<Monitor>>| known.as_ref().is_some_and(|known| Ref::ptr_eq(known, monitor));
        self.monitors.iter().position(is_it).map(|place| place as u32 + 1)
    }

    fn new_monitor(&mut self, monitor: &Ref<Monitor>) -> Result<u32> {
        // One that nothing is registered with any more gives its place up.
        for place in 0..self.monitors.len() {
            if !self.vmas.iter().any(|vma| vma.monitor() == place as u32 + 1) {
                self.monitors[place] = None;
            }
        }
        let place = match self.monitors.iter().position(Option::is_none) {
            Some(place) => place,
            None if self.monitors.len() >= MOST => return Err(Errno::ENOMEM),
            None => {
                self.monitors.try_reserve(1)?;
                self.monitors.push(None);
                self.monitors.len() - 1
            }
        };
        self.monitors[place] = Some(monitor.clone());
        Ok(place as u32 + 1)
    }

    pub(super) fn monitor_numbered(&self, number: u32) -> Option<&Ref<Monitor>> {
        self.monitors.get(number.checked_sub(1)? as usize)?.as_ref()
    }

    /// The monitor that hears of faults at `va`. None if there is none, or it is closed: then that, and all that was
    /// registered with it, has been forgotten, and the access is to be repeated.
    pub fn monitor_at<M: Machine>(&mut self, mm: &Mm<M>, va: VirtAddr) -> Option<Ref<Monitor>> {
        let monitor = self.monitor_numbered(self.vmas.find(va)?.monitor())?;
        if !monitor.is_closed() {
            return Some(monitor.clone());
        }
        self.forget_closed_monitors(mm);
        None
    }

    /// Whether `va` is registered with a monitor, closed or not.
    pub fn is_registered(&self, va: VirtAddr) -> bool {
        self.vmas.find(va).is_some_and(|vma| vma.monitor() != 0)
    }

    /// The access that a monitor has to make possible before what was just tried can succeed, if there is one: who can
    /// wait for that tries again afterwards.
    pub fn take_held_up(&mut self) -> Option<(usize, Access)> {
        self.held_up.take()
    }

    /// What was registered in `start..end` is about to be so no more, or to go: who waits there looks again.
    #[cold]
    #[inline(never)]
    pub(super) fn wake_monitored(&self, start: VirtAddr, end: VirtAddr) {
        for vma in &self.vmas.as_slice()[self.vmas.overlapping(start, end)] {
            if let Some(monitor) = self.monitor_numbered(vma.monitor()) {
                monitor.wake(vma.start.max(start).get(), vma.end.min(end).get());
            }
        }
    }

    /// Forgets the monitors whose descriptors are closed, with all that is registered with them.
    #[cold]
    pub(super) fn forget_closed_monitors<M: Machine>(&mut self, mm: &Mm<M>) {
        for place in 0..self.monitors.len() {
            if !self.monitors[place].as_ref().is_some_and(|monitor| monitor.is_closed()) {
                continue;
            }
            let number = place as u32 + 1;
            let all = (VirtAddr::new(0), USER_END);
            self.unprotect_registered(mm, all, |vma| vma.monitor() == number);
            self.vmas.change(all.0, all.1, |vma| {
                if vma.monitor() == number {
                    vma.flags -= REGISTERED;
                }
            });
            self.monitors[place] = None;
        }
    }

    /// Ends the write-protection of the VMAs in `start..end` that `which` is true of.
    fn unprotect_registered<M: Machine>(
        &mut self,
        mm: &Mm<M>,
        (start, end): (VirtAddr, VirtAddr),
        which: impl Fn(&Vma) -> bool,
    ) {
        for index in self.vmas.overlapping(start, end) {
            if let Some(vma) = self.vmas.get(index).filter(|vma| which(vma)) {
                self.unprotect_writes(mm, vma.start.max(start), vma.end.min(end));
            }
        }
    }
}

/// Checks a range as userfaultfd does.
///
/// # Errors
/// `EINVAL`: misaligned, empty, or not user addresses that can be mapped.
pub fn check(start: VirtAddr, end: VirtAddr) -> Result<()> {
    let aligned = start.is_aligned(PAGE_SIZE) && end.is_aligned(PAGE_SIZE);
    if aligned && USER_START <= start && start < end && end <= USER_END { Ok(()) } else { Err(Errno::EINVAL) }
}
