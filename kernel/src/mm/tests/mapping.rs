//! mmap, munmap, mprotect, madvise, brk and faults outside fork.

use linux_raw_sys::general::{MADV_DONTNEED, MADV_NOHUGEPAGE, MADV_POPULATE_WRITE};
use paging::{Event, PTES_PER_TABLE};

use super::*;
use crate::errno::Errno;
use crate::mm::space::USER_START;
use crate::mm::testing::machine;
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Object, Prot};

const RW: Prot = Prot::READ.union(Prot::WRITE);

fn request(addr: usize, len: usize, flags: MapFlags) -> MapRequest {
    MapRequest { addr, len, prot: RW, flags, backing: Backing::Anon }
}

#[test]
fn the_largest_enabled_size_that_fits_is_used() {
    let mm = machine();
    // Two sizes that are on: a quarter of a block and a block, or a block and four.
    let (small, large) =
        if LARGE_ORDER > BLOCK_ORDER { (BLOCK_ORDER, LARGE_ORDER) } else { (BLOCK_ORDER - 2, BLOCK_ORDER) };
    mm.policy.set(small, Setting::Always);
    mm.policy.set(large, Setting::Always);
    let (few, many) = (1 << small, 1 << large);
    let mut process = Process::new(&mm);
    // The large one does not fit before the boundary, the small one does.
    process.map_anon(BASE - few * PAGE, few + many);
    process.write(BASE - PAGE, 1).unwrap();
    assert_eq!(process.space.usage(&mm).rss_pages, few);
    process.write(BASE + 5 * PAGE, 1).unwrap();
    assert_eq!(process.space.usage(&mm).rss_pages, few + many);
    assert_eq!(mm.frames.folio(process.pte(BASE).pfn()).order, large);
    assert_eq!(mm.frames.owner(process.pte(BASE).pfn()), process.space.owner());
    process.exit();
}

#[test]
fn a_range_that_is_not_empty_gets_small_pages() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, BLOCK);
    assert_eq!(process.read(BASE + 9 * PAGE), Ok(0));
    process.write(BASE, 1).unwrap();
    assert_eq!(process.space.usage(&mm).rss_pages, 1);
    process.write(BASE + 9 * PAGE, 4).unwrap();
    assert_eq!((process.read(BASE + 9 * PAGE), process.space.usage(&mm).rss_pages), (Ok(4), 2));
    process.map_anon(BASE + 4 * BLOCK * PAGE, BLOCK);
    process.space.madvise(&mm, BASE + 4 * BLOCK * PAGE, BLOCK * PAGE, MADV_NOHUGEPAGE).unwrap();
    process.write(BASE + 4 * BLOCK * PAGE, 1).unwrap();
    assert_eq!(process.space.usage(&mm).rss_pages, 3);
    process.exit();
}

#[test]
fn a_hole_in_a_block_unfolds_it_and_only_it() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 4 * BLOCK);
        fill(&mut process, BASE, 4 * BLOCK, 0);
        process.space.munmap(&mm, BASE + (BLOCK + 4) * PAGE, PAGE).unwrap();
        assert_eq!(folded(&process, BASE, 4 * BLOCK), 3 * BLOCK);
        assert_eq!(process.read(BASE + (BLOCK + 4) * PAGE), Err(FaultError::MapErr));
        check(&mut process, BASE + (BLOCK + 5) * PAGE, 3 * BLOCK - 5, (BLOCK + 5) as u8);
        process.exit();
    });
}

#[test]
fn whole_blocks_are_unmapped_and_protected_without_unfolding_and_with_one_flush() {
    let mm = machine();
    let mut process = Process::new(&mm);
    // As many as two last-level tables hold on 4 KiB.
    const PAGES: usize = 1024;
    process.map_anon(BASE, PAGES);
    fill(&mut process, BASE, PAGES, 0);
    let flushes = || mm.machine.counted(Event::TlbiRange) + mm.machine.counted(Event::TlbiAsid);
    let before = flushes();
    process.space.mprotect(&mm, BASE, PAGES * PAGE, Prot::READ).unwrap();
    assert_eq!((flushes() - before, folded(&process, BASE, PAGES)), (1, PAGES));
    assert_eq!(process.write(BASE, 1), Err(FaultError::AccErr));
    process.space.mprotect(&mm, BASE, PAGES * PAGE, RW).unwrap();
    fill(&mut process, BASE, PAGES, 7);
    assert_eq!(folded(&process, BASE, PAGES), PAGES);
    let tables = mm.table_pages();
    process.space.munmap(&mm, BASE, PAGES * PAGE).unwrap();
    assert_eq!(mm.machine.counted(Event::Unfold), 0);
    assert!(mm.table_pages() < tables, "tables nobody needs are freed");
    assert_eq!(process.space.usage(&mm).rss_pages, 0);
    process.exit();
}

