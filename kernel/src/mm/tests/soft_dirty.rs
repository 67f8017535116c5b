//! Soft-dirty tracking and pagemap.

use linux_raw_sys::general::MADV_PAGEOUT;
use paging::{CONT_PTES, Event, PAGE_SIZE};

use super::*;
use crate::mm::testing::machine;
use crate::mm::{Backing, MapFlags, MapRequest, Prot};

const SOFT_DIRTY: u64 = 1 << 55;
const EXCLUSIVE: u64 = 1 << 56;
const SHARED: u64 = 1 << 61;
const SWAPPED: u64 = 1 << 62;
const PRESENT: u64 = 1 << 63;

fn words(process: &Process<'_>, pages: usize) -> std::vec::Vec<u64> {
    let mut words = std::vec![0; pages];
    process.space.pagemap(process.mm, BASE as u64 / PAGE_SIZE, &mut words);
    words
}

/// The pages of `pages` from [`BASE`] that count as written.
fn written(process: &Process<'_>, pages: usize) -> std::vec::Vec<usize> {
    let words = words(process, pages);
    (0..pages).filter(|page| words[*page] & SOFT_DIRTY != 0).collect()
}

fn filled(mm: &Mm<HostMachine>, pages: usize) -> Process<'_> {
    let mut process = Process::new(mm);
    process.map_anon(BASE, pages);
    fill(&mut process, BASE, pages, 0);
    process
}

fn clear(process: &mut Process<'_>) {
    process.enter();
    process.space.clear_soft_dirty(process.mm);
}

#[test]
fn exactly_the_pages_written_since_are_told() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let pages = 4 * CONT_PTES;
        let mut process = filled(&mm, pages);
        assert_eq!(written(&process, pages).len(), pages, "nobody asked yet: all of it");
        let flushes = || {
            let events = [Event::TlbiVa, Event::TlbiRange, Event::TlbiAsid];
            events.map(|event| mm.machine.counted(event)).iter().sum::<u64>()
        };
        let before = flushes();
        clear(&mut process);
        assert_eq!((flushes() - before, mm.machine.counted(Event::Unfold)), (1, 0));
        assert_eq!((written(&process, pages), folded(&process, BASE, pages)), (std::vec![], pages));
        check(&mut process, BASE, pages, 0);
        for page in [3, 4, CONT_PTES + 1] {
            process.write(BASE + page * PAGE, 50).unwrap();
            process.write(BASE + page * PAGE, page as u8).unwrap();
        }
        assert_eq!(written(&process, pages), [3, 4, CONT_PTES + 1]);
        assert_eq!(folded(&process, BASE, pages), 2 * CONT_PTES, "only blocks written to are taken apart");
        check(&mut process, BASE, pages, 0);
        clear(&mut process);
        assert_eq!(written(&process, pages), []);
        process.write(BASE, 0).unwrap();
        assert_eq!(written(&process, pages), [0]);
        process.exit();
    });
}

#[test]
fn fork_and_swap_keep_what_was_noted() {
    let mm = machine();
    mm.swap_on(64).unwrap();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm, 2 * CONT_PTES);
        clear(&mut parent);
        parent.write(BASE + 3 * PAGE, 3).unwrap();
        let mut child = parent.fork().unwrap();
        assert_eq!(
            (written(&parent, 2 * CONT_PTES), written(&child, 2 * CONT_PTES)),
            (std::vec![3], std::vec![3])
        );
        child.write(BASE + 5 * PAGE, 5).unwrap();
        parent.write(BASE + 7 * PAGE, 7).unwrap();
        assert_eq!(written(&child, 2 * CONT_PTES), [3, 5]);
        assert_eq!(written(&parent, 2 * CONT_PTES), [3, 7]);
        parent.exit();
        child.space.madvise(&mm, BASE, 2 * CONT_PTES * PAGE, MADV_PAGEOUT).unwrap();
        assert_eq!(words(&child, 4)[3] & (SWAPPED | PRESENT | SOFT_DIRTY), SWAPPED | SOFT_DIRTY);
        assert_eq!(written(&child, 2 * CONT_PTES), [3, 5]);
        let grandchild = child.fork().unwrap();
        assert_eq!(written(&grandchild, 2 * CONT_PTES), [3, 5]);
        grandchild.exit();
        check(&mut child, BASE, 2 * CONT_PTES, 0);
        assert_eq!(written(&child, 2 * CONT_PTES), [3, 5], "reading back is no write");
        child.write(BASE, 0).unwrap();
        child.space.madvise(&mm, BASE, PAGE, MADV_PAGEOUT).unwrap();
        clear(&mut child);
        assert_eq!(written(&child, 2 * CONT_PTES), []);
        child.write(BASE, 9).unwrap();
        assert_eq!((written(&child, 2 * CONT_PTES), child.read(BASE)), (std::vec![0], Ok(9)));
        child.exit();
    });
}

