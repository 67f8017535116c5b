//! userfaultfd and what is larger than a page: folded blocks, large folios, 2 MiB blocks.

use linux_raw_sys::general::*;

use super::uffd::{MINOR, MISSING, WP, fill as fill_page, map_shared, monitor, register};
use super::*;
use crate::errno::Errno;
use crate::mm::pmd::PMD_ORDER;
use crate::mm::testing::machine;
use crate::mm::uffd_fill::Fill;
use crate::mm::{FaultError, Object};

#[test]
fn a_hole_in_a_folded_block_is_missing_and_the_copy_is_not_part_of_the_block() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, BLOCK_ORDER);
        let monitor = monitor();
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * BLOCK);
        fill(&mut process, BASE, 2 * BLOCK, 0);
        register(&mut process, BASE, 2 * BLOCK, MISSING | WP, &monitor).unwrap();
        assert_eq!(folded(&process, BASE, 2 * BLOCK), 2 * BLOCK);
        // The last of its block: the entry after which a block would be folded.
        let hole = BASE + (BLOCK - 1) * PAGE;
        process.space.madvise(&mm, hole, PAGE, MADV_DONTNEED).unwrap();
        assert_eq!(process.write(hole, 1), Err(FaultError::UffdMissing), "not refilled from its folio");
        let page = [7; PAGE];
        fill_page(&mut process, hole, Fill::Bytes(&page), false).unwrap();
        assert_eq!((process.read(hole), process.write(hole, 9), process.read(hole)), (Ok(7), Ok(()), Ok(9)));
        assert_eq!(folded(&process, BASE, 2 * BLOCK), BLOCK);
        check(&mut process, BASE, BLOCK - 1, 0);
        // Protected in part, the other block is unfolded; its rest is as writable as before.
        let (from, pages) = (BASE + (BLOCK + 1) * PAGE, 3);
        process.space.uffd_writeprotect(&mm, from, pages * PAGE, true).unwrap();
        assert_eq!(folded(&process, BASE, 2 * BLOCK), 0);
        for page in 0..BLOCK {
            let at = BASE + (BLOCK + page) * PAGE;
            let protected = (1..1 + pages).contains(&page);
            assert_eq!(process.write(at, 1), if protected { Err(FaultError::UffdWp) } else { Ok(()) });
        }
        process.exit();
    });
}

#[test]
fn large_folios_stay_out_of_what_is_missing() {
    let mm = machine();
    leaks_nothing(&mm, || {
        for order in [Some(BLOCK_ORDER), PMD_ORDER].into_iter().flatten() {
            only_order(&mm, order);
            let pages = 2 << order;
            let base = BASE.next_multiple_of(PAGE << order);
            let monitor = monitor();
            let mut process = Process::new(&mm);
            process.map_anon(base, pages);
            // A page in the middle of where a folio would be.
            let at = base + (pages / 4) * PAGE;
            register(&mut process, at, 1, MISSING, &monitor).unwrap();
            fill(&mut process, base, pages / 4, 0);
            process.write(at + PAGE, 1).unwrap();
            assert_eq!(process.read(at), Err(FaultError::UffdMissing));
            register(&mut process, base, pages, MISSING, &monitor).unwrap();
            let far = base + (pages / 2) * PAGE;
            assert_eq!(process.write(far, 1), Err(FaultError::UffdMissing));
            assert_eq!(process.space.madvise(&mm, base, pages * PAGE, MADV_COLLAPSE), Err(Errno::EINVAL));
            let page = [3; PAGE];
            for page_number in [0, 1] {
                fill_page(&mut process, far + page_number * PAGE, Fill::Bytes(&page), false).unwrap();
            }
            assert_eq!(process.write(far + 2 * PAGE, 1), Err(FaultError::UffdMissing));
            assert_eq!(process.write(far, 4), Ok(()));
            // The monitor gone, all is as elsewhere.
            monitor.close();
            process.space.madvise(&mm, base, pages * PAGE, MADV_COLLAPSE).unwrap();
            assert_eq!(
                (process.read(far), process.read(far + PAGE), process.read(far + 2 * PAGE)),
                (Ok(4), Ok(3), Ok(0))
            );
            process.exit();
        }
    });
}

