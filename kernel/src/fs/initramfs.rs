//! The archive that the root file system is made from: `cpio` reads its headers, `unpack` makes the files.

pub mod cpio;
pub mod unpack;
