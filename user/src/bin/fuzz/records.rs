//! What `getdents64` writes: records of 8 bytes inode number, 8 bytes position, 2 bytes length of the record, 1 byte type,
//! and the name. Pure.

const LENGTH: usize = 16;
const NAME: usize = 19;

/// The names in `records`, without `.` and `..`.
pub fn names(records: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = records;
    core::iter::from_fn(move || {
        let length = u16::from_ne_bytes([*rest.get(LENGTH)?, *rest.get(LENGTH + 1)?]) as usize;
        let record = rest.get(..length).filter(|_| length > NAME)?;
        rest = &rest[length..];
        let name = &record[NAME..];
        Some(&name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())])
    })
    .filter(|name| !matches!(*name, b"." | b".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Vec<u8> {
        let length = (NAME + name.len() + 1).next_multiple_of(8);
        let mut record = vec![0; length];
        record[LENGTH..LENGTH + 2].copy_from_slice(&(length as u16).to_ne_bytes());
        record[NAME..NAME + name.len()].copy_from_slice(name.as_bytes());
        record
    }

    #[test]
    fn names_are_found_and_nothing_behind_the_end_is_read() {
        let records =
            [record("."), record("fz0"), record(".."), record("a-longer-name"), record("12")].concat();
        assert_eq!(names(&records).collect::<Vec<_>>(), [&b"fz0"[..], b"a-longer-name", b"12"]);
        assert_eq!(names(&records[..records.len() - 1]).count(), 2);
        assert_eq!(names(&[0; 64]).count(), 0, "a record of no length is the end");
    }
}
