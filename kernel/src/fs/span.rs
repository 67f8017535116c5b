//! Ranges of user memory, and the order in which a transfer goes through them. Only addresses are handled here; who
//! copies is the caller's business.

use crate::errno::{Errno, Result};

/// The first address that is not a user's, in bytes: 48-bit addresses, as Linux's `TASK_SIZE_MAX`.
const USER_END: u64 = 1 << 48;
/// The most bytes one call transfers, as on Linux (`MAX_RW_COUNT`); what is asked beyond is not touched.
pub const TRANSFER_LIMIT: usize = i32::MAX as usize & !(PAGE_BYTES - 1);
/// Protection changes only at multiples of this.
const PAGE_BYTES: usize = 4096;
/// Size of `struct iovec` in bytes: base and length, of 8 bytes each.
pub const IOVEC_BYTES: usize = 16;

/// A range of user addresses; nothing is known about what is mapped there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first address, in bytes.
    start: usize,
    /// Bytes.
    len: usize,
}

impl Span {
    /// `len` bytes from address `start`, cut off at the most one call transfers.
    ///
    /// # Errors
    /// `EFAULT` if the range, in its full length, is not within the user's half (Linux: `access_ok`).
    pub fn new(start: u64, len: u64) -> Result<Self> {
        match start.checked_add(len) {
            Some(end) if end <= USER_END => {
                Ok(Span { start: start as usize, len: (len as usize).min(TRANSFER_LIMIT) })
            }
            _ => Err(Errno::EFAULT),
        }
    }

    /// The range that a `struct iovec` describes, cut off where the vector with the `total` bytes before it reaches
    /// the most one call transfers; `total` grows by what is left.
    ///
    /// # Errors
    /// `EINVAL`: a length that is negative as a signed number; `EFAULT` as [`Span::new`].
    pub fn from_iovec(iovec: &[u8; IOVEC_BYTES], total: &mut usize) -> Result<Self> {
        let [start, len] =
            [0, 8].map(|at| iovec[at..at + 8].iter().rev().fold(0, |word, b| word << 8 | u64::from(*b)));
        if len > i64::MAX as u64 {
            return Err(Errno::EINVAL);
        }
        let mut span = Span::new(start, len)?;
        span.len = span.len.min(TRANSFER_LIMIT - *total);
        *total += span.len;
        Ok(span)
    }
}

impl Span {
    /// The first address, in bytes.
    pub fn addr(self) -> usize {
        self.start
    }

    /// How many bytes.
    pub fn bytes(self) -> usize {
        self.len
    }
}

/// How far a transfer has come through some spans.
pub struct Cursor<'a> {
    /// What is left of the span the transfer is in.
    current: Span,
    rest: &'a [Span],
    remaining: usize,
}

impl<'a> Cursor<'a> {
    /// Before the first byte of `spans`, whose lengths add up to no more than [`TRANSFER_LIMIT`].
    pub fn new(spans: &'a [Span]) -> Self {
        let remaining = spans.iter().map(|span| span.len).sum();
        Cursor { current: Span { start: 0, len: 0 }, rest: spans, remaining }
    }

    /// Bytes still to be moved.
    pub fn remaining(&self) -> usize {
        self.remaining
    }

    /// The address of the next byte and how many from there on are in the same span; `None` at the end.
    pub fn current(&mut self) -> Option<(usize, usize)> {
        while self.current.len == 0 {
            let (next, rest) = self.rest.split_first()?;
            (self.current, self.rest) = (*next, rest);
        }
        Some((self.current.start, self.current.len))
    }

    /// Calls `copy` with the address of a piece of memory that does not cross a page and the piece's place in the
    /// `wanted` bytes, piece after piece, until all are done or `copy` fails; returns the bytes that were moved. Page
    /// by page, a failure says exactly how many bytes went before it.
    pub fn advance(
        &mut self,
        wanted: usize,
        mut copy: impl FnMut(usize, core::ops::Range<usize>) -> Result<()>,
    ) -> usize {
        let wanted = wanted.min(self.remaining);
        let mut done = 0;
        while done < wanted {
            let Some((start, left)) = self.current() else { break };
            let to_page_end = PAGE_BYTES - start % PAGE_BYTES;
            let len = left.min(wanted - done).min(to_page_end);
            if copy(start, done..done + len).is_err() {
                break;
            }
            self.current = Span { start: start + len, len: left - len };
            done += len;
        }
        self.remaining -= done;
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn iovec(start: u64, len: u64) -> [u8; IOVEC_BYTES] {
        let mut bytes = [0; IOVEC_BYTES];
        bytes[..8].copy_from_slice(&start.to_le_bytes());
        bytes[8..].copy_from_slice(&len.to_le_bytes());
        bytes
    }

    #[test]
    fn ranges_must_be_the_user_s() {
        assert!(Span::new(0, 1 << 48).is_ok_and(|span| span.len == TRANSFER_LIMIT));
        assert!(Span::new(1 << 48, 0).is_ok());
        for (start, len) in
            [(1, 1 << 48), (1 << 48, 1), (0, u64::MAX), (u64::MAX, 1), (0xffff_0000_0000_0000, 0)]
        {
            assert_eq!(Span::new(start, len), Err(Errno::EFAULT));
        }
    }

    #[test]
    fn a_vector_is_cut_off_at_the_limit() {
        let mut total = 0;
        let big = iovec(0x1000, 0x7fff_0000);
        assert_eq!(Span::from_iovec(&big, &mut total), Ok(Span { start: 0x1000, len: 0x7fff_0000 }));
        assert_eq!(Span::from_iovec(&big, &mut total), Ok(Span { start: 0x1000, len: 0xf000 }));
        assert_eq!(Span::from_iovec(&iovec(9, 9), &mut total), Ok(Span { start: 9, len: 0 }));
        assert_eq!(total, TRANSFER_LIMIT);
        assert_eq!(Span::from_iovec(&iovec(0, 1 << 63), &mut 0), Err(Errno::EINVAL));
        assert_eq!(Span::from_iovec(&iovec(1 << 50, 0), &mut 0), Err(Errno::EFAULT));
    }

    #[test]
    fn pieces_end_at_pages_and_spans() {
        let spans =
            [(0x1ff0, 0x20), (0x5000, 0), (0x8000, 0x1001)].map(|(at, len)| Span::new(at, len).unwrap());
        let mut cursor = Cursor::new(&spans);
        let mut pieces = Vec::new();
        let mut go = |cursor: &mut Cursor<'_>, wanted, fault| {
            pieces.clear();
            let moved = cursor.advance(wanted, |at, range| {
                if at == fault {
                    return Err(Errno::EFAULT);
                }
                pieces.push((at, range));
                Ok(())
            });
            (moved, pieces.clone())
        };
        assert_eq!(go(&mut cursor, 0x18, 0), (0x18, vec![(0x1ff0, 0..0x10), (0x2000, 0x10..0x18)]));
        assert_eq!(go(&mut cursor, 0x10, 0x8000), (8, vec![(0x2008, 0..8)]));
        assert_eq!(cursor.remaining(), 0x1001);
        assert_eq!(cursor.current(), Some((0x8000, 0x1001)), "the empty span is skipped");
        let rest = vec![(0x8000, 0..0x1000), (0x9000, 0x1000..0x1001)];
        assert_eq!(go(&mut cursor, usize::MAX, 0), (0x1001, rest));
        assert_eq!(go(&mut cursor, 1, 0), (0, vec![]));
        assert_eq!(cursor.current(), None);
    }
}
