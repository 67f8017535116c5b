use super::*;
use crate::fs::testing::{Packer, Spec};
use proptest::prelude::*;
use std::vec::Vec;

fn items(bytes: &[u8]) -> Vec<Result<Item<'_>, CpioError>> {
    Archive::new(bytes).collect()
}

fn only_flaw(bytes: &[u8]) -> (usize, Flaw) {
    let error = Archive::new(bytes).find_map(|item| item.err()).expect("no error");
    (error.offset, error.flaw)
}

fn names(bytes: &[u8]) -> Vec<&[u8]> {
    let name = |item| match item {
        Ok(Item::Entry(entry)) => Some(entry),
        _ => None,
    };
    Archive::new(bytes).filter_map(name).map(|entry| entry.name).collect()
}

#[test]
fn an_archive_gives_its_entries_and_its_end() {
    let bytes = Packer::default().dir("d").file("d/f", b"hello").trailer().bytes();
    let all = items(&bytes);
    assert_eq!(all.len(), 3);
    let Ok(Item::Entry(file)) = all[1] else { panic!("{:?}", all[1]) };
    assert_eq!((file.name, file.mode, file.data, file.mtime), (&b"d/f"[..], 0o100_755, &b"hello"[..], 9));
    assert_eq!(file.identity, [1, 2, 0]);
    assert_eq!(all[2], Ok(Item::Trailer));
}

#[test]
fn nothing_and_zeros_hold_nothing() {
    assert!(items(&[]).is_empty());
    assert!(items(&[0; 513]).is_empty());
}

#[test]
fn archives_follow_each_other_with_zeros_between() {
    let bytes = Packer::default().zeros(8).file("a", b"1").trailer().zeros(512);
    let bytes = bytes.file("b", b"22").trailer().file("c", b"").trailer().zeros(3).bytes();
    assert_eq!(names(&bytes), [b"a", b"b", b"c"].map(|name| &name[..]));
    assert!(items(&bytes).iter().all(|item| item.is_ok()));
}

#[test]
fn what_is_not_an_archive_is_named() {
    let entry = Packer::default().file("a", b"1");
    let end = entry.bytes().len();
    let with = |tail: &[u8]| {
        let mut bytes = Packer::default().file("a", b"1").bytes();
        bytes.extend(tail);
        bytes
    };
    assert_eq!(only_flaw(b"\x7fELF"), (0, Flaw::BadMagic));
    assert_eq!(only_flaw(b"070707000000"), (0, Flaw::OldFormat));
    assert_eq!(only_flaw(b"\x1f\x8b\x08"), (0, Flaw::Compressed));
    assert_eq!(only_flaw(b"\x28\xb5\x2f\xfd"), (0, Flaw::Compressed));
    assert_eq!(only_flaw(b"0707"), (0, Flaw::Truncated));
    assert_eq!(only_flaw(&with(b"")), (end, Flaw::NoTrailer));
    assert_eq!(only_flaw(&with(b"070701")), (end, Flaw::Truncated));
    assert_eq!(only_flaw(&with(b"\0\0\0\0")), (end, Flaw::BadMagic));
    assert_eq!(only_flaw(&Packer::default().zeros(2).file("a", b"").bytes()), (2, Flaw::Misaligned));
}

#[test]
fn fields_must_be_hex_and_lengths_must_fit() {
    let good = Packer::default().file("name", b"data").trailer().bytes();
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        only_flaw(&bytes)
    };
    let field = |index: usize| 6 + index * 8;
    assert_eq!(patched(field(0), b"0000000g"), (0, Flaw::BadHex));
    assert_eq!(patched(field(1), b"+0001000"), (0, Flaw::BadHex));
    assert_eq!(patched(field(6), b"ffffffff"), (0, Flaw::Truncated));
    assert_eq!(patched(field(11), b"00000000"), (0, Flaw::BadName));
    assert_eq!(patched(field(11), b"ffffffff"), (0, Flaw::BadName));
    assert_eq!(patched(field(11), b"00001000"), (0, Flaw::Truncated));
    assert_eq!(patched(field(11), b"00000004"), (0, Flaw::BadName)); // cuts off the NUL
}

#[test]
fn a_checksum_is_checked_where_there_are_bytes() {
    let spec = Spec::new("f", 0o100_644, b"\xff\x01");
    let pack = |check| Packer::default().checked(spec, check).trailer().bytes();
    assert!(items(&pack(0x100)).iter().all(|item| item.is_ok()));
    assert_eq!(only_flaw(&pack(0x101)), (0, Flaw::BadChecksum));
    let empty = Packer::default().checked(Spec { data: b"", ..spec }, 7).trailer().bytes();
    assert!(items(&empty).iter().all(|item| item.is_ok()));
}

#[test]
fn every_truncation_is_an_error_and_ends_the_iteration() {
    let bytes = Packer::default().dir("d").file("d/f", b"hello").trailer().bytes();
    // The padding behind the trailer's name may be missing; nothing else may.
    for len in 1..bytes.len() - 3 {
        let all = items(&bytes[..len]);
        assert!(all.last().is_some_and(|item| item.is_err()), "{len} bytes");
        assert_eq!(all.iter().filter(|item| item.is_err()).count(), 1);
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(items(&bytes).len() <= bytes.len());
    }

    #[test]
    fn a_damaged_archive_never_panics(
        at in 0usize..600,
        with in proptest::collection::vec(prop_oneof![Just(b'0'), Just(b'f'), Just(0), any::<u8>()], 1..12),
    ) {
        let archive = Packer::default().dir("d").file("d/f", b"hello").symlink("l", "d/f").trailer().bytes();
        let mut bytes = archive;
        let at = at % bytes.len();
        for (to, from) in bytes[at..].iter_mut().zip(&with) {
            *to = *from;
        }
        let all = items(&bytes);
        let errors = all.iter().filter(|item| item.is_err()).count();
        prop_assert!(errors == 0 || errors == 1 && all.last().is_some_and(|item| item.is_err()));
    }
}
