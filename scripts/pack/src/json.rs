//! Measurements out of a serial log.
//!
//! A program prints a measurement as a line `@json {...}` among its other output, because the serial line is the only
//! way out of the machine. The lines end with CR LF or LF, depending on the console.

use std::fmt;

const MARK: &[u8] = b"@json ";

/// Why a log yields no measurements.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// No line starts with `@json `.
    None,
    /// The line with this number (from 1) is marked, but holds no JSON object: something else was printed into it, or
    /// the log ends there.
    NotAnObject(usize),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::None => write!(f, "no `@json ` line"),
            Error::NotAnObject(line) => write!(f, "line {line}: not a JSON object behind `@json `"),
        }
    }
}

/// The objects behind `@json `, one a line.
pub fn extract(log: &[u8]) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for (number, line) in (1..).zip(log.split(|&b| b == b'\n')) {
        let Some(object) = line.strip_prefix(MARK) else { continue };
        let object = object.trim_ascii();
        if !is_object(object) {
            return Err(Error::NotAnObject(number));
        }
        out.extend(object);
        out.push(b'\n');
    }
    if out.is_empty() { Err(Error::None) } else { Ok(out) }
}

/// Whether the brackets of `text` close as a single `{...}`: enough to tell a torn line from a whole one.
fn is_object(text: &[u8]) -> bool {
    let (mut open, mut in_string, mut escaped) = (Vec::new(), false, false);
    for (i, &byte) in text.iter().enumerate() {
        if byte < b' ' || (open.is_empty() && (i > 0 || byte != b'{')) {
            return false;
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' => open.push(b'}'),
            b'[' => open.push(b']'),
            b'}' | b']' if open.pop() != Some(byte) => return false,
            _ => {}
        }
    }
    open.is_empty() && !text.is_empty() && std::str::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_lines_come_out_without_cr() {
        let log = b"boot\r\n@json {\"op\":\"fork\",\"events\":{\"a\":[1]}}\r\ntable @json {}\n@json {\"s\":\"}\\\"\"}\n";
        let expected = b"{\"op\":\"fork\",\"events\":{\"a\":[1]}}\n{\"s\":\"}\\\"\"}\n";
        assert_eq!(extract(log).unwrap(), expected);
    }

    #[test]
    fn torn_lines_are_an_error_with_their_number() {
        for torn in
            ["{\"op\":\"fo", "{\"a\":{}", "{}}", "{} x", "{[}]", "", "[1]", "{\"a\":\"}", "{\"a\x07\":1}"]
        {
            let log = format!("first\n@json {torn}\n");
            assert_eq!(extract(log.as_bytes()), Err(Error::NotAnObject(2)), "{torn:?}");
        }
    }

    #[test]
    fn a_log_without_measurements_is_an_error() {
        assert_eq!(extract(b""), Err(Error::None));
        assert_eq!(extract(b"ok 1 fork\n"), Err(Error::None));
    }
}
