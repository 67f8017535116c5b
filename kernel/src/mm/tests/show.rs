//! What is said of a fault.

use std::string::ToString;

use paging::{CONT_PTES, VirtAddr};

use super::*;
use crate::mm::show::show_pte;
use crate::mm::testing::machine;

#[test]
fn an_entry_is_shown_with_what_its_whole_block_noted() {
    let mm = machine();
    leaks_nothing(&mm, || {
        only_order(&mm, CONT_PTES.ilog2() as u8);
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 2 * CONT_PTES);
        process.write(BASE, 1).unwrap();
        let show =
            |addr: usize| show_pte(&mm.machine, process.space.root(), VirtAddr::new(addr as u64)).to_string();
        let noted = show(BASE + PAGE);
        assert!(noted.ends_with(" write dirty young cont"), "{noted}");
        assert!(noted.starts_with(&std::format!("{:#x}: 0x", BASE + PAGE)), "{noted}");
        assert_eq!(
            show(BASE + CONT_PTES * PAGE),
            std::format!("{:#x}: 0x{:016x}, None", BASE + CONT_PTES * PAGE, 0)
        );
        assert!(show(1 << 47).contains("nothing at level"), "{}", show(1 << 47));
        process.exit();
    });
}
