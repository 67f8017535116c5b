//! execve: the current process becomes another program.
//!
//! The new address space is built to the end beside the old one, its stack and zeroed tails faulted in; then the two
//! change places, and the initial data is written as if by the program itself. Only after that the old one is
//! destroyed. So whatever fails leaves the caller as it was: there is no point of no return on the way.

use paging::VirtAddr;

use super::args::Strings;
use super::comm::Comm;
use super::elf_plan::{LoadPlan, Segment};
use super::layout::{PAGE, STACK_TOP};
use super::process::Process;
use super::sched;
use super::stack_image::{Contents, StackImage, at};
use crate::arch::{self, FpState, TrapFrame, uaccess};
use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::kernel::Kernel;
use crate::fs::{self, Executed, Node, Program};
use crate::mm::stack::stack_start;
use crate::mm::{Access, AddressSpace, Backing, FaultError, MapFlags, MapRequest, Prot};
use crate::util::Ref;

/// AT_HWCAP: FP and ASIMD, which every CPU has that Pleat runs on, and atomics if this one does. What is not reported
/// programs do without (Linux: arch/arm64/include/uapi/asm/hwcap.h).
fn hwcap() -> u64 {
    const FP: u64 = 1 << 0;
    const ASIMD: u64 = 1 << 1;
    const ATOMICS: u64 = 1 << 8;
    FP | ASIMD | if arch::features().lse { ATOMICS } else { 0 }
}

/// Bytes at the start of a file that its headers have to be in.
const HEAD_BYTES: usize = 16 << 10;

/// Bytes of the arguments that `/proc` shows.
const SHOWN_BYTES: usize = 4096;

/// Ticks a second for times(2): Linux's USER_HZ.
const CLOCK_TICKS: u64 = 100;

/// An address space under construction. Dropped, it is destroyed; so it must not be active on any CPU.
struct Building(Option<AddressSpace>);

impl Drop for Building {
    fn drop(&mut self) {
        if let Some(space) = self.0.take() {
            space.destroy(crate::mm());
        }
    }
}

/// Replaces the current process's program by the one in the file `path`. `frame` is its frame of EL0 registers.
///
/// # Errors
/// What `path` lacks (`ENOENT`, `EACCES`...), `ENOEXEC`: not a static executable for aarch64, `ENOMEM`, `E2BIG`. The
/// process goes on as before then.
pub(crate) fn exec(path: &[u8], argv: &Strings, envp: &Strings, frame: &mut TrapFrame) -> Result<()> {
    let me = sched::current();
    let program = find(me, path)?;
    let plan = LoadPlan::parse_head(&program.read(0, HEAD_BYTES)?, program.bytes())?;
    let image = initial_stack(path, argv, envp, &plan)?;

    let mut building = Building(Some(AddressSpace::new(crate::mm())?));
    if let Some(space) = &mut building.0 {
        populate(space, &plan, &program, &image)?;
    }
    let shown = &argv.bytes()[..argv.bytes().len().min(SHOWN_BYTES)];
    let executed = Executed { file: program.into_place(), arguments: Bytes::copy_of(shown)? };
    let executed = Ref::try_new(executed)?;
    core::mem::swap(&mut building.0, &mut *me.mm.lock());
    me.activate_mm();
    if let Err(error) = write_initial_data(&plan, &image) {
        core::mem::swap(&mut building.0, &mut *me.mm.lock());
        me.activate_mm();
        return Err(error);
    }
    drop(building); // the old one, which this CPU left above
    loop {
        let closed = me.files.lock().close_on_exec();
        if closed.is_none() {
            break;
        }
    }
    let before = me.files.lock().set_program(executed);
    drop(before); // not under the lock
    *me.comm.lock() = Comm::of_path(path);
    start_afresh(me, frame, &plan, &image);
    Ok(())
}

/// The file that `path` names, from the working directory unless it is absolute.
fn find(me: &Process, path: &[u8]) -> Result<Program> {
    let cwd = me.files.lock().cwd().cloned();
    let start = cwd.as_ref().map_or(Node::ROOT, |place| place.node());
    Program::open(fs::root()?, &Kernel, start, path)
}

