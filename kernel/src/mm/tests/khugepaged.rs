//! khugepaged: which stretches become folios, and how far a scan goes.

use linux_raw_sys::general::{MADV_HUGEPAGE, MADV_NOHUGEPAGE};
use paging::VirtAddr;

use super::*;
use crate::mm::khugepaged::settings::KhugepagedFile;
use crate::mm::khugepaged::{NR, ORDER, Scanned};
use crate::mm::space::USER_END;
use crate::mm::testing::sized;

/// A machine with room for some folios, and a process with `stretches` of them at [`BASE`] in single pages, each of
/// which was written where `is_there` holds for its number in the stretch. The policy lets them be large from then on.
fn small(stretches: usize, is_there: impl Fn(usize) -> bool, test: impl FnOnce(&mut Process<'_>)) {
    let mm = sized(8 * NR + NR * stretches);
    leaks_nothing(&mm, || {
        only_order(&mm, 0);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, stretches * NR);
        for page in (0..stretches * NR).filter(|page| is_there(page % NR)) {
            process.write(BASE + page * PAGE, 1 + (page % 251) as u8).unwrap();
        }
        only_order(&mm, ORDER);
        test(&mut process);
        for page in (0..stretches * NR).step_by(17) {
            let value = if is_there(page % NR) { 1 + (page % 251) as u8 } else { 0 };
            assert_eq!(process.read(BASE + page * PAGE), Ok(value), "page {page}");
        }
        process.exit();
    });
}

fn scan(process: &mut Process<'_>, from: usize, budget: usize) -> Scanned {
    process.enter();
    process.space.khugepaged_scan(process.mm, VirtAddr::new(from as u64), budget)
}

fn set(process: &Process<'_>, file: KhugepagedFile, value: usize) {
    process.mm.khugepaged.set(file, value.to_string().as_bytes()).unwrap();
}

fn order_at(process: &Process<'_>, stretch: usize) -> u8 {
    process.mm.frames.folio(process.pte(BASE + stretch * NR * PAGE).pfn()).order
}

#[test]
fn what_is_in_small_pages_becomes_large() {
    small(
        2,
        |_| true,
        |process| {
            let done = scan(process, 0, usize::MAX);
            assert_eq!((done.next, done.collapsed, done.no_memory), (USER_END, 2, false));
            assert_eq!((order_at(process, 0), order_at(process, 1)), (ORDER, ORDER));
            let again = scan(process, 0, usize::MAX);
            assert_eq!(again.collapsed, 0, "nothing is left to do");
        },
    );
}

#[test]
fn a_scan_ends_with_its_budget_and_goes_on_from_there() {
    small(
        3,
        |_| true,
        |process| {
            let first = scan(process, 0, NR);
            assert_eq!((first.collapsed, first.next.get() as usize), (1, BASE + NR * PAGE));
            let second = scan(process, first.next.get() as usize, 1);
            assert_eq!((second.collapsed, order_at(process, 2)), (1, 0));
            assert_eq!(scan(process, second.next.get() as usize, usize::MAX).collapsed, 1);
        },
    );
}

#[test]
fn holes_are_filled_up_to_the_limit() {
    let holes = NR / 4;
    small(
        1,
        |page| page % 4 != 3,
        |process| {
            process.read(BASE + 3 * PAGE).unwrap(); // the zero page counts as a hole
            set(process, KhugepagedFile::MaxPtesNone, holes - 1);
            assert_eq!((scan(process, 0, usize::MAX).collapsed, order_at(process, 0)), (0, 0));
            set(process, KhugepagedFile::MaxPtesNone, holes);
            assert_eq!((scan(process, 0, usize::MAX).collapsed, order_at(process, 0)), (1, ORDER));
        },
    );
}

#[test]
fn shared_pages_are_copied_up_to_the_limit() {
    small(
        1,
        |_| true,
        |process| {
            let child = process.fork().unwrap();
            // The parent's own again: all but 8.
            (8..NR).for_each(|page| process.write(BASE + page * PAGE, 1 + (page % 251) as u8).unwrap());
            set(process, KhugepagedFile::MaxPtesShared, 7);
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 0);
            set(process, KhugepagedFile::MaxPtesShared, 8);
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 1);
            child.exit();
        },
    );
}

#[test]
fn what_nobody_can_write_stays() {
    small(
        1,
        |_| true,
        |process| {
            process.space.mprotect(process.mm, BASE, NR * PAGE, crate::mm::Prot::READ).unwrap();
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 0);
        },
    );
}

#[test]
fn the_policy_and_advice_are_followed() {
    small(
        2,
        |_| true,
        |process| {
            let mm = process.mm;
            mm.policy.set(ORDER, Setting::Madvise);
            assert!(mm.khugepaged_has_work());
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 0);
            process.space.madvise(mm, BASE, NR * PAGE, MADV_HUGEPAGE).unwrap();
            process.space.madvise(mm, BASE + NR * PAGE, NR * PAGE, MADV_NOHUGEPAGE).unwrap();
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 1);
            assert_eq!((order_at(process, 0), order_at(process, 1)), (ORDER, 0));
            mm.policy.set(ORDER, Setting::Always);
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 0);
            mm.policy.set(ORDER, Setting::Never);
            assert!(!mm.khugepaged_has_work());
        },
    );
}

#[test]
fn without_memory_it_stops() {
    small(
        2,
        |_| true,
        |process| {
            let held = process.mm.hold_all();
            let done = scan(process, 0, usize::MAX);
            assert_eq!((done.collapsed, done.no_memory), (0, true));
            assert_eq!(done.next.get() as usize, BASE + NR * PAGE);
            drop(held);
        },
    );
}

#[test]
fn pages_in_swap_are_read_back_up_to_the_limit() {
    small(
        1,
        |_| true,
        |process| {
            process.mm.swap_on(NR).unwrap();
            let advice = linux_raw_sys::general::MADV_PAGEOUT;
            process.space.madvise(process.mm, BASE, 8 * PAGE, advice).unwrap();
            set(process, KhugepagedFile::MaxPtesSwap, 7);
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 0);
            set(process, KhugepagedFile::MaxPtesSwap, 8);
            assert_eq!(scan(process, 0, usize::MAX).collapsed, 1);
            process.mm.swap_off().unwrap();
        },
    );
}
