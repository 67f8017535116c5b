//! The kernel's settings that workers change: put back as they were, so that what comes after finds what it expects.

use user::sys::file;
use user::text::Text;

use crate::words::SETTINGS;

const SWAP: &core::ffi::CStr = c"/sys/kernel/mm/swap/size";

/// What the settings were.
pub struct Settings([Text<32>; SETTINGS.len()]);

impl Settings {
    /// As they are.
    pub fn save() -> Self {
        Settings(SETTINGS.map(|path| {
            let mut buffer = [0; 128];
            let text =
                file::read_file(path, &mut buffer).ok().and_then(|text| core::str::from_utf8(text).ok());
            // One of several words is in brackets; or there is but one.
            let text = text.unwrap_or("").trim();
            let chosen = text.split_once('[').and_then(|(_, rest)| Some(rest.split_once(']')?.0));
            Text::format(format_args!("{}", chosen.unwrap_or(text)))
        }))
    }

    /// Puts them back, and takes away the swap that workers have made. What fails is left: it is no finding.
    pub fn restore(&self) {
        for (path, word) in SETTINGS.iter().zip(&self.0) {
            let _ = file::write_file(path, word.as_bytes());
        }
        let _ = file::write_file(SWAP, b"0");
    }
}
