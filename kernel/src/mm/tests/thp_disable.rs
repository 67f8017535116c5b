//! Large folios switched off for a process.

use linux_raw_sys::general::{MADV_COLLAPSE, MADV_HUGEPAGE};
use paging::Event;

use super::*;
use crate::errno::Errno;
use crate::mm::testing::machine;

const AREA: usize = 4 * BLOCK * PAGE;

fn with_blocks() -> Mm<HostMachine> {
    let mm = machine();
    mm.policy.set(BLOCK_ORDER, Setting::Always);
    mm
}

#[test]
fn only_single_pages_appear_until_it_is_switched_on_again() {
    let mm = with_blocks();
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, 4 * BLOCK);
        process.space.disable_large_folios(true);
        process.map_anon(BASE + AREA, BLOCK);
        let wanted = process.space.madvise(&mm, BASE, 4 * BLOCK * PAGE, MADV_HUGEPAGE);
        assert_eq!(wanted, Ok(()));
        for addr in [BASE, BASE + AREA] {
            process.write(addr, 1).unwrap();
            assert!(process.pte(addr).is_present() && !process.pte(addr + PAGE).is_present(), "{addr:#x}");
        }
        let vma = process.space.vmas().next().unwrap();
        assert!(!mm.gives_large_folios(vma));
        fill(&mut process, BASE, BLOCK, 9);
        assert_eq!(folded(&process, BASE, BLOCK), 0);
        let collapsed = process.space.madvise(&mm, BASE, BLOCK * PAGE, MADV_COLLAPSE);
        assert_eq!(collapsed, Err(Errno::EINVAL));

        let mut child = process.fork().unwrap();
        assert!(child.space.large_folios_disabled());
        child.map_anon(BASE + 2 * AREA, BLOCK);
        child.write(BASE + 2 * AREA, 1).unwrap();
        assert_eq!(folded(&child, BASE + 2 * AREA, BLOCK), 0, "for children and what they map");
        child.exit();

        process.space.disable_large_folios(false);
        process.write(BASE + BLOCK * PAGE, 1).unwrap();
        assert_eq!(folded(&process, BASE + BLOCK * PAGE, BLOCK), BLOCK);
        check(&mut process, BASE, BLOCK, 9);
        process.exit();
    });
}

#[test]
fn a_copy_of_a_block_is_a_page_where_it_is_off() {
    let mm = with_blocks();
    blocks(&mm, BLOCK_ORDER, true, true);
    leaks_nothing(&mm, || {
        let mut process = Process::new(&mm);
        process.map_anon(BASE, BLOCK);
        fill(&mut process, BASE, BLOCK, 3);
        let mut child = process.fork().unwrap();
        child.space.disable_large_folios(true);
        let copied = mm.machine.counted(Event::FramesCopied);
        child.write(BASE + PAGE, 77).unwrap();
        assert_eq!(mm.machine.counted(Event::FramesCopied) - copied, 1);
        assert_eq!(folded(&process, BASE, BLOCK), BLOCK, "the parent's stays");
        child.exit();
        check(&mut process, BASE, BLOCK, 3);
        process.exit();
    });
}