#[test]
fn protection_of_half_a_block_unfolds_it() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, 2 * BLOCK);
    fill(&mut process, BASE, 2 * BLOCK, 0);
    process.space.mprotect(&mm, BASE + BLOCK / 2 * PAGE, BLOCK * PAGE, Prot::READ).unwrap();
    assert_eq!((folded(&process, BASE, 2 * BLOCK), mm.machine.counted(Event::Unfold)), (0, 2));
    assert_eq!(process.write(BASE + BLOCK / 2 * PAGE, 1), Err(FaultError::AccErr));
    process.write(BASE + (BLOCK / 2 - 1) * PAGE, 1).unwrap();
    process.write(BASE + (BLOCK + BLOCK / 2) * PAGE, 1).unwrap();
    process.exit();
}

#[test]
fn no_access_and_back_keeps_contents_and_refolds() {
    // Failure 9: RW -> PROT_NONE -> RW and endless faults.
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(BASE, BLOCK);
    fill(&mut process, BASE, BLOCK, 3);
    process.space.mprotect(&mm, BASE, BLOCK * PAGE, Prot::empty()).unwrap();
    assert_eq!(process.read(BASE), Err(FaultError::AccErr));
    process.space.mprotect(&mm, BASE, BLOCK * PAGE, RW).unwrap();
    check(&mut process, BASE, BLOCK, 3);
    process.write(BASE + PAGE, 8).unwrap();
    assert_eq!(folded(&process, BASE, BLOCK), BLOCK);
    process.exit();
}

#[test]
fn dontneed_gives_zeroes_and_populate_gives_pages() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * BLOCK);
        fill(&mut process, BASE, 2 * BLOCK, 1);
        process.space.madvise(&mm, BASE, 2 * BLOCK * PAGE, MADV_DONTNEED).unwrap();
        assert_eq!(process.space.usage(&mm).rss_pages, 0);
        assert_eq!(process.read(BASE + (2 * BLOCK - 1) * PAGE), Ok(0));
        process.space.madvise(&mm, BASE, BLOCK * PAGE, MADV_POPULATE_WRITE).unwrap();
        assert_eq!(folded(&process, BASE, BLOCK), BLOCK);
        assert_eq!(process.space.madvise(&mm, BASE, PAGE, 9999), Err(Errno::EINVAL));
        assert_eq!(process.space.madvise(&mm, BASE, 4 * BLOCK * PAGE, MADV_DONTNEED), Err(Errno::ENOMEM));
        process.exit();
    });
}

#[test]
fn a_private_file_mapping_reads_the_file_and_keeps_its_writes() {
    const BYTES: usize = PAGE + PAGE / 2;
    static FILE: [u8; BYTES] = [9; BYTES];
    let mm = machine();
    leaks_nothing(&mm, || {
        let object = Object::file(&FILE).unwrap();
        let mut process = Process::new(&mm);
        let backing = Backing::Object { object: object.clone(), page: 0 };
        let at = process
            .space
            .mmap(&mm, MapRequest { addr: 0, len: 3 * PAGE, prot: RW, flags: MapFlags::empty(), backing })
            .unwrap();
        assert_eq!(
            (process.read(at), process.read(at + BYTES - 1), process.read(at + BYTES)),
            (Ok(9), Ok(9), Ok(0))
        );
        assert_eq!(process.read(at + 2 * PAGE), Err(FaultError::Bus));
        let mut child = process.fork().unwrap();
        child.write(at, 1).unwrap();
        assert_eq!((child.read(at), process.read(at), FILE[0]), (Ok(1), Ok(9), 9));
        let mut grandchild = child.fork().unwrap();
        assert_eq!(grandchild.read(at), Ok(1));
        for process in [grandchild, child, process] {
            process.exit();
        }
        mm.object_put(object);
    });
}

