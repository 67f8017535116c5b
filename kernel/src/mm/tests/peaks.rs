//! The most memory that an address space had: what raises it, and what does not.

use linux_raw_sys::general::{MADV_DONTNEED, MADV_PAGEOUT};

use super::*;
use crate::mm::testing::machine;
use crate::mm::{RemapFlags, RemapRequest};

/// Pages that are mapped, that ever were, of address space, and that ever were.
fn levels(process: &Process<'_>) -> [usize; 4] {
    let space = &process.space;
    let mapped = space.vmas().map(|vma| vma.start.pages_to(vma.end)).sum();
    [space.rss_pages(), space.peak_rss_pages(), mapped, space.peak_pages()]
}

#[test]
fn peaks_stay_when_memory_goes() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, 0);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 40);
        fill(&mut process, BASE, 30, 1);
        process.space.munmap(&mm, BASE, 10 * PAGE).unwrap();
        assert_eq!(levels(&process), [20, 30, 30, 40]);
        process.space.madvise(&mm, BASE + 10 * PAGE, 5 * PAGE, MADV_DONTNEED).unwrap();
        assert_eq!(levels(&process), [15, 30, 30, 40]);
        fill(&mut process, BASE + 10 * PAGE, 5, 1);
        process.space.forget_peak_rss();
        assert_eq!(levels(&process), [20, 20, 30, 40]);
        mm.swap_on(64).unwrap();
        process.space.madvise(&mm, BASE + 10 * PAGE, 8 * PAGE, MADV_PAGEOUT).unwrap();
        assert_eq!(levels(&process), [12, 20, 30, 40]);
        let child = process.fork().unwrap();
        assert_eq!(levels(&child), [12, 12, 30, 30], "a child begins with what it has");
        child.exit();
        process.exit();
        mm.swap_off().unwrap();
    });
}

#[test]
fn what_is_moved_or_replaced_does_not_count_twice() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * BLOCK);
        fill(&mut process, BASE, 2 * BLOCK, 1);
        let move_to = |process: &mut Process<'_>, from: usize, to: usize, new: usize, flags| {
            let request = RemapRequest {
                addr: from,
                old_len: 2 * BLOCK * PAGE,
                new_len: new * BLOCK * PAGE,
                flags,
                new_addr: to,
            };
            process.space.mremap(process.mm, request).unwrap()
        };
        let fixed = RemapFlags::MAYMOVE | RemapFlags::FIXED;
        let to = BASE + 8 * BLOCK * PAGE;
        assert_eq!(move_to(&mut process, BASE, to, 2, fixed), to);
        assert_eq!(levels(&process), [2 * BLOCK; 4]);
        process.map_anon(to, 2 * BLOCK);
        assert_eq!(levels(&process), [0, 2 * BLOCK, 2 * BLOCK, 2 * BLOCK]);
        move_to(&mut process, to, BASE, 2, fixed | RemapFlags::DONTUNMAP);
        assert_eq!(levels(&process)[3], 4 * BLOCK, "both are there");
        process.exit();
    });
}
