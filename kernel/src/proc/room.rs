//! Memory for processes: some freed ones are kept, which spares fork and wait the heap, whose free list gets long in a
//! storm of forks.

use alloc::alloc::{alloc_zeroed, dealloc};
use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::{NonNull, addr_of_mut};

use super::group::Group;
use super::process::{Parts, Process, Restart, Space};
use super::signal::thread::ThreadSignals;
use super::task::Task;
use crate::errno::{Errno, Result};

/// How many freed rooms are kept.
const KEEP: usize = 64;

/// The kept rooms: the first `len`. A leaf lock.
static KEPT: spin::Mutex<Kept> = spin::Mutex::new(Kept { rooms: [const { None }; KEEP], len: 0 });

struct Kept {
    rooms: [Option<NonNull<Process>>; KEEP],
    len: usize,
}

// SAFETY: rooms are memory that nobody points to; any CPU may use or free them.
unsafe impl Send for Kept {}

/// Room for a process, owned. Its bytes are initialised, to zero or to what the last process there left.
pub(super) struct Room(NonNull<Process>);

impl Room {
    /// # Errors
    /// `ENOMEM`: the heap is exhausted.
    pub fn alloc() -> Result<Room> {
        let mut kept = KEPT.lock();
        if let Some(last) = kept.len.checked_sub(1) {
            kept.len = last;
            if let Some(room) = kept.rooms[last].take() {
                return Ok(Room(room));
            }
        }
        drop(kept);
        // SAFETY: a process's size is not zero.
        let room = unsafe { alloc_zeroed(Layout::new::<Process>()) };
        NonNull::new(room.cast()).map(Room).ok_or(Errno::ENOMEM)
    }

    /// The room that a process leaves.
    ///
    /// # Safety
    /// `process` was moved into a room by [`Room::fill`] and has been dropped in place.
    pub unsafe fn from_raw(process: NonNull<Process>) -> Room {
        Room(process)
    }

    /// Makes a process here, without an address space, that starts at `entry(arg)`. Its FP/SIMD registers are those that
    /// the CPU has now: the parent's. Field by field, since a process is big and would otherwise be built on the stack
    /// and copied.
    #[inline(always)] // otherwise `parts` is copied once more
    pub fn fill(self, parts: Parts, entry: extern "C" fn(usize) -> !, arg: usize) -> NonNull<Process> {
        let process = self.0;
        core::mem::forget(self);
        let at = process.as_ptr();
        // SAFETY: the room is aligned and ours, and every field is written. `save` and `start` may borrow the old
        // registers, since the room's bytes are initialised and any bytes are valid registers.
        unsafe {
            let signals = ThreadSignals::new(parts.blocked, parts.alt_stack);
            Task::init(addr_of_mut!((*at).task), signals, Group::begin(parts.group), parts.leader);
            (*(*at).context.get()).start(parts.stack.trap_frame() as usize, entry, arg);
            addr_of_mut!((*at).tls).write(Cell::new(parts.tls));
            (*(*at).fp.get()).save();
            addr_of_mut!((*at).stack).write(parts.stack);
            addr_of_mut!((*at).mm).write(Space::new(None));
            addr_of_mut!((*at).files).write(spin::Mutex::new(parts.files));
            addr_of_mut!((*at).comm).write(spin::Mutex::new(parts.comm));
            addr_of_mut!((*at).memory).write(Cell::new(parts.memory));
            addr_of_mut!((*at).set_child_tid).write(Cell::new(parts.set_child_tid));
            addr_of_mut!((*at).clear_child_tid).write(Cell::new(parts.clear_child_tid));
            addr_of_mut!((*at).robust_list).write(Cell::new(0));
            addr_of_mut!((*at).interrupted).write(Cell::new(None));
            addr_of_mut!((*at).restart).write(Cell::new(Restart::Nothing));
        }
        process
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut kept = KEPT.lock();
        let len = kept.len;
        if len < KEEP {
            kept.rooms[len] = Some(self.0);
            kept.len = len + 1;
            return;
        }
        drop(kept);
        // SAFETY: allocated with this layout in `alloc`; nothing in it is alive.
        unsafe { dealloc(self.0.as_ptr().cast(), Layout::new::<Process>()) };
    }
}