#[test]
fn a_block_that_is_registered_is_taken_apart_and_protected_by_the_page() {
    let Some(order) = PMD_ORDER else { return };
    let mm = machine();
    only_order(&mm, order);
    let monitor = monitor();
    let mut process = Process::new(&mm);
    let base = BASE.next_multiple_of(PAGE << order);
    process.map_anon(base, 2 << order);
    process.write(base, 1).unwrap();
    assert!(process.space.block_at(&mm, super::uffd::va(base)).is_some());
    register(&mut process, base, 2 << order, WP, &monitor).unwrap();
    assert!(process.space.block_at(&mm, super::uffd::va(base)).is_none());
    // Registered for that alone, it may get blocks, which are in the way of protection only when that begins.
    let second = base + (PAGE << order);
    process.write(second, 2).unwrap();
    assert!(process.space.block_at(&mm, super::uffd::va(second)).is_some());
    process.space.uffd_writeprotect(&mm, second, PAGE, false).unwrap();
    assert!(process.space.block_at(&mm, super::uffd::va(second)).is_some());
    process.space.uffd_writeprotect(&mm, second + PAGE, PAGE, true).unwrap();
    assert_eq!(process.write(second + PAGE, 1), Err(FaultError::UffdWp));
    assert_eq!((process.write(second, 3), process.write(base, 4)), (Ok(()), Ok(())));
    process.exit();
}

#[test]
fn minor_faults_come_by_the_page_though_the_folio_is_large() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let monitor = monitor();
        let object = Object::shmem((2 * BLOCK * PAGE) as u64).unwrap();
        let mut process = Process::new(&mm);
        let other = BASE + 4 * BLOCK * PAGE;
        map_shared(&mut process, BASE, &object, 2 * BLOCK);
        map_shared(&mut process, other, &object, 2 * BLOCK);
        register(&mut process, BASE, 2 * BLOCK, MINOR, &monitor).unwrap();
        fill(&mut process, other, BLOCK, 0);
        // One that the object has not is made, alone, and none of those around it is mapped with it.
        process.read(BASE + BLOCK * PAGE).unwrap();
        assert_eq!(object.present() as usize, BLOCK + 1);
        for page in 0..BLOCK {
            let at = BASE + page * PAGE;
            assert_eq!(process.read(at), Err(FaultError::UffdMinor));
            fill_page(&mut process, at, Fill::Present, false).unwrap();
            assert_eq!(process.read(at), Ok(page as u8));
        }
        assert_eq!(folded(&process, BASE, BLOCK), BLOCK, "the last has folded them");
        process.space.munmap(&mm, other, 2 * BLOCK * PAGE).unwrap();
        process.exit();
        mm.object_put(object);
    });
}

#[test]
fn a_page_that_is_made_brings_none_of_those_that_are_a_monitor_s() {
    let mm = machine();
    leaks_nothing(&mm, || {
        mm.shmem_policy.set(BLOCK_ORDER, Setting::Never);
        let monitor = monitor();
        let object = Object::shmem((BLOCK * PAGE) as u64).unwrap();
        let mut process = Process::new(&mm);
        let other = BASE + 4 * BLOCK * PAGE;
        map_shared(&mut process, BASE, &object, BLOCK);
        map_shared(&mut process, other, &object, BLOCK);
        register(&mut process, BASE, BLOCK, MINOR, &monitor).unwrap();
        for page in [0, 2, 3] {
            process.write(other + page * PAGE, 1).unwrap();
        }
        assert_eq!(process.read(BASE + PAGE), Ok(0), "nobody has that one");
        for page in [0, 2, 3] {
            assert!(process.pte(BASE + page * PAGE).is_none());
            assert_eq!(process.read(BASE + page * PAGE), Err(FaultError::UffdMinor));
        }
        process.exit();
        mm.object_put(object);
    });
}
