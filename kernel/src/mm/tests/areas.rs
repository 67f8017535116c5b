//! The areas of the world that show something from outside: shared memory, a private mapping of a file, and device
//! registers.
//!
//! As everything in the naive implementation, page by page: shared memory is one array, a process's view of the file is
//! the file and what the process wrote over it, and the registers are always the same.

use std::vec::Vec;

use linux_raw_sys::general::MADV_DONTNEED;
use paging::{CONT_PTES, CONT_SIZE, PTES_PER_TABLE, Pfn};

use super::{PAGE, STEP};
use crate::errno::Errno;
use crate::mm::frame::Kind;
use crate::mm::testing::{HostMachine, Process};
use crate::mm::{Backing, FaultError, Machine, MapFlags, MapRequest, Mm, Object, Prot};
use crate::util::Ref;

/// Pages of shared memory: two blocks and a half.
const SHARED_PAGES: usize = 2 * CONT_PTES + CONT_PTES / 2;
/// Pages of the file, the last of which it fills only in part: its folios get smaller towards the end.
const FILE_PAGES: usize = CONT_PTES + CONT_PTES / 2 + 1;
/// Bytes that one last-level table translates.
const TABLE: usize = PTES_PER_TABLE * PAGE;
/// Pages of device registers.
const FRAMES: usize = 1 << FRAMES_ORDER;
const FRAMES_ORDER: u8 = 2;
/// Where the shared area is: one block before a table's end.
const SHARED: usize = (1 << 32) + TABLE - CONT_SIZE as usize;
/// Where the file is: one block before a table's end.
const FILE: usize = (1 << 32) + 4 * TABLE - CONT_SIZE as usize;
/// Where the registers are: half before a table's end, half behind.
const DEVICE: usize = (1 << 32) + 7 * TABLE - FRAMES / 2 * PAGE;
const RW: Prot = Prot::READ.union(Prot::WRITE);

/// One of the areas.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Area {
    /// Shared anonymous memory.
    Shared,
    /// A file, mapped privately, and a page beyond its end.
    File,
    /// Device registers, mapped privately: whoever writes to them is refused.
    Device,
}

impl Area {
    /// Where its first page is, and how many it has.
    const fn place(self) -> (usize, usize) {
        match self {
            Area::Shared => (SHARED, SHARED_PAGES),
            Area::File => (FILE, FILE_PAGES + 1),
            Area::Device => (DEVICE, FRAMES),
        }
    }

    /// What is permitted at first.
    const fn prot(self) -> Prot {
        match self {
            Area::Device => Prot::READ,
            Area::Shared | Area::File => RW,
        }
    }
}

/// Something that a process does in an area. Pages are 0-based and taken modulo how many there are.
#[derive(Clone, Copy, Debug)]
pub enum AreaOp {
    /// A load from a page.
    Read(usize),
    /// A store to a page.
    Write(usize),
    /// Stores to so many pages from one on.
    Fill(usize, usize),
    /// madvise(MADV_DONTNEED).
    Discard(usize, usize),
    /// mprotect to PROT_NONE (0), read-only (1) or read and write (2).
    Protect(usize, usize, u8),
    /// mmap of the same, MAP_FIXED.
    Remap(usize, usize),
}

/// What is permitted in a page, and, in the file, what was written to it.
#[derive(Clone, Copy, Debug)]
struct View {
    prot: Prot,
    written: Option<u8>,
}

/// A process's view of both areas.
#[derive(Clone, Debug)]
pub struct Views {
    shared: [View; SHARED_PAGES],
    file: [View; FILE_PAGES + 1],
    device: [View; FRAMES],
}

impl Default for Views {
    fn default() -> Self {
        let fresh = |area: Area| View { prot: area.prot(), written: None };
        Views {
            shared: [fresh(Area::Shared); SHARED_PAGES],
            file: [fresh(Area::File); FILE_PAGES + 1],
            device: [fresh(Area::Device); FRAMES],
        }
    }
}

impl Views {
    fn of(&mut self, area: Area) -> &mut [View] {
        match area {
            Area::Shared => &mut self.shared,
            Area::File => &mut self.file,
            Area::Device => &mut self.device,
        }
    }
}

/// What all processes share: the objects, and what the naive implementation holds of them.
pub struct Areas<'m> {
    mm: &'m Mm<HostMachine>,
    shared: [u8; SHARED_PAGES],
    objects: [Ref<Object>; 2],
    /// The first frame of what passes for registers: every page is full of its number plus 1.
    device: Pfn,
}

/// The file: every page is full of its number plus 1.
fn file() -> &'static [u8] {
    static FILE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    FILE.get_or_init(|| {
        (0..FILE_PAGES * PAGE - PAGE / 2).map(|byte| ((byte / PAGE) as u8).wrapping_add(1)).collect()
    })
}

