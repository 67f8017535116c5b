//! Program entry and abnormal end.
//!
//! The kernel enters at `_start` with SP at `argc`, followed by the argument pointers, NULL, the environment, NULL and
//! the auxiliary vector (Linux: fs/binfmt_elf.c, `create_elf_tables`; System V ABI for AArch64).

use core::arch::naked_asm;
use core::ffi::{CStr, c_char};
use core::panic::PanicInfo;

use crate::sys::memory::set_page_size;
use crate::sys::process::exit;

/// The exit status of a program that panicked; also the kernel's own.
pub const PANIC_STATUS: i32 = 101;

/// The program's arguments, [`Args::get`]\(0) being its name.
#[derive(Clone, Copy)]
pub struct Args {
    count: usize,
    pointers: *const *const c_char,
}

impl Args {
    /// Number of arguments, the program's name included.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Argument `index` (0-based); `None` behind the last. One that is not UTF-8 reads as `"?"`.
    pub fn get(&self, index: usize) -> Option<&'static str> {
        if index >= self.count {
            return None;
        }
        // SAFETY: the kernel placed `count` pointers to NUL-terminated strings on the initial stack, and nothing
        // writes there afterwards. That they are the kernel's is ensured by `Args` being made only in `rust_start`.
        let text = unsafe { CStr::from_ptr(*self.pointers.add(index)) };
        Some(text.to_str().unwrap_or("?"))
    }

    /// All arguments from `index` (0-based) on.
    pub fn from(self, index: usize) -> impl Iterator<Item = &'static str> + Clone {
        (index..self.count).map_while(move |i| self.get(i))
    }
}

unsafe extern "Rust" {
    /// The program's own main, defined by [`entry!`](crate::entry).
    safe fn pleat_user_main(args: Args) -> i32;
}

/// Makes `$main` (`fn(Args) -> i32`) the program's main function; its result is the exit status.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        // SAFETY: no other item has this name: a program calls `entry!` once, and the library only declares it.
        #[unsafe(no_mangle)]
        fn pleat_user_main(args: $crate::rt::start::Args) -> i32 {
            $main(args)
        }
    };
}

/// Entry point: passes the initial stack pointer on; a zero frame pointer and link register end backtraces here.
///
/// # Safety
/// Only the kernel enters here, with SP as described above.
#[unsafe(naked)]
// SAFETY: the linker script names this symbol as the entry; nothing else defines it.
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, sp",
        "b {rust}",
        rust = sym rust_start,
    )
}

extern "C" fn rust_start(stack: *const usize) -> ! {
    // SAFETY: `stack` is the initial stack pointer, where the kernel stored argc.
    let count = unsafe { *stack };
    // SAFETY: the argument pointers follow argc directly.
    let pointers = unsafe { stack.add(1) };
    // SAFETY: as above; a NULL ends the arguments.
    if let Some(bytes) = unsafe { page_size(pointers.add(count + 1)) } {
        set_page_size(bytes);
    }
    let pointers = pointers.cast();
    exit(pleat_user_main(Args { count, pointers }))
}

/// Keys of the auxiliary vector (Linux: include/uapi/linux/auxvec.h).
const AT_NULL: usize = 0;
const AT_PAGESZ: usize = 6;

/// The page size in the auxiliary vector, which follows the `environment`.
///
/// # Safety
/// `environment` is where the kernel stored the environment's pointers, with a NULL behind the last; behind that are
/// the vector's pairs of words, with a pair that begins with AT_NULL as the last.
unsafe fn page_size(environment: *const usize) -> Option<usize> {
    let mut at = environment;
    // SAFETY: as the caller says, here and below.
    while unsafe { *at } != 0 {
        at = at.wrapping_add(1);
    }
    let mut pair = at.wrapping_add(1);
    loop {
        // SAFETY: not behind the last pair.
        let (key, value) = unsafe { (*pair, *pair.wrapping_add(1)) };
        match key {
            AT_NULL => return None,
            AT_PAGESZ => return Some(value),
            _ => pair = pair.wrapping_add(2),
        }
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crate::println!("{info}");
    exit(PANIC_STATUS)
}
