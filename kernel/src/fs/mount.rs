//! What `mount` is told of a tmpfs: how much memory its files may have.

use paging::PAGE_SIZE;

use crate::errno::{Errno, Result};
use crate::fs::generated::text::parse_size;

/// The limit, in pages, that `options` (`size=64m,mode=755`) set: `size=`, in bytes or as a percentage of `total` pages,
/// or `nr_blocks=`, in pages; the last counts. `u64::MAX` for 0, which is none. `None`: they set none.
///
/// # Errors
/// `EINVAL`: an option that tmpfs does not have, or a limit that is no number.
pub fn tmpfs_limit(options: &[u8], total: u64) -> Result<Option<u64>> {
    let mut limit = None;
    for option in options.split(|byte| *byte == b',').filter(|option| !option.is_empty()) {
        let equals = option.iter().position(|byte| *byte == b'=');
        let (name, value) = equals.map_or((option, &[][..]), |at| (&option[..at], &option[at + 1..]));
        match name {
            b"size" => limit = Some(pages(value, total)?),
            b"nr_blocks" => limit = Some(parse_size(value)?),
            b"mode" | b"uid" | b"gid" | b"nr_inodes" | b"huge" | b"mpol" | b"inode32" | b"inode64" => {}
            b"noswap" | b"rw" | b"relatime" | b"noatime" => {}
            _ => return Err(Errno::EINVAL),
        }
    }
    Ok(limit.map(|pages| if pages == 0 { u64::MAX } else { pages }))
}

fn pages(size: &[u8], total: u64) -> Result<u64> {
    match size.strip_suffix(b"%") {
        Some(percent) => Ok(parse_size(percent)?.checked_mul(total).ok_or(Errno::EINVAL)? / 100),
        None => Ok(parse_size(size)?.div_ceil(PAGE_SIZE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_limit_counts() {
        assert_eq!(tmpfs_limit(b"", 1000), Ok(None));
        assert_eq!(tmpfs_limit(b"mode=1777,noswap", 1000), Ok(None));
        assert_eq!(tmpfs_limit(b"size=1m", 1000), Ok(Some((1 << 20) / PAGE_SIZE)));
        assert_eq!(tmpfs_limit(b"size=1", 1000), Ok(Some(1)));
        assert_eq!(tmpfs_limit(b"size=25%,mode=755", 1000), Ok(Some(250)));
        assert_eq!(tmpfs_limit(b"size=1m,nr_blocks=2k", 1000), Ok(Some(2048)));
        assert_eq!(tmpfs_limit(b"size=0", 1000), Ok(Some(u64::MAX)), "no limit");
        for bad in
            [&b"size"[..], b"size=", b"size=x", b"size=1mb", b"size=1%%", b"sise=1", b"size=99999999999g"]
        {
            assert_eq!(tmpfs_limit(bad, 1000), Err(Errno::EINVAL));
        }
    }
}
