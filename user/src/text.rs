//! Text without a heap: a fixed buffer to format into, and number parsing.

use core::fmt;
use core::str;

/// A string of at most `N` bytes that can be formatted into; what does not fit is an error and is not stored.
#[derive(Clone, Copy)]
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// The empty text.
    pub const fn new() -> Self {
        Text { bytes: [0; N], len: 0 }
    }

    /// Formats `args` into a new text; an overlong result is cut at the last piece that fits.
    pub fn format(args: fmt::Arguments<'_>) -> Self {
        let mut text = Self::new();
        // A cut text is still useful in a message, which is all that callers build this way.
        let _ = fmt::write(&mut text, args);
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }

    /// The text's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<const N: usize> Default for Text<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Write for Text<N> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        let end = self.len + piece.len();
        if end > N {
            return Err(fmt::Error);
        }
        self.bytes[self.len..end].copy_from_slice(piece.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Parses a whole decimal number; `None` for anything else, also for one that overflows.
pub fn number(text: &str) -> Option<u64> {
    // `str::parse` also takes a leading plus sign, which no option here means.
    if text.starts_with('+') { None } else { text.parse().ok() }
}

/// The decimal number at the start of `text` after blanks, as in `"  12 kB"`; `None` if there is none.
pub fn leading_number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    number(str::from_utf8(&text[..digits]).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn text_keeps_what_fits() {
        let mut text = Text::<8>::new();
        assert!(write!(text, "{}-{}", 12, 34).is_ok());
        assert!(write!(text, "abcd").is_err());
        assert_eq!(text.as_str(), "12-34");
        assert_eq!(format!("[{text:>7}]"), "[  12-34]");
    }

    #[test]
    fn numbers() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
        for bad in ["", "+1", "-1", "1k", " 1", "18446744073709551616"] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
        assert_eq!(leading_number(b"   640 kB"), Some(640));
        assert_eq!(leading_number(b"kB"), None);
    }
}
