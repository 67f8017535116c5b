//! What `/proc/self/smaps` and the statistics of each folio size say, passed on to whoever watches from outside: under
//! `make referee` each figure is held against the page tables, and a wrong one ends the run. Without it the tests still
//! hold the figures against each other.

use core::ffi::CStr;

use user::policy::Policy;
use user::rt::marker::{self, Claim};
use user::rt::start::Args;
use user::smaps::{Area, areas};
use user::sys::file::{self, READ_ONLY, SEEK_SET};
use user::sys::memory::{self, HUGEPAGE, PRIVATE, READ, READ_WRITE, SHARED, block_size, page_size};
use user::sys::{Errno, process};
use user::text::{Text, leading_number};

use crate::harness::{Outcome, Test, Trouble, as_status};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("smaps says what the tables hold", every_mapping),
    ("smaps of parent and child say what their tables hold", both_sides_of_fork),
    ("folio statistics say what the tables hold", each_size),
];

/// Bytes of the memory that has one size of folios: two of the largest.
const LEN: usize = 4 << 20;

/// Bytes of the memory under test: some blocks, and at least two of the largest folios.
fn len() -> usize {
    LEN.max(8 * block_size())
}

/// Room for the whole of smaps.
const TEXT: usize = 256 << 10;

fn kib_to_pages(kib: u64) -> u64 {
    kib / (page_size() as u64 / 1024)
}

/// Where smaps is read into, and which frame is not in its sums.
struct Reader {
    text: &'static mut [u8],
    zero_page: u64,
}

impl Reader {
    fn new() -> Result<Self, Trouble> {
        let text = memory::map(TEXT, READ_WRITE, PRIVATE)?;
        // SAFETY: mapped for good, and nobody else's.
        let text = unsafe { core::slice::from_raw_parts_mut(text as *mut u8, TEXT) };
        text.fill(1);
        Ok(Reader { text, zero_page: zero_page()? })
    }

    fn areas(&mut self) -> Result<impl Iterator<Item = Area> + '_, Trouble> {
        let text = file::read_file(c"/proc/self/smaps", self.text)?;
        check!(text.len() < TEXT);
        Ok(areas(text))
    }

    /// Claims what smaps says of every mapping; returns how many.
    fn claim_all(&mut self) -> Result<usize, Trouble> {
        // First without claiming it, so that nothing is faulted in between the look at smaps and the claims: neither
        // code, of which a child of fork has none yet, nor the stack, as deep as it gets.
        self.go_through(true)?;
        self.go_through(false)
    }

    /// Goes through smaps and claims what it says, or (`rehearse`) what is true of any process: that its first page
    /// is not mapped.
    #[inline(never)]
    fn go_through(&mut self, rehearse: bool) -> Result<usize, Trouble> {
        let zero_page = self.zero_page;
        let mut count = 0;
        for area in self.areas()? {
            let Some(claim) = claim_of(&area, zero_page) else {
                return Err(Trouble::Skip("this kernel does not say what is folded"));
            };
            marker::claim(&match rehearse {
                true => Claim { end: page_size(), ..Claim::default() },
                // A folio of one page: as many as there are pages.
                false => Claim { folios: claim.mapped, ..claim },
            });
            count += 1;
        }
        check!(count > 3);
        Ok(count)
    }

    /// What smaps says of the mappings between the ends of `pages`, which none reaches across.
    fn claim_of(&mut self, pages: &Pages) -> Result<Claim, Trouble> {
        let (start, end) = (pages.base, pages.base + pages.count() * page_size());
        let zero_page = self.zero_page;
        let mut sum = Claim { start, end, omitted: zero_page, ..Claim::default() };
        for area in self.areas()?.filter(|area| start <= area.start && area.end <= end) {
            let Some(claim) = claim_of(&area, zero_page) else {
                return Err(Trouble::Skip("this kernel does not say what is folded"));
            };
            sum.mapped += claim.mapped;
            sum.contpte += claim.contpte;
            sum.blocks += claim.blocks;
        }
        Ok(sum)
    }
}

fn claim_of(area: &Area, omitted: u64) -> Option<Claim> {
    Some(Claim {
        start: area.start,
        end: area.end,
        mapped: kib_to_pages(area.rss),
        contpte: kib_to_pages(area.contpte?),
        blocks: kib_to_pages(area.blocks),
        omitted,
        ..Claim::default()
    })
}

/// The frame that reads of untouched memory find.
fn zero_page() -> Result<u64, Trouble> {
    const PRESENT: u64 = 1 << 63;
    const FRAME: u64 = (1 << 55) - 1;
    let page = memory::map(page_size(), READ, PRIVATE)?;
    // SAFETY: mapped readable.
    check_eq!(unsafe { (page as *const u8).read_volatile() }, 0);
    let mut word = [0; 8];
    let fd = file::open(c"/proc/self/pagemap", READ_ONLY)?;
    file::seek(fd, (page / page_size() * 8) as i64, SEEK_SET)?;
    check_eq!(file::read(fd, &mut word)?, 8);
    file::close(fd)?;
    let word = u64::from_ne_bytes(word);
    check!(word & PRESENT != 0);
    Ok(word & FRAME)
}

