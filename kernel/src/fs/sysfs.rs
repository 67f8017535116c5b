//! The `enabled` files below `/sys/kernel/mm/transparent_hugepage`, as Linux prints and reads them
//! (Documentation/admin-guide/mm/transhuge.rst).

use core::fmt::Write;

use super::text::{Text, written};
use crate::errno::{Errno, Result};
use crate::mm::policy::Setting;

/// Writes all words that apply, with brackets around the current one. `per_size` says that `inherit` does.
///
/// # Errors
/// `ENOMEM`.
pub fn show(out: &mut Text, current: Setting, per_size: bool) -> Result<()> {
    let settings = Setting::ALL.into_iter().filter(|setting| per_size || *setting != Setting::Inherit);
    for (index, setting) in settings.enumerate() {
        let space = if index == 0 { "" } else { " " };
        let (open, close) = if setting == current { ("[", "]") } else { ("", "") };
        written(write!(out, "{space}{open}{}{close}", setting.word()))?;
    }
    out.push(b"\n")
}

/// Reads a word as it was written to the file; one newline behind it is ignored.
///
/// # Errors
/// `EINVAL` for anything that is not exactly one of the words that apply.
pub fn parse(input: &[u8], per_size: bool) -> Result<Setting> {
    let word = input.strip_suffix(b"\n").unwrap_or(input);
    Setting::parse(word).filter(|setting| per_size || *setting != Setting::Inherit).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(current: Setting, per_size: bool) -> Text {
        let mut out = Text::new();
        show(&mut out, current, per_size).unwrap();
        out
    }

    #[test]
    fn the_current_word_is_in_brackets() {
        assert_eq!(shown(Setting::Never, true).bytes(), b"always inherit madvise [never]\n");
        assert_eq!(shown(Setting::Inherit, true).bytes(), b"always [inherit] madvise never\n");
        assert_eq!(shown(Setting::Always, false).bytes(), b"[always] madvise never\n");
    }

    #[test]
    fn only_exact_words_are_read() {
        assert_eq!(parse(b"always\n", false), Ok(Setting::Always));
        assert_eq!(parse(b"inherit", true), Ok(Setting::Inherit));
        assert_eq!(parse(b"inherit", false), Err(Errno::EINVAL));
        for bad in [&b""[..], b"\n", b"alway", b"always\n\n", b" always", b"ALWAYS", b"[always]"] {
            assert_eq!(parse(bad, true), Err(Errno::EINVAL));
        }
    }
}
