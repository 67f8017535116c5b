//! The stack's VMA grows down to what is used, as far as it may.

use super::{PAGE, check, fill, leaks_nothing};
use crate::errno::Errno;
use crate::mm::stack::{STACK_BYTES, STACK_GAP, stack_start};
use crate::mm::testing::{Process, machine};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Prot};
use paging::VirtAddr;

const TOP: usize = 1 << 32;
const LOWEST: usize = TOP - STACK_BYTES as usize;
const RW: Prot = Prot::READ.union(Prot::WRITE);

fn map(process: &mut Process<'_>, start: usize, end: usize, prot: Prot, flags: MapFlags) {
    let flags = flags | MapFlags::FIXED;
    let request = MapRequest { addr: start, len: end - start, prot, flags, backing: Backing::Anon };
    assert_eq!(process.space.mmap(process.mm, request), Ok(start));
}

fn with_stack(mm: &crate::mm::Mm<crate::mm::testing::HostMachine>) -> Process<'_> {
    let mut process = Process::new(mm);
    process.enter();
    map(&mut process, start(), TOP, RW, MapFlags::STACK);
    process
}

fn start() -> usize {
    stack_start(VirtAddr::new((TOP - 1) as u64)).get() as usize
}

fn vmas(process: &Process<'_>) -> usize {
    process.space.vmas().count()
}

#[test]
fn a_fault_below_makes_it_larger_and_what_is_on_it_stays() {
    let mm = machine();
    leaks_nothing(&mm, || {
        let mut process = with_stack(&mm);
        fill(&mut process, TOP - 2 * PAGE, 2, 7);
        let deep = start() - 5 * PAGE;
        fill(&mut process, deep, 3, 1);
        assert_eq!(process.read(start() - 9 * PAGE.max(1 << 16)), Ok(0), "a read grows it as well");
        let mut child = process.fork().unwrap();
        check(&mut child, deep, 3, 1);
        child.write(deep - 20 * PAGE, 3).unwrap();
        check(&mut process, TOP - 2 * PAGE, 2, 7);
        assert_eq!((vmas(&process), vmas(&child)), (1, 1));
        child.exit();
        process.exit();
    });
}

#[test]
fn it_ends_where_it_has_all_that_it_may_have() {
    let mm = machine();
    let mut process = with_stack(&mm);
    assert_eq!(process.write(LOWEST - PAGE, 1), Err(FaultError::MapErr));
    assert_eq!(process.write(LOWEST, 1), Ok(()));
    assert_eq!(process.write(LOWEST - 1, 1), Err(FaultError::MapErr));
    process.exit();
}

#[test]
fn a_gap_stays_to_what_is_mapped_below() {
    let mm = machine();
    let mut process = with_stack(&mm);
    let floor = LOWEST + (2 << 20);
    map(&mut process, LOWEST, floor, RW, MapFlags::empty());
    let gap = floor + STACK_GAP as usize;
    assert_eq!(process.write(gap - PAGE, 1), Err(FaultError::MapErr));
    assert_eq!(process.write(gap, 1), Ok(()));
    // What permits nothing is a guard itself: the stack may begin right above it.
    process.space.mprotect(&mm, LOWEST, floor - LOWEST, Prot::empty()).unwrap();
    assert_eq!(process.write(floor, 1), Ok(()));
    assert_eq!(process.write(floor - PAGE, 1), Err(FaultError::AccErr));
    process.exit();
}

#[test]
fn what_mprotect_is_to_change_down_to_the_beginning_grows() {
    let mm = machine();
    let mut process = with_stack(&mm);
    let begin = |process: &Process<'_>, addr, len| process.space.start_of_growing(addr, len);
    assert_eq!(begin(&process, TOP - PAGE, PAGE), Ok(start()));
    assert_eq!(begin(&process, start() - 2 * PAGE, 3 * PAGE), Ok(start()), "the first in the range");
    assert_eq!(begin(&process, start() - 2 * PAGE, 2 * PAGE), Err(Errno::ENOMEM));
    process.map_anon(TOP + PAGE, 2);
    assert_eq!(begin(&process, TOP + 2 * PAGE, PAGE), Err(Errno::EINVAL));
    process.exit();
}

#[test]
fn nothing_else_grows() {
    let mm = machine();
    let mut process = Process::new(&mm);
    process.map_anon(start(), 4);
    assert_eq!(process.write(start() - PAGE, 1), Err(FaultError::MapErr));
    process.exit();
}
