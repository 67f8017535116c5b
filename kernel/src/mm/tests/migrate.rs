//! Migration: the two halves together, and what happens to a page between them.

use linux_raw_sys::general::MADV_SOFT_OFFLINE;
use paging::{CONT_PTES, Event, NonPresent, VirtAddr};

use super::*;
use crate::errno::Errno;
use crate::mm::testing::{machine, sized};

const HERE: VirtAddr = VirtAddr::new((BASE + 3 * PAGE) as u64);

fn filled(mm: &Mm<HostMachine>) -> Process<'_> {
    let mut process = Process::new(mm);
    process.map_anon(BASE, CONT_PTES);
    fill(&mut process, BASE, CONT_PTES, 0);
    process
}

/// Whether the entry for [`HERE`] is a migration entry, and a writable one.
fn migrating(process: &Process<'_>) -> Option<bool> {
    match process.pte(BASE + 3 * PAGE).non_present() {
        Some(NonPresent::Migration { writable, .. }) => Some(writable),
        _ => None,
    }
}

#[test]
fn a_page_moves_with_its_contents() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = filled(&mm);
        let old = process.pte(BASE + 3 * PAGE).pfn();
        process.space.migrate_page(&mm, HERE).unwrap();
        assert_ne!(process.pte(BASE + 3 * PAGE).pfn(), old);
        assert!(process.pte(BASE + 3 * PAGE).is_writable());
        check(&mut process, BASE, CONT_PTES, 0);
        assert_eq!(mm.machine.counted(Event::PgmigrateSuccess), 1);
        process.space.madvise(&mm, BASE, CONT_PTES * PAGE, MADV_SOFT_OFFLINE).unwrap();
        assert_eq!(mm.machine.counted(Event::PgmigrateSuccess), 1 + CONT_PTES as u64);
        check(&mut process, BASE, CONT_PTES, 0);
        process.exit();
    });
}

#[test]
fn fork_makes_a_writable_migration_entry_readable_on_both_sides() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = filled(&mm);
        let old = parent.space.migration_begin(&mm, HERE).unwrap();
        assert_eq!(migrating(&parent), Some(true));
        let mut child = parent.fork().unwrap();
        assert_eq!((migrating(&parent), migrating(&child)), (Some(false), Some(false)));
        assert_eq!(child.space.usage(&mm).rss_pages, CONT_PTES);
        // The child's access undoes its side; the parent's goes on.
        assert_eq!(child.read(BASE + 3 * PAGE), Ok(3));
        child.write(BASE + 3 * PAGE, 77).unwrap();
        parent.space.migration_finish(&mm, HERE, old).unwrap();
        assert_eq!(parent.read(BASE + 3 * PAGE), Ok(3));
        parent.write(BASE + 3 * PAGE, 88).unwrap();
        assert_eq!(child.read(BASE + 3 * PAGE), Ok(77));
        parent.exit();
        check(&mut child, BASE + 4 * PAGE, CONT_PTES - 4, 4);
        child.exit();
    });
}

#[test]
fn an_access_between_the_halves_undoes_the_first() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = filled(&mm);
        let old = process.space.migration_begin(&mm, HERE).unwrap();
        process.write(BASE + 3 * PAGE, 50).unwrap();
        assert_eq!(process.pte(BASE + 3 * PAGE).pfn(), old);
        assert_eq!(process.space.migration_finish(&mm, HERE, old), Err(Errno::EAGAIN));
        assert_eq!(process.read(BASE + 3 * PAGE), Ok(50));
        process.exit();
    });
}

#[test]
fn a_page_given_up_between_the_halves_is_freed() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = filled(&mm);
        let old = process.space.migration_begin(&mm, HERE).unwrap();
        process.space.munmap(&mm, BASE, CONT_PTES * PAGE).unwrap();
        assert_eq!(process.space.usage(&mm).rss_pages, 0);
        assert_eq!(process.space.migration_finish(&mm, HERE, old), Err(Errno::EAGAIN));
        process.map_anon(BASE, CONT_PTES);
        fill(&mut process, BASE, CONT_PTES, 0);
        process.space.migration_begin(&mm, HERE).unwrap();
        process.exit();
    });
}

#[test]
fn what_cannot_be_moved_stays_as_it_is() {
    let mm = sized(1024);
    leaks_nothing(&mm, || {
        let mut process = filled(&mm);
        process.map_anon(BASE + (1 << 30), 1);
        let absent = VirtAddr::new(BASE as u64 + (1 << 30));
        assert_eq!(process.space.migrate_page(&mm, absent), Err(Errno::EFAULT));
        process.read(BASE + (1 << 30)).unwrap();
        assert_eq!(process.space.migrate_page(&mm, absent), Err(Errno::EFAULT), "the zero page");
        let child = process.fork().unwrap();
        assert_eq!(process.space.migrate_page(&mm, HERE), Err(Errno::EBUSY));
        child.exit();
        let held = mm.hold_all();
        assert_eq!(process.space.migrate_page(&mm, HERE), Err(Errno::ENOMEM));
        check(&mut process, BASE, CONT_PTES, 0);
        drop(held);
        process.exit();
    });
}