#[test]
fn hostile_arguments_are_refused() {
    let mm = machine();
    let mut process = Process::new(&mm);
    let mut mmap = |addr, len, flags| process.space.mmap(&mm, request(addr, len, flags));
    assert_eq!(mmap(0, 0, MapFlags::empty()), Err(Errno::EINVAL));
    assert_eq!(mmap(0, usize::MAX, MapFlags::empty()), Err(Errno::ENOMEM));
    assert_eq!(mmap(0, 1 << 47, MapFlags::empty()).map(|_| ()), Ok(()));
    assert_eq!(mmap(0, 1 << 48, MapFlags::empty()), Err(Errno::ENOMEM));
    assert_eq!(mmap(BASE + 1, PAGE, MapFlags::FIXED), Err(Errno::EINVAL));
    assert_eq!(mmap(usize::MAX & !(PAGE - 1), 2 * PAGE, MapFlags::FIXED), Err(Errno::ENOMEM));
    assert_eq!(mmap(USER_START.get() as usize - PAGE, PAGE, MapFlags::FIXED), Err(Errno::EPERM));
    assert_eq!(mmap(BASE, PAGE, MapFlags::FIXED), Ok(BASE));
    assert_eq!(mmap(BASE, PAGE, MapFlags::FIXED | MapFlags::NOREPLACE), Err(Errno::EEXIST));
    assert_eq!(process.space.munmap(&mm, BASE, usize::MAX), Err(Errno::EINVAL));
    assert_eq!(process.space.mprotect(&mm, BASE, 5 * PAGE, RW), Err(Errno::ENOMEM));
    assert_eq!(process.read(usize::MAX), Err(FaultError::MapErr));
    process.exit();
}

#[test]
fn large_mappings_are_placed_so_that_large_folios_fit() {
    let mm = machine();
    let mut process = Process::new(&mm);
    let at = process.space.mmap(&mm, request(0, 3 << 20, MapFlags::empty())).unwrap();
    assert!(at.is_multiple_of(2 << 20));
    let small = process.space.mmap(&mm, request(0, 3 * PAGE, MapFlags::empty())).unwrap();
    assert!(small + 3 * PAGE <= at || small >= at + (3 << 20));
    assert_eq!(
        process.space.mmap(&mm, request(BASE, PAGE, MapFlags::empty())),
        Ok(BASE),
        "a free hint is taken"
    );
    process.exit();
}

#[test]
fn brk_grows_shrinks_and_stays_out_of_the_way() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.space.set_brk_start(BASE + 5);
        let start = BASE + PAGE;
        assert_eq!(process.space.brk(&mm, 0), start);
        assert_eq!(process.space.brk(&mm, start + 40 * PAGE + 1), start + 40 * PAGE + 1);
        fill(&mut process, start, 41, 1);
        assert_eq!(process.space.brk(&mm, start + PAGE), start + PAGE);
        assert_eq!(process.read(start + PAGE), Err(FaultError::MapErr));
        process.map_anon(start + 8 * PAGE, 1);
        assert_eq!(process.space.brk(&mm, start + 20 * PAGE), start + PAGE, "something is in the way");
        process.exit();
    });
}

#[test]
fn a_dirty_sibling_does_not_hide_a_needed_update() {
    // Failure 1, through the fault path: page 3 is dirty, page 7 is written, no hardware AF or dirty state.
    let mm = machine();
    let mut parent = Process::new(&mm);
    parent.map_anon(BASE, BLOCK);
    fill(&mut parent, BASE, BLOCK, 0);
    let mut child = parent.fork().unwrap();
    parent.exit();
    child.write(BASE + 3 * PAGE, 1).unwrap();
    child.write(BASE + 7 * PAGE, 1).unwrap();
    assert_eq!(folded(&child, BASE, BLOCK), BLOCK);
    child.exit();
}

#[test]
fn whole_tables_go_by_one_store_each_with_all_that_they_map() {
    // A table that a neighbour needs too is emptied entry by entry; the others are unlinked as they are.
    const TABLES: usize = 3;
    let mm = machine();
    only_order(&mm, 0);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, (TABLES + 1) * PTES_PER_TABLE);
        let end = BASE + TABLES * PTES_PER_TABLE * PAGE;
        let pages: std::vec::Vec<usize> =
            (0..TABLES).map(|table| BASE + (table * PTES_PER_TABLE + 3) * PAGE).collect();
        fill(&mut process, end, 5, 1);
        for page in &pages {
            fill(&mut process, *page, 4, 7);
        }
        let mut child = process.fork().unwrap();
        let (stores, rss) = (mm.machine.counted(Event::PteStores), process.space.usage(&mm).rss_pages);
        process.space.munmap(&mm, BASE, end - BASE + 2 * PAGE).unwrap();
        let spent = mm.machine.counted(Event::PteStores) - stores;
        assert_eq!(process.space.usage(&mm).rss_pages, rss - 4 * TABLES - 2);
        // Their places in the table above, and the two pages of the one that stays.
        assert_eq!(spent, TABLES as u64 + 2);
        assert_eq!(process.read(pages[0]), Err(FaultError::MapErr));
        check(&mut process, end + 2 * PAGE, 3, 3);
        pages.iter().for_each(|page| check(&mut child, *page, 4, 7));
        process.exit();
        pages.iter().for_each(|page| check(&mut child, *page, 4, 7));
        child.exit();
    });
}
