//! Kernel threads as the CPU sees them: callee-saved registers and a stack.

use core::arch::global_asm;

global_asm!(include_str!("context.s"));

/// Where a kernel thread that is not running continues: x19 to x30 and its stack pointer.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// x19 to x30; the last is where it continues.
    saved: [u64; 12],
    sp: u64,
}

// `context.s` stores six pairs and the stack pointer.
const _: () = assert!(size_of::<Context>() == 13 * 8);

unsafe extern "C" {
    /// Saves the running thread's state in `prev` and continues `next`. Returns when something switches back to
    /// `prev`. Interrupts are masked throughout.
    ///
    /// # Safety
    /// `prev` is writable and is the running thread's. `next` came from [`Context::start`] or a switch away from it,
    /// and has not been continued since; its stack is mapped and nobody else's. Nothing on the running thread relies
    /// on per-CPU values staying the same across the call, and it holds no lock that `next` may take.
    pub fn context_switch(prev: *mut Context, next: *const Context);

    fn context_start();
}

impl Context {
    /// A context to switch away from: nothing may switch to it before.
    pub const EMPTY: Context = Context { saved: [0; 12], sp: 0 };

    /// Makes this a thread that will call `entry(arg)` on the stack that ends at `stack_top`, a multiple of 16. Registers
    /// that say nothing there keep what they were.
    #[inline(always)]
    pub fn start(&mut self, stack_top: usize, entry: extern "C" fn(usize) -> !, arg: usize) {
        self.saved[0] = entry as usize as u64;
        self.saved[1] = arg as u64;
        self.saved[10] = 0; // the frame pointer: the end of every backtrace
        self.saved[11] = context_start as *const () as u64;
        self.sp = stack_top as u64;
    }
}
