//! An address space for a test to play in, accessed as EL0 would: by LDTR and STTR, through the real tables.

use paging::walk::{PteRef, lookup};
use paging::{PAGE_SIZE, Pte, VirtAddr};

use super::harness::Failure;
use crate::arch::probe;
use crate::errno::Result;
use crate::mm::frame::MAX_ORDER;
use crate::mm::policy::{BLOCK_ORDER, Setting};
use crate::mm::{Access, AddressSpace, Backing, FaultError, MapFlags, MapRequest, Prot};

/// Where tests map: aligned to the largest folio.
pub const BASE: usize = 0x4000_0000;
/// Bytes in a page.
pub const PAGE: usize = PAGE_SIZE as usize;
/// Pages of a contpte block.
pub const BLOCK: usize = paging::CONT_PTES;
/// Pages of the largest folio: 2 MiB.
pub const HUGE: usize = 1 << MAX_ORDER;
/// The order of a folio of four blocks, or of one where no folio is as large (16 KiB and 64 KiB granules).
pub const LARGE_ORDER: u8 = if BLOCK_ORDER + 2 < MAX_ORDER { BLOCK_ORDER + 2 } else { MAX_ORDER };
/// Pages of such a folio.
pub const LARGE: usize = 1 << LARGE_ORDER;

/// A process as far as its memory goes.
pub struct Sandbox {
    space: Option<AddressSpace>,
}

impl Sandbox {
    /// A sandbox with nothing mapped.
    pub fn new() -> Result<Self> {
        Ok(Sandbox { space: Some(AddressSpace::new(crate::mm())?) })
    }

    /// A sandbox with `pages` private anonymous pages at [`BASE`], page number i holding `seed + i`.
    pub fn filled(pages: usize, seed: u64) -> core::result::Result<Self, Failure> {
        let mut sandbox = Sandbox::new()?;
        sandbox.map(BASE, pages)?;
        sandbox.fill(pages, seed)?;
        Ok(sandbox)
    }

    /// The address space.
    pub fn space(&mut self) -> &mut AddressSpace {
        self.space.as_mut().expect("taken only when dropped")
    }

    /// Maps `pages` private anonymous pages at `addr`.
    pub fn map(&mut self, addr: usize, pages: usize) -> Result<()> {
        let request = MapRequest {
            addr,
            len: pages * PAGE,
            prot: Prot::READ | Prot::WRITE,
            flags: MapFlags::FIXED,
            backing: Backing::Anon,
        };
        self.space().mmap(crate::mm(), request).map(|_| ())
    }

    /// Forks.
    pub fn fork(&mut self) -> Result<Sandbox> {
        Ok(Sandbox { space: Some(self.space().fork(crate::mm())?) })
    }

    /// Lets this CPU translate through it.
    pub fn activate(&mut self) {
        self.space().activate(crate::mm());
    }

    /// The entry for `addr`.
    pub fn at(&mut self, addr: usize) -> Option<PteRef> {
        lookup(&crate::mm().machine, self.space().root(), VirtAddr::new(addr as u64))
    }

    /// What the entry for `addr` holds; of a page that a block maps, what its entry would.
    pub fn pte(&mut self, addr: usize) -> Pte {
        self.space().pte_at(crate::mm(), VirtAddr::new(addr as u64))
    }

    /// How many of `pages` pages from [`BASE`] are mapped by folded blocks.
    pub fn folded(&mut self, pages: usize) -> usize {
        (0..pages).filter(|page| self.pte(BASE + page * PAGE).is_cont()).count()
    }

    /// Loads as EL0, resolving faults as the kernel does for a process.
    pub fn read(&mut self, addr: usize) -> core::result::Result<u64, FaultError> {
        self.activate();
        loop {
            match probe::load_user(addr) {
                Ok(value) => return Ok(value),
                Err(_) => self.space().fault(crate::mm(), addr, Access::Read)?,
            }
        }
    }

    /// Stores as EL0, resolving faults as the kernel does for a process.
    pub fn write(&mut self, addr: usize, value: u64) -> core::result::Result<(), FaultError> {
        self.activate();
        while probe::store_user(addr, value).is_err() {
            self.space().fault(crate::mm(), addr, Access::Write)?;
        }
        Ok(())
    }

    /// Writes `seed + i` to page number i of `pages` from [`BASE`].
    pub fn fill(&mut self, pages: usize, seed: u64) -> core::result::Result<(), FaultError> {
        (0..pages).try_for_each(|page| self.write(BASE + page * PAGE, seed + page as u64))
    }

    /// Whether `pages` pages from [`BASE`] hold what [`Sandbox::fill`] wrote.
    pub fn holds(&mut self, pages: usize, seed: u64) -> bool {
        (0..pages).all(|page| self.read(BASE + page * PAGE) == Ok(seed + page as u64))
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        crate::arch::mmu::set_empty_user_table();
        if let Some(space) = self.space.take() {
            space.destroy(crate::mm());
        }
    }
}

/// Anonymous memory gets folios of exactly one order while this lives; then what it got before.
pub struct OnlyOrder {
    saved: [Setting; MAX_ORDER as usize],
}

impl OnlyOrder {
    /// `order` `always`, all others `never`; order 0 means single pages.
    pub fn new(order: u8) -> Self {
        let policy = &crate::mm().policy;
        let mut saved = [Setting::Never; MAX_ORDER as usize];
        for (size, saved) in (1..).zip(&mut saved) {
            *saved = policy.get(size).unwrap_or(Setting::Never);
            policy.set(size, if size == order { Setting::Always } else { Setting::Never });
        }
        OnlyOrder { saved }
    }
}

impl Drop for OnlyOrder {
    fn drop(&mut self) {
        for (size, saved) in (1..).zip(self.saved) {
            crate::mm().policy.set(size, saved);
        }
    }
}
