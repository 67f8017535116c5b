//! The console: what the kernel prints, the `log` backend, and the bytes behind file descriptors 0 to 2.
//!
//! One lock, taken per call: a line from `println!` stays whole. It is a leaf: nothing is called with it held but the
//! UART. Until there is a UART, output goes to the emulator by semihosting, which only a dying kernel should need.

use core::fmt::{self, Write};

use log::{LevelFilter, Log, Metadata, Record};
use spin::Mutex;

use crate::arch;
use crate::drivers::uart::Uart;

static UART: Mutex<Option<Uart>> = Mutex::new(None);

/// Prints to the console.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::console::print(::core::format_args!($($arg)*)) };
}

/// Prints a line to the console.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arg:tt)*) => { $crate::console::print(::core::format_args!("{}\n", ::core::format_args!($($arg)*))) };
}

struct Output<'a>(&'a mut Option<Uart>);

impl Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.0 {
            Some(uart) => uart.write(text.as_bytes()),
            None => arch::emergency_write(text),
        }
        Ok(())
    }
}

/// What `print!` expands to.
pub fn print(text: fmt::Arguments<'_>) {
    let mut uart = UART.lock();
    // Neither sink fails; a `Display` that does has cut its own text short.
    let _ = Output(&mut uart).write_fmt(text);
}

/// Writes bytes as they are.
pub fn write(bytes: &[u8]) {
    if let Some(uart) = UART.lock().as_mut() {
        uart.write(bytes);
    }
}

/// A byte that has come in, if there is one. Does not wait.
pub fn read_byte() -> Option<u8> {
    UART.lock().as_mut()?.read()
}

/// Has the UART interrupt when a byte comes in; what is there already is to be read.
pub fn listen() {
    if let Some(uart) = UART.lock().as_mut() {
        uart.listen();
    }
}

/// Makes `uart` the console.
pub fn set_uart(uart: Uart) {
    *UART.lock() = Some(uart);
}

/// Makes the console usable again for a kernel that is about to end, whatever it was doing.
pub(crate) fn seize() {
    if UART.try_lock().is_none() {
        // SAFETY: only one CPU runs, and the code that held the lock will never continue. It may leave a line half
        // printed, but a UART has no state that a half-sent text could break.
        unsafe { UART.force_unlock() };
    }
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let us = arch::time::now_ns() / 1000;
            let (s, us) = (us / 1_000_000, us % 1_000_000);
            println!("[{s:3}.{us:06}] {:<5} {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Sends what is logged to the console, from `level` up: "error", "warn", "info", "debug" or "trace". Returns
/// whether it is one of these; "info" counts otherwise.
pub fn init_log(level: Option<&str>) -> bool {
    let parsed = level.map(str::parse::<LevelFilter>);
    // Fails only when there is a logger already, and that would be this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(match parsed {
        Some(Ok(level)) => level,
        _ => LevelFilter::Info,
    });
    !matches!(parsed, Some(Err(_)))
}
