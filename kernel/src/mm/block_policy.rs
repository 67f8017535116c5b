//! What keeps contpte blocks from decaying: the settings behind `cow`, `reuse` and `refold` in
//! `/sys/kernel/mm/transparent_hugepage`. Linux has none of the three; it does what `page`, `page` and `never` do
//! here: a write fault concerns one page, and a block once taken apart stays so.
//!
//! | file | says | default |
//! |---|---|---|
//! | `cow` | how much a write to a shared page copies: `page`, `block`, or up to so many bytes | `block` |
//! | `reuse` | how much a write takes over where nobody else maps the folio any more: `page` or `block` | `block` |
//! | `refold` | whether blocks taken apart are folded again once they can be: `always` or `never` | `always` |
//!
//! Fields are independent and each is one atomic; a fault that runs while one is set may follow either value.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use paging::PAGE_SIZE;

use super::frame::MAX_ORDER;
use super::policy::BLOCK_ORDER;

/// One of the settings, as its file names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockSetting {
    /// How much copy-on-write copies.
    Cow,
    /// How much reuse takes over.
    Reuse,
    /// Whether blocks are folded again.
    Refold,
}

impl BlockSetting {
    /// All settings.
    pub const ALL: [BlockSetting; 3] = [BlockSetting::Cow, BlockSetting::Reuse, BlockSetting::Refold];

    /// The file's name.
    pub const fn file(self) -> &'static [u8] {
        match self {
            BlockSetting::Cow => b"cow",
            BlockSetting::Reuse => b"reuse",
            BlockSetting::Refold => b"refold",
        }
    }
}

/// All three settings.
pub struct BlockPolicy {
    cow: AtomicU8,
    reuse: AtomicBool,
    refold: AtomicBool,
}

/// A text that is no value of the setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoSuchValue;

impl Default for BlockPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl BlockPolicy {
    /// The default: everything on.
    pub(super) const fn new() -> Self {
        BlockPolicy {
            cow: AtomicU8::new(BLOCK_ORDER),
            reuse: AtomicBool::new(true),
            refold: AtomicBool::new(true),
        }
    }

    /// log2 of the most pages that one write fault copies.
    #[inline]
    pub fn cow_order(&self) -> u8 {
        self.cow.load(Ordering::Relaxed)
    }

    /// Whether a write fault takes its whole block over, and not only its page.
    #[inline]
    pub fn reuses_blocks(&self) -> bool {
        self.reuse.load(Ordering::Relaxed)
    }

    /// Whether blocks that were taken apart are folded again.
    #[inline]
    pub fn refolds(&self) -> bool {
        self.refold.load(Ordering::Relaxed)
    }

    /// Sets `setting` to what `text` says: one of its words, or for `cow` a number of bytes, of which the largest
    /// power of two counts.
    ///
    /// # Errors
    /// [`NoSuchValue`]; nothing changed.
    pub fn set(&self, setting: BlockSetting, text: &[u8]) -> Result<(), NoSuchValue> {
        match (setting, text) {
            (BlockSetting::Cow, b"page") => self.cow.store(0, Ordering::Relaxed),
            (BlockSetting::Cow, b"block") => self.cow.store(BLOCK_ORDER, Ordering::Relaxed),
            (BlockSetting::Cow, _) => {
                let bytes: u64 =
                    core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(NoSuchValue)?;
                let pages = bytes / PAGE_SIZE;
                let order = pages.checked_ilog2().ok_or(NoSuchValue)?;
                self.cow.store(order.min(MAX_ORDER as u32) as u8, Ordering::Relaxed);
            }
            (BlockSetting::Reuse, b"page" | b"block") => {
                self.reuse.store(text == b"block", Ordering::Relaxed)
            }
            (BlockSetting::Refold, b"always" | b"never") => {
                self.refold.store(text == b"always", Ordering::Relaxed);
            }
            _ => return Err(NoSuchValue),
        }
        Ok(())
    }

    /// Writes the words of `setting` with brackets around the current one, as Linux's policy files show theirs. A
    /// byte limit that is neither a page nor a block stands behind the words.
    ///
    /// # Errors
    /// What `out` says.
    pub fn show(&self, setting: BlockSetting, out: &mut dyn fmt::Write) -> fmt::Result {
        let chosen = |words: [&'static str; 2], second| match second {
            false => (words[0], "[", "]", words[1], "", ""),
            true => (words[0], "", "", words[1], "[", "]"),
        };
        let (first, a, b, second, c, d) = match setting {
            BlockSetting::Cow => match self.cow_order() {
                0 => chosen(["page", "block"], false),
                BLOCK_ORDER => chosen(["page", "block"], true),
                order => return writeln!(out, "page block [{}]", PAGE_SIZE << order),
            },
            BlockSetting::Reuse => chosen(["page", "block"], self.reuses_blocks()),
            BlockSetting::Refold => chosen(["always", "never"], !self.refolds()),
        };
        writeln!(out, "{a}{first}{b} {c}{second}{d}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    fn shown(policy: &BlockPolicy, setting: BlockSetting) -> String {
        let mut out = String::new();
        policy.show(setting, &mut out).unwrap();
        out
    }

    #[test]
    fn by_default_everything_keeps_blocks_whole() {
        let policy = BlockPolicy::new();
        assert_eq!(
            BlockSetting::ALL.map(|setting| shown(&policy, setting)),
            ["page [block]\n", "page [block]\n", "[always] never\n"]
        );
        assert!(policy.cow_order() == BLOCK_ORDER && policy.reuses_blocks() && policy.refolds());
    }

    #[test]
    fn what_is_set_is_shown_and_nonsense_refused() {
        let policy = BlockPolicy::new();
        for (setting, text, show) in [
            (BlockSetting::Cow, &b"page"[..], "[page] block\n".into()),
            (BlockSetting::Cow, b"block", "page [block]\n".into()),
            (BlockSetting::Reuse, b"page", "[page] block\n".into()),
            (BlockSetting::Refold, b"never", "always [never]\n".into()),
        ] {
            let show: String = show;
            assert_eq!(policy.set(setting, text), Ok(()));
            assert_eq!(shown(&policy, setting), show);
        }
        for bad in
            [&b""[..], b"blocks", b"always", b"-1", b"0", b"4000", b"1e9", b"99999999999999999999", b"\xff"]
        {
            assert_eq!(policy.set(BlockSetting::Cow, bad), Err(NoSuchValue));
            assert_eq!(policy.set(BlockSetting::Reuse, bad), Err(NoSuchValue));
        }
        assert_eq!(shown(&policy, BlockSetting::Cow), "page [block]\n");
    }

    #[test]
    fn a_byte_limit_counts_as_a_power_of_two_of_pages() {
        let policy = BlockPolicy::new();
        let limit = |bytes: u64| {
            policy.set(BlockSetting::Cow, std::format!("{bytes}").as_bytes()).unwrap();
            policy.cow_order()
        };
        assert_eq!(limit(PAGE_SIZE), 0);
        assert_eq!(limit(2 * PAGE_SIZE - 1), 0);
        assert_eq!(limit(9 * PAGE_SIZE), 3);
        assert_eq!(limit(u64::MAX), MAX_ORDER);
        limit(PAGE_SIZE << 2);
        assert_eq!(shown(&policy, BlockSetting::Cow), std::format!("page block [{}]\n", PAGE_SIZE << 2));
    }
}
