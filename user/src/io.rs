//! Printing to file descriptor 1.

use core::fmt::{self, Write};

use crate::sys::file;

const BUFFER: usize = 256;

/// Collects one `print!`'s pieces into few `write` calls. What cannot be written is dropped: there is nobody to tell.
struct Output {
    bytes: [u8; BUFFER],
    len: usize,
}

impl Output {
    fn flush(&mut self) {
        let _ = file::write_all(1, &self.bytes[..self.len]);
        self.len = 0;
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for chunk in text.as_bytes().chunks(BUFFER) {
            if self.len + chunk.len() > BUFFER {
                self.flush();
            }
            self.bytes[self.len..self.len + chunk.len()].copy_from_slice(chunk);
            self.len += chunk.len();
        }
        Ok(())
    }
}

/// Prints `args`; the function behind [`print!`](crate::print).
pub fn print(args: fmt::Arguments<'_>) {
    let mut output = Output { bytes: [0; BUFFER], len: 0 };
    // `write_str` never fails; a formatting implementation that does has printed what it could.
    let _ = output.write_fmt(args);
    output.flush();
}

/// Prints to file descriptor 1.
#[macro_export]
macro_rules! print {
    ($($arg:tt)*) => { $crate::io::print(format_args!($($arg)*)) };
}

/// Prints a line to file descriptor 1.
#[macro_export]
macro_rules! println {
    () => { $crate::io::print(format_args!("\n")) };
    ($($arg:tt)*) => { $crate::io::print(format_args!("{}\n", format_args!($($arg)*))) };
}
