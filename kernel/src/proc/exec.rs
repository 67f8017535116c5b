//! execve: the current process becomes another program.
//!
//! The new address space is built to the end beside the old one, its stack and zeroed tails faulted in; then the two
//! change places, and the initial data is written as if by the program itself. Only after that the old one is
//! destroyed. So whatever fails leaves the caller as it was: there is no point of no return on the way.

use paging::VirtAddr;

use super::args::Strings;
use super::comm::Comm;
use super::elf_plan::Segment;
use super::layout::{PAGE, STACK_TOP};
use super::load::{Loading, load};
use super::process::{Process, Space};
use super::signal::thread::AltStack;
use super::stack_image::{Contents, StackImage, at};
use super::task::WORK_ENDING;
use super::{TABLE, exit, futex, sched, timers};
use crate::arch::{self, FpState, TrapFrame, uaccess};
use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::{Executed, Program};
use crate::mm::stack::stack_start;
use crate::mm::{Access, AddressSpace, Backing, FaultError, MapFlags, MapRequest, Prot};
use crate::util::{Ref, Share};
use core::sync::atomic::Ordering::SeqCst;

/// AT_HWCAP: FP and ASIMD, which every CPU has that Pleat runs on, and atomics if this one does. What is not reported
/// programs do without (Linux: arch/arm64/include/uapi/asm/hwcap.h).
fn hwcap() -> u64 {
    const FP: u64 = 1 << 0;
    const ASIMD: u64 = 1 << 1;
    const ATOMICS: u64 = 1 << 8;
    FP | ASIMD | if arch::features().lse { ATOMICS } else { 0 }
}

/// Bytes of the arguments that `/proc` shows.
const SHOWN_BYTES: usize = 4096;

/// Ticks a second for times(2): Linux's USER_HZ.
const CLOCK_TICKS: u64 = 100;

/// An address space under construction, or what a process had until then. Dropped, it is destroyed, unless others have it
/// too; so it must not be active on this CPU.
struct Building(Space);

impl Building {
    /// Gives it to the process and takes what that has.
    fn change_places(&mut self, process: &Process) {
        let built = self.0.replace(Share::new(None));
        self.0.replace(process.mm.replace(built)); // there was none
    }
}

impl Drop for Building {
    fn drop(&mut self) {
        self.0.leave(|space| AddressSpace::destroy_in(space, crate::mm()));
    }
}

/// Replaces the current process's program by the one in the file `path`. `frame` is its frame of EL0 registers.
///
/// # Errors
/// What `path` lacks (`ENOENT`, `EACCES`...), `ENOEXEC`: not a static executable for aarch64, `ENOMEM`, `E2BIG`. The
/// process goes on as before then.
pub(crate) fn exec(path: &[u8], argv: &Strings, envp: &Strings, frame: &mut TrapFrame) -> Result<()> {
    let me = sched::current();
    let loading = load(me, path, argv)?;
    let argv = loading.argv.as_ref().unwrap_or(argv);
    let image = initial_stack(path, argv, envp, &loading)?;

    let mut building = Building(Space::new(Some(AddressSpace::new(crate::mm())?)));
    let entry = loading.entry() as u64;
    if let Some(space) = &mut *building.0.lock() {
        if super::current::large_folios_disabled() {
            space.disable_large_folios(true);
        }
        populate(space, &loading, &image)?;
    }
    let shown = &argv.bytes()[..argv.bytes().len().min(SHOWN_BYTES)];
    let executed = Executed { file: loading.program.file.place(), arguments: Bytes::copy_of(shown)? };
    let executed = Ref::try_new(executed)?;
    be_alone(me)?;
    let max_rss = me.max_rss();
    let leader = me.leader();
    if let Err(error) = keep_to_itself(me, leader) {
        give_up(me);
        return Err(error);
    }
    building.change_places(leader);
    let own = if me.task.is_leader() { core::ptr::null() } else { core::ptr::from_ref(leader) };
    let old = me.memory.replace(own);
    me.activate_mm();
    if let Err(error) = write_initial_data(&loading, &image) {
        me.memory.set(old);
        building.change_places(leader);
        me.activate_mm();
        give_up(me);
        return Err(error);
    }
    drop(building); // the old one, which this CPU left above
    loop {
        let closed = leader.files.lock().close_on_exec();
        if closed.is_none() {
            break;
        }
    }
    let before = leader.files.lock().set_program(executed);
    drop(before); // not under the lock
    *leader.comm.lock() = Comm::of_path(path);
    become_new(me, leader, max_rss);
    let registers = TrapFrame { x: [0; 31], sp: image.sp as u64, pc: entry, pstate: 0 };
    if me.task.is_leader() {
        *frame = registers;
        FpState::ZERO.restore();
        arch::tls::set_tls(0);
        return Ok(());
    }
    // SAFETY: the leader is parked: it runs nothing and looks at none of this before this thread has gone.
    unsafe {
        *leader.trap_frame() = registers;
        *leader.fp.get() = FpState::ZERO;
    }
    leader.tls.set(0);
    leader.task.signals.set_blocked(me.task.signals.blocked());
    Ok(())
}

