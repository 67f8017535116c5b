//! The kernel's folio size policy: `/sys/kernel/mm/transparent_hugepage/hugepages-<N>kB/enabled`; and, on Pleat only,
//! what keeps contpte blocks folded: `cow`, `reuse` and `refold` beside those directories.
//!
//! The files are machine-wide. [`Policy::save`] and [`BlockPolicy::save`] remember what they said and `restore` puts it
//! back.

use core::ffi::CStr;

use crate::sys::memory::page_size;
use crate::sys::{Errno, Result, file};
use crate::text::Text;

/// Sizes of folios that a file may exist for, 8 KiB to 2 MiB, whatever the page size; numbered as orders of 4 KiB.
const ORDERS: usize = 9;

/// What the files said at the start; empty where there is none.
pub struct Policy {
    saved: [Text<16>; ORDERS],
}

fn path(order: usize) -> Text<96> {
    let kib = 4 << order;
    Text::format(format_args!("/sys/kernel/mm/transparent_hugepage/hugepages-{kib}kB/enabled\0"))
}

fn write(order: usize, setting: &str) -> Result<()> {
    let path = path(order);
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Errno::EINVAL)?;
    file::write_file(path, setting.as_bytes())
}

/// The setting in brackets, as in `always inherit [madvise] never`.
fn chosen(text: &str) -> Option<&str> {
    Some(text.split_once('[')?.1.split_once(']')?.0)
}

impl Policy {
    /// Reads all the files there are.
    pub fn save() -> Self {
        let mut saved = [Text::new(); ORDERS];
        for (slot, order) in saved.iter_mut().zip(1..) {
            let path = path(order);
            let mut buffer = [0; 128];
            let Ok(path) = CStr::from_bytes_with_nul(path.as_bytes()) else { continue };
            let Ok(bytes) = file::read_file(path, &mut buffer) else { continue };
            if let Some(setting) = core::str::from_utf8(bytes).ok().and_then(chosen) {
                *slot = Text::format(format_args!("{setting}"));
            }
        }
        Policy { saved }
    }

    /// Makes folios of `kib` KiB the only ones: its file says `always`, all others `never`. A page's size is all `never`.
    ///
    /// # Errors
    /// `ENOENT`: this kernel has no folios of that size. `EACCES`, `EROFS`: not permitted.
    pub fn only(&self, kib: u32) -> Result<()> {
        if (kib as usize) << 10 < page_size() {
            return Err(Errno::ENOENT);
        }
        for (saved, order) in self.saved.iter().zip(1..) {
            match 4 << order == kib && (kib as usize) << 10 > page_size() {
                true => write(order, "always")?,
                false if saved.as_str().is_empty() => {}
                false => write(order, "never")?,
            }
        }
        Ok(())
    }

    /// Puts back what [`Policy::save`] found.
    pub fn restore(&self) {
        for (saved, order) in self.saved.iter().zip(1..) {
            if !saved.as_str().is_empty() {
                // A file that could be written before can be written now; where it could not, nothing changed.
                let _ = write(order, saved.as_str());
            }
        }
    }
}

/// The files that say what keeps blocks folded, in the order in which they are named everywhere.
const BLOCK_FILES: [&CStr; 3] = [
    c"/sys/kernel/mm/transparent_hugepage/cow",
    c"/sys/kernel/mm/transparent_hugepage/reuse",
    c"/sys/kernel/mm/transparent_hugepage/refold",
];

/// What the files `cow`, `reuse` and `refold` said at the start; empty on a kernel that has none.
pub struct BlockPolicy {
    saved: [Text<24>; BLOCK_FILES.len()],
}

impl BlockPolicy {
    /// Reads them.
    pub fn save() -> Self {
        let read = |path: &CStr| {
            let mut buffer = [0; 64];
            let bytes = file::read_file(path, &mut buffer).unwrap_or(&[]);
            let setting = core::str::from_utf8(bytes).ok().and_then(chosen).unwrap_or("");
            Text::format(format_args!("{setting}"))
        };
        BlockPolicy { saved: BLOCK_FILES.map(read) }
    }

    /// Writes a word to each of `cow`, `reuse` and `refold` for which there is one.
    ///
    /// # Errors
    /// `ENOENT`: this kernel has no such file. `EINVAL`: it does not know the word.
    pub fn set(&self, words: [Option<&str>; 3]) -> Result<()> {
        let words = BLOCK_FILES.into_iter().zip(words);
        words
            .filter_map(|(path, word)| Some((path, word?)))
            .try_for_each(|(path, word)| file::write_file(path, word.as_bytes()))
    }

    /// Whether they said that blocks are copied and reused whole, and folded again.
    pub fn keeps_blocks(&self) -> bool {
        self.saved.each_ref().map(Text::as_str) == ["block", "block", "always"]
    }

    /// Puts back what [`BlockPolicy::save`] found.
    pub fn restore(&self) {
        let words = self.saved.each_ref().map(|word| Some(word.as_str()).filter(|word| !word.is_empty()));
        // As in Policy::restore.
        let _ = self.set(words);
    }
}