impl<'m> Areas<'m> {
    /// All, mapped in `first`.
    pub fn new(mm: &'m Mm<HostMachine>, first: &mut Process<'_>) -> Self {
        let shared = Object::shmem((SHARED_PAGES * PAGE) as u64).unwrap();
        let objects = [shared, Object::file(file()).unwrap()];
        let device = mm.alloc_frames(FRAMES_ORDER, Kind::Kernel, 0).unwrap();
        for page in 0..FRAMES {
            let frame = mm.machine.ptr(device.add(page as u64).addr());
            // SAFETY: the frame is this test's own.
            unsafe { frame.write_bytes(page as u8 + 1, PAGE) };
        }
        let areas = Areas { mm, shared: [0; SHARED_PAGES], objects, device };
        areas.map(first, Area::Shared, 0..SHARED_PAGES);
        areas.map(first, Area::File, 0..FILE_PAGES + 1);
        areas.map(first, Area::Device, 0..FRAMES);
        areas
    }

    fn map(&self, process: &mut Process<'_>, area: Area, pages: core::ops::Range<usize>) {
        let addr = area.place().0 + pages.start * PAGE;
        let page = pages.start as u64;
        let of = |object: &Ref<Object>| Backing::Object { object: object.clone(), page };
        let (backing, shared) = match area {
            Area::Shared => (of(&self.objects[0]), MapFlags::SHARED),
            Area::File => (of(&self.objects[1]), MapFlags::empty()),
            Area::Device => (Backing::Frames { first: self.device.add(page) }, MapFlags::empty()),
        };
        let flags = MapFlags::FIXED | shared;
        let request = MapRequest { addr, len: pages.len() * PAGE, prot: area.prot(), flags, backing };
        assert_eq!(process.space.mmap(self.mm, request), Ok(addr));
    }

    /// Does `op` in both implementations, storing `value` where it stores; panics where they differ.
    pub fn step(&mut self, process: &mut Process<'_>, views: &mut Views, area: Area, op: AreaOp, value: u8) {
        let (base, all) = area.place();
        let stretch = |first: usize, pages: usize| first % all..(first % all + pages.max(1)).min(all);
        let bytes = |pages: &core::ops::Range<usize>| (base + pages.start * PAGE, pages.len() * PAGE);
        let views_of = views.of(area);
        process.enter();
        match op {
            AreaOp::Read(page) => self.compare(process, views, area, page % all),
            AreaOp::Write(page) => self.write(process, views, area, page % all, value),
            AreaOp::Fill(first, pages) => {
                for page in stretch(first, pages) {
                    self.write(process, views, area, page, value.wrapping_add(page as u8));
                }
            }
            AreaOp::Discard(first, pages) => {
                let pages = stretch(first, pages);
                let (addr, len) = bytes(&pages);
                let expected = if area == Area::Device { Err(Errno::EINVAL) } else { Ok(()) };
                assert_eq!(process.space.madvise(self.mm, addr, len, MADV_DONTNEED), expected);
                views_of[pages].iter_mut().for_each(|view| view.written = None);
            }
            AreaOp::Protect(first, pages, prot) => {
                let pages = stretch(first, pages);
                let (addr, len) = bytes(&pages);
                let prot = [Prot::empty(), Prot::READ, RW][prot as usize % 3];
                let permitted = area.prot().contains(prot);
                let expected = if permitted { Ok(()) } else { Err(Errno::EACCES) };
                assert_eq!(process.space.mprotect(self.mm, addr, len, prot), expected);
                if permitted {
                    views_of[pages].iter_mut().for_each(|view| view.prot = prot);
                }
            }
            AreaOp::Remap(first, pages) => {
                let pages = stretch(first, pages);
                self.map(process, area, pages.clone());
                views_of[pages].fill(View { prot: area.prot(), written: None });
            }
        }
    }

    fn write(&mut self, process: &mut Process<'_>, views: &mut Views, area: Area, page: usize, value: u8) {
        let view = &mut views.of(area)[page];
        let expected = match area {
            _ if !view.prot.contains(Prot::WRITE) => Err(FaultError::AccErr),
            Area::Device => panic!("registers that can be written"),
            Area::File if page >= FILE_PAGES => Err(FaultError::Bus),
            Area::File => {
                view.written = Some(value);
                Ok(())
            }
            Area::Shared => {
                self.shared[page] = value;
                Ok(())
            }
        };
        assert_eq!(process.write(area.place().0 + page * PAGE, value), expected, "store to {area:?} {page}");
    }

    fn compare(&self, process: &mut Process<'_>, views: &mut Views, area: Area, page: usize) {
        let view = views.of(area)[page];
        let expected = match area {
            _ if view.prot.is_empty() => Err(FaultError::AccErr),
            Area::File if page >= FILE_PAGES => Err(FaultError::Bus),
            Area::File | Area::Device => Ok(view.written.unwrap_or(page as u8 + 1)),
            Area::Shared => Ok(self.shared[page]),
        };
        assert_eq!(process.read(area.place().0 + page * PAGE), expected, "load from {area:?} {page}");
    }

    /// Compares the pages of a process.
    pub fn compare_all(&self, process: &mut Process<'_>, views: &mut Views) {
        for area in [Area::Shared, Area::File, Area::Device] {
            (0..area.place().1).step_by(STEP).for_each(|page| self.compare(process, views, area, page));
        }
    }

    /// Gives the objects up, and the frames, which nobody else has taken a reference to.
    pub fn finish(self) {
        assert_eq!(self.mm.frames.counts(self.device).maps, 0);
        self.mm.folio_put(self.device);
        self.objects.into_iter().for_each(|object| self.mm.object_put(object));
    }
}