/// What other processes share with this one they keep, and this one has a copy. Those who have its memory hear that this
/// thread is done there.
fn keep_to_itself(me: &Process, leader: &Process) -> Result<()> {
    let before = leader.files.lock().unshare()?;
    drop(before); // not under the lock
    leader.task.group.actions.lock().unshare()?;
    if me.shares_space() {
        futex::release_robust_locks(me);
        exit::clear_tid(me);
        me.task.work.fetch_and(!WORK_ENDING, SeqCst); // it is not: it is only that nobody is asked for its page faults
    }
    Ok(())
}

/// What a process keeps of its signals, and of what it was to its parent, when it executes a program. At most `max_rss`
/// pages were in the memory that it gives up.
fn become_new(me: &Process, leader: &Process, max_rss: u64) {
    let group = &leader.task.group;
    group.actions.lock().forget_handlers();
    timers::delete_all(leader.task_ref());
    leader.task.signals.alt_stack.set(AltStack::NONE);
    for cell in [&leader.set_child_tid, &leader.clear_child_tid, &leader.robust_list] {
        cell.set(0);
    }
    me.robust_list.set(0);
    me.clear_child_tid.set(0);
    let table = TABLE.lock();
    table.note_max_rss(leader.task_ref(), max_rss);
    group.has_executed.set(true);
    exit::release_vfork(leader);
    if me.task.is_leader() {
        group.executing.set(None);
    }
}

/// Ends all other threads of the process. The leader, if it is another, does not end but stops for good: it is the one
/// that will run the program.
fn be_alone(me: &Process) -> Result<()> {
    let group = me.task.group();
    if group.live.load(SeqCst) == 1 {
        return Ok(());
    }
    {
        let table = TABLE.lock();
        if group.ending().is_some() || group.executing.get().is_some() {
            return Err(Errno::EINTR); // this thread is to end
        }
        group.executing.set(Some(me.task_ref()));
        let others = table.threads(me.task.leader()).filter(|thread| *thread != me.task_ref());
        others.for_each(super::kill::interrupt);
    }
    let alone = group.alone.wait_undisturbed(|| {
        let _table = TABLE.lock();
        let left = group.live.load(SeqCst);
        let alone = left == 1 || left == 2 && !me.task.is_leader() && group.leader_left.get();
        (alone || group.ending().is_some()).then_some(alone)
    });
    if alone {
        return Ok(());
    }
    give_up(me);
    Err(Errno::EINTR)
}

/// The other threads need not make way any more.
fn give_up(me: &Process) {
    let _table = TABLE.lock();
    let group = me.task.group();
    group.executing.set(None);
    group.alone.wake_all();
}

/// After [`exec`]: a thread that is not the leader has nothing more to do.
pub(crate) fn settle() {
    let me = sched::current();
    if !me.task.is_leader() {
        exit::leave(me);
    }
}

fn initial_stack(path: &[u8], argv: &Strings, envp: &Strings, loading: &Loading) -> Result<StackImage> {
    let plan = &loading.program.plan;
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
        (at::BASE, loading.loader_base() as u64),
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
fn populate(space: &mut AddressSpace, loading: &Loading, image: &StackImage) -> Result<()> {
    for part in loading.parts() {
        for segment in &part.plan.segments {
            map_segment(space, segment, &part.file)?;
        }
    }
    let rw = Prot::READ | Prot::WRITE;
    let start = stack_start(VirtAddr::new(image.sp as u64)).get() as usize;
    map(space, start, STACK_TOP - start, rw, MapFlags::STACK, Backing::Anon)?;
    for page in (image.sp & !(PAGE - 1)..STACK_TOP).step_by(PAGE) {
        fault_in(space, page)?;
    }
    space.set_brk_start(loading.program.plan.brk_start());
    Ok(())
}

fn map_segment(space: &mut AddressSpace, segment: &Segment, file: &Program) -> Result<()> {
    let prot = prot_of(segment);
    let (start, file_end, end) = (segment.start(), segment.file_end(), segment.end());
    if start < file_end {
        let page = segment.offset / PAGE as u64;
        let backing = Backing::Object { object: file.object(), page };
        map(space, start, file_end - start, prot, MapFlags::empty(), backing)?;
    }
    if file_end < end {
        map(space, file_end, end - file_end, prot, MapFlags::empty(), Backing::Anon)?;
    }
    match segment.zero_tail() {
        Some((addr, _)) => fault_in(space, addr),
        None => Ok(()),
    }
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
        _ => Errno::ENOEXEC,
    })
}

fn prot_of(segment: &Segment) -> Prot {
    let mut prot = Prot::empty();
    prot.set(Prot::READ, segment.read);
    prot.set(Prot::WRITE, segment.write);
    prot.set(Prot::EXEC, segment.exec);
    prot
}

fn write_initial_data(loading: &Loading, image: &StackImage) -> Result<()> {
    for (addr, bytes) in loading.parts().flat_map(|part| &part.plan.segments).filter_map(Segment::zero_tail) {
        uaccess::zero_user(addr, bytes)?;
    }
    uaccess::copy_to_user(image.sp, &image.bytes)
}
