//! The end of a kernel that found itself broken: a message, a backtrace, exit status 101.

use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use spin::Once;

use crate::symbols::Symbols;
use crate::{arch, console, println};

/// QEMU's exit status after a kernel panic or fault.
pub const EXIT_STATUS: i32 = 101;

static DYING: AtomicBool = AtomicBool::new(false);
static SYMBOLS: Once<Symbols<'static>> = Once::new();

/// Gives backtraces the table of function names that starts `table`, if there is one. Returns the number of names.
pub fn init(table: &'static [u8]) -> usize {
    SYMBOLS.call_once(|| Symbols::parse(table).unwrap_or(Symbols::EMPTY)).len()
}

/// The names of the kernel's functions.
pub fn symbols() -> Symbols<'static> {
    SYMBOLS.get().copied().unwrap_or(Symbols::EMPTY)
}

/// Before the last words. If they fail themselves, there are no more.
pub fn begin() {
    if DYING.swap(true, Ordering::Relaxed) {
        console::seize();
        println!("\nand another fault while reporting that");
        end();
    }
    console::seize();
}

/// After the last words.
pub fn end() -> ! {
    arch::exit(EXIT_STATUS)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    begin();
    println!("\nkernel panic: {info}");
    arch::report::backtrace();
    end()
}
