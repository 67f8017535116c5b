//! The `enabled` and `shmem_enabled` files below `/sys/kernel/mm/transparent_hugepage`, as Linux prints and reads them
//! (Documentation/admin-guide/mm/transhuge.rst).

use core::fmt::Write;

use crate::errno::{Errno, Result};
use crate::fs::generated::text::{Text, written};
use crate::mm::policy::{Memory, Setting};

/// Writes all words that apply to `memory`, with brackets around the current one. `per_size` says that `inherit` does.
///
/// # Errors
/// `ENOMEM`.
pub fn show(out: &mut Text, memory: Memory, current: Setting, per_size: bool) -> Result<()> {
    words(out, memory.words(per_size), current)
}

/// Writes all words, with brackets around that of the current setting.
///
/// # Errors
/// `ENOMEM`.
pub fn words<T: PartialEq>(out: &mut Text, words: &[(T, &str)], current: T) -> Result<()> {
    for (index, (setting, word)) in words.iter().enumerate() {
        let space = if index == 0 { "" } else { " " };
        let (open, close) = if *setting == current { ("[", "]") } else { ("", "") };
        written(write!(out, "{space}{open}{word}{close}"))?;
    }
    out.push(b"\n")
}

/// Reads a word as it was written to the file; one newline behind it is ignored.
///
/// # Errors
/// `EINVAL` for anything that is not exactly one of the words that apply.
pub fn parse(input: &[u8], memory: Memory, per_size: bool) -> Result<Setting> {
    let word = input.strip_suffix(b"\n").unwrap_or(input);
    memory.parse(word, per_size).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(memory: Memory, current: Setting, per_size: bool) -> Text {
        let mut out = Text::new();
        show(&mut out, memory, current, per_size).unwrap();
        out
    }

    #[test]
    fn the_current_word_is_in_brackets() {
        let anon = |current, per_size| shown(Memory::Anon, current, per_size);
        assert_eq!(anon(Setting::Never, true).bytes(), b"always inherit madvise [never]\n");
        assert_eq!(anon(Setting::Inherit, true).bytes(), b"always [inherit] madvise never\n");
        assert_eq!(anon(Setting::Always, false).bytes(), b"[always] madvise never\n");
        let shared = shown(Memory::Shared, Setting::WithinSize, true);
        assert_eq!(shared.bytes(), b"always inherit [within_size] advise never\n");
        let all = shown(Memory::Shared, Setting::Deny, false);
        assert_eq!(all.bytes(), b"always within_size advise never [deny] force\n");
    }

    #[test]
    fn only_exact_words_are_read() {
        assert_eq!(parse(b"always\n", Memory::Anon, false), Ok(Setting::Always));
        assert_eq!(parse(b"inherit", Memory::Anon, true), Ok(Setting::Inherit));
        assert_eq!(parse(b"inherit", Memory::Anon, false), Err(Errno::EINVAL));
        assert_eq!(parse(b"advise\n", Memory::Shared, true), Ok(Setting::Madvise));
        for bad in [&b""[..], b"\n", b"alway", b"always\n\n", b" always", b"ALWAYS", b"[always]"] {
            assert_eq!(parse(bad, Memory::Anon, true), Err(Errno::EINVAL));
        }
    }
}
