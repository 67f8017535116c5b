//! Where translation tables come from and go to.

use paging::{Event, PTES_PER_TABLE};

use super::*;
use crate::mm::testing::machine;

#[test]
fn the_tables_of_a_small_process_are_the_next_ones_without_being_zeroed() {
    // Fewer on every granule than exit clears.
    const FEW: usize = 16;
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut parent = Process::new(&mm);
        parent.map_anon(BASE, FEW);
        parent.map_anon(BASE + 3 * FEW * PAGE, 2);
        fill(&mut parent, BASE, FEW, 1);
        fill(&mut parent, BASE + 3 * FEW * PAGE, 2, 1);
        for round in 0..3 {
            let zeroed = mm.machine.counted(Event::FramesZeroed);
            let mut child = parent.fork().unwrap();
            assert_eq!(mm.machine.counted(Event::FramesZeroed) == zeroed, round > 0, "round {round}");
            check(&mut child, BASE, FEW, 1);
            child.exit();
        }
        parent.exit();
    });
}

#[test]
fn a_table_that_was_full_is_zeroed_before_it_is_one_again() {
    let mm = machine();
    mm.batching.store(false, core::sync::atomic::Ordering::Relaxed); // tables of single entries, too
    leaks_nothing(&mm, || {
        for _ in 0..3 {
            let mut process = Process::new(&mm);
            process.map_anon(BASE, 2 * PTES_PER_TABLE);
            for page in (0..2 * PTES_PER_TABLE).step_by(PTES_PER_TABLE / 8) {
                process.read(BASE + page * PAGE).unwrap();
            }
            process.space.munmap(&mm, BASE + PAGE, PTES_PER_TABLE * PAGE).unwrap();
            process.exit();
        }
    });
}

#[test]
fn areas_near_and_far_are_given_back() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        // By page: next to each other or nearly, with more between them, with so much that not all is one range, far.
        for page in [0, 2, 3, 17, 40, 60, 63, 70, 2 * PTES_PER_TABLE] {
            process.map_anon(BASE + page * PAGE, 1);
            process.write(BASE + page * PAGE, 1).unwrap();
        }
        let child = process.fork().unwrap();
        assert_eq!(child.space.usage(&mm).rss_pages, 9);
        child.exit();
        process.exit();
    });
}