/// Memory of every kind there is, and parts of it changed in every way that changes how it is mapped.
fn mixture() -> Result<[Pages; 4], Trouble> {
    let [small, blocks, shared, read] = [
        Pages::map(len(), PRIVATE)?,
        Pages::map(len(), PRIVATE)?,
        Pages::map(len(), SHARED)?,
        Pages::map(len(), PRIVATE)?,
    ];
    small.set(0, 1);
    small.set(small.count() / 2, 1);
    // SAFETY: changes no contents.
    unsafe { memory::advise(blocks.base, len(), HUGEPAGE) }?;
    blocks.fill(1);
    shared.fill(1);
    // Half of it the zero page, and a hole.
    (0..read.count() / 2).for_each(|page| _ = read.get(page));
    read.set(1, 1);
    let in_block = block_size() / page_size();
    blocks.protect(in_block + 1, 1, READ)?;
    blocks.forget(3 * in_block + 2, 3)?;
    shared.protect(1, 2, READ)?;
    shared.forget(2 * in_block + 1, 1)?;
    shared.unmap(4 * in_block, 1)?;
    Ok([small, blocks, shared, read])
}

fn every_mapping(_: Args) -> Outcome {
    let mut reader = Reader::new()?;
    let count = reader.claim_all()?;
    let [small, blocks, shared, read] = mixture()?;
    check!(reader.claim_all()? >= count + 4);
    let sums = [&small, &blocks, &shared, &read].map(|pages| reader.claim_of(pages));
    let [small, blocks, shared, read] = sums;
    let pages = |bytes: usize| (bytes / page_size()) as u64;
    check!(small?.mapped >= 2);
    let blocks = blocks?;
    check_eq!(blocks.mapped, pages(len()) - 3);
    check!(blocks.contpte + blocks.blocks > 0);
    check_eq!(shared?.mapped, pages(len()) - 2);
    check!((1..pages(len()) / 2).contains(&read?.mapped));
    Ok(())
}

fn both_sides_of_fork(_: Args) -> Outcome {
    let mut reader = Reader::new()?;
    let [_, blocks, shared, _] = mixture()?;
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| {
        as_status((|| {
            // What it was given, and what it has when it has written some.
            reader.claim_all()?;
            blocks.set(0, 2);
            shared.set(0, 2);
            reader.claim_all()?;
            check_eq!(file::read(pipe.read, &mut [0])?, 1);
            // Its parent has written meanwhile.
            reader.claim_all()?;
            Ok(())
        })())
    })?;
    reader.claim_all()?;
    blocks.set(block_size() / page_size() * 5, 3);
    reader.claim_all()?;
    file::write_all(pipe.write, &[1])?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    blocks.set(1, 3);
    reader.claim_all()?;
    Ok(())
}

/// A number from `stats` of folios of `kib` KiB.
fn stat(kib: u32, name: &str) -> Result<u64, Trouble> {
    let path = Text::<128>::format(format_args!(
        "/sys/kernel/mm/transparent_hugepage/hugepages-{kib}kB/stats/{name}\0"
    ));
    let mut buffer = [0; 32];
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    leading_number(file::read_file(path, &mut buffer)?).ok_or(Trouble::Failed)
}

fn each_size(_: Args) -> Outcome {
    let mut reader = Reader::new()?;
    let policy = Policy::save();
    let outcome = (1..=9)
        .map(|order| 4 << order)
        .filter(|kib| (*kib as usize) << 10 > page_size())
        .try_for_each(|kib: u32| match policy.only(kib) {
            Ok(()) => one_size(&mut reader, kib),
            Err(errno) => Err(errno.into()),
        });
    policy.restore();
    outcome
}

fn one_size(reader: &mut Reader, kib: u32) -> Outcome {
    let folios = (LEN >> 10) as u64 / u64::from(kib);
    let pages = Pages::map(LEN, PRIVATE)?;
    let counts = || Ok::<_, Trouble>([stat(kib, "anon_fault_alloc")?, stat(kib, "nr_anon")?]);
    let before = counts()?;
    pages.fill(1);
    let after = counts()?;
    check_eq!([after[0] - before[0], after[1] - before[1]], [folios; 2]);
    let claim = reader.claim_of(&pages)?;
    check_eq!(claim.mapped, pages.count() as u64);
    let order = (u64::from(kib) << 10).ilog2() - page_size().ilog2();
    marker::claim(&Claim { order, folios: after[1] - before[1], ..claim });
    // Half of one folio goes: it is still there, and its memory with it.
    let partly = stat(kib, "nr_anon_partially_mapped")?;
    pages.unmap(0, (kib as usize) << 9 >> page_size().ilog2())?;
    check_eq!(stat(kib, "nr_anon_partially_mapped")?, partly + 1);
    let claim = reader.claim_of(&pages)?;
    marker::claim(&Claim { order, folios: folios - 1, ..claim });
    pages.unmap(0, pages.count())?;
    check_eq!(counts()?, [after[0], before[1]]);
    Ok(())
}