#[test]
fn new_memory_counts_as_written_and_zeroes_that_are_read_do_not() {
    let mm = machine();
    only_order(&mm, 0);
    let mut process = filled(&mm, 2);
    process.map_anon(BASE + 2 * PAGE, 2);
    clear(&mut process);
    assert_eq!(process.read(BASE + 2 * PAGE), Ok(0));
    assert_eq!(written(&process, 4), []);
    process.write(BASE + 2 * PAGE, 1).unwrap();
    process.write(BASE + 3 * PAGE, 1).unwrap();
    assert_eq!(written(&process, 4), [2, 3]);
    // A mapping made since the bits were cleared.
    process.map_anon(BASE, 1);
    assert_eq!(written(&process, 4), [0, 2, 3]);
    process.exit();
}

#[test]
fn shared_memory_is_tracked_too() {
    let mm = machine();
    let mut process = Process::new(&mm);
    let request = MapRequest {
        addr: BASE,
        len: CONT_PTES * PAGE,
        prot: Prot::READ | Prot::WRITE,
        flags: MapFlags::FIXED | MapFlags::SHARED,
        backing: Backing::Anon,
    };
    process.space.mmap(&mm, request).unwrap();
    fill(&mut process, BASE, 8, 0);
    clear(&mut process);
    check(&mut process, BASE, 8, 0);
    assert_eq!(written(&process, CONT_PTES), []);
    process.write(BASE + 2 * PAGE, 2).unwrap();
    process.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::READ).unwrap();
    process.space.mprotect(&mm, BASE, CONT_PTES * PAGE, Prot::READ | Prot::WRITE).unwrap();
    assert_eq!(written(&process, CONT_PTES), [2]);
    process.write(BASE + 3 * PAGE, 3).unwrap();
    assert_eq!(written(&process, CONT_PTES), [2, 3]);
    let word = words(&process, 1)[0];
    assert_eq!(word & (PRESENT | SHARED), PRESENT | SHARED);
    assert_eq!(word & ((1 << 55) - 1), process.pte(BASE).pfn().get());
    process.exit();
}

#[test]
fn what_nobody_else_maps_is_exclusive() {
    let mm = machine();
    let mut process = filled(&mm, 1);
    assert_eq!(words(&process, 1)[0] & (PRESENT | EXCLUSIVE), PRESENT | EXCLUSIVE);
    let child = process.fork().unwrap();
    assert_eq!(words(&process, 1)[0] & (PRESENT | EXCLUSIVE), PRESENT);
    child.exit();
    process.exit();
    let mut reader = Process::new(&mm);
    reader.map_anon(BASE, 1);
    reader.read(BASE).unwrap();
    assert_eq!(words(&reader, 1)[0] & (PRESENT | EXCLUSIVE), PRESENT, "the page of zeroes is everybody's");
    reader.exit();
}

#[test]
fn accesses_are_forgotten_of_the_mappings_that_are_meant() {
    let mm = machine();
    let mut process = filled(&mm, 1);
    process.space.clear_referenced(&mm, crate::mm::Vma::is_mapped_file);
    assert!(process.pte(BASE).is_young());
    process.space.clear_referenced(&mm, |vma| !vma.is_mapped_file());
    assert!(!process.pte(BASE).is_young());
    process.exit();
}

#[test]
fn forgetting_accesses_keeps_blocks_and_contents() {
    let mm = machine();
    let mut process = filled(&mm, 2 * CONT_PTES);
    process.space.clear_referenced(&mm, |_| true);
    assert!((0..2 * CONT_PTES).all(|page| !process.pte(BASE + page * PAGE).is_young()));
    assert_eq!(
        (folded(&process, BASE, 2 * CONT_PTES), mm.machine.counted(Event::Unfold)),
        (2 * CONT_PTES, 0)
    );
    check(&mut process, BASE, 2 * CONT_PTES, 0);
    process.exit();
}