/// The process's registers as a program finds them at its entry: nothing but the stack pointer is set.
fn start_afresh(me: &Process, frame: &mut TrapFrame, plan: &LoadPlan, image: &StackImage) {
    *frame = TrapFrame { x: [0; 31], sp: image.sp as u64, pc: plan.entry as u64, pstate: 0 };
    FpState::ZERO.restore();
    arch::tls::set_tls(0);
    me.set_child_tid.set(0);
}

fn initial_stack(path: &[u8], argv: &Strings, envp: &Strings, plan: &LoadPlan) -> Result<StackImage> {
    if argv.cost() + envp.cost() > super::args::ARG_MAX {
        return Err(Errno::E2BIG);
    }
    let mut random = [0; 16];
    arch::random::fill(&mut random);
    let aux = [
        (at::HWCAP, hwcap()),
        (at::PAGESZ, PAGE as u64),
        (at::CLKTCK, CLOCK_TICKS),
        (at::PHDR, plan.phdr as u64),
        (at::PHENT, 56),
        (at::PHNUM, plan.phnum as u64),
        (at::BASE, 0),
        (at::FLAGS, 0),
        (at::ENTRY, plan.entry as u64),
        (at::UID, 0),
        (at::EUID, 0),
        (at::GID, 0),
        (at::EGID, 0),
        (at::SECURE, 0),
    ];
    StackImage::build(STACK_TOP, &Contents { path, argv, envp, aux: &aux, random })
}

/// Maps everything, and faults in what will be written before the program runs.
fn populate(space: &mut AddressSpace, plan: &LoadPlan, program: &Program, image: &StackImage) -> Result<()> {
    for segment in &plan.segments {
        let prot = prot_of(segment);
        let (start, file_end, end) = (segment.start(), segment.file_end(), segment.end());
        if start < file_end {
            let page = segment.offset / PAGE as u64;
            let backing = Backing::Object { object: program.object(), page };
            map(space, start, file_end - start, prot, MapFlags::empty(), backing)?;
        }
        if file_end < end {
            map(space, file_end, end - file_end, prot, MapFlags::empty(), Backing::Anon)?;
        }
        if let Some((addr, _)) = segment.zero_tail() {
            fault_in(space, addr)?;
        }
    }
    let rw = Prot::READ | Prot::WRITE;
    let start = stack_start(VirtAddr::new(image.sp as u64)).get() as usize;
    map(space, start, STACK_TOP - start, rw, MapFlags::STACK, Backing::Anon)?;
    for page in (image.sp & !(PAGE - 1)..STACK_TOP).step_by(PAGE) {
        fault_in(space, page)?;
    }
    space.set_brk_start(plan.brk_start());
    Ok(())
}

fn map(
    space: &mut AddressSpace,
    addr: usize,
    len: usize,
    prot: Prot,
    flags: MapFlags,
    backing: Backing,
) -> Result<()> {
    let flags = flags | MapFlags::FIXED;
    space.mmap(crate::mm(), MapRequest { addr, len, prot, flags, backing }).map(|_| ())
}

fn fault_in(space: &mut AddressSpace, addr: usize) -> Result<()> {
    space.fault(crate::mm(), addr, Access::Write).map_err(|error| match error {
        FaultError::Oom => Errno::ENOMEM,
        FaultError::MapErr | FaultError::AccErr | FaultError::Bus | FaultError::UffdWp => Errno::ENOEXEC,
    })
}

fn prot_of(segment: &Segment) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, segment.read);
    prot.set(Prot::WRITE, segment.write);
    prot.set(Prot::EXEC, segment.exec);
    prot
}

fn write_initial_data(plan: &LoadPlan, image: &StackImage) -> Result<()> {
    for (addr, bytes) in plan.segments.iter().filter_map(Segment::zero_tail) {
        uaccess::zero_user(addr, bytes)?;
    }
    uaccess::copy_to_user(image.sp, &image.bytes)
}
