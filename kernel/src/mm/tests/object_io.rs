//! Files as bytes, over the machine that checks who still maps what is freed.

use super::*;
use crate::mm::testing::{HostMachine, Process, machine};
use crate::mm::{Backing, FaultError, MapFlags, MapRequest, Prot};
use std::vec::Vec;

const PAGE: usize = PAGE_SIZE as usize;
const BLOCK: usize = paging::CONT_PTES * PAGE;

fn read(mm: &Mm<HostMachine>, object: &Object, offset: u64, len: usize) -> Vec<u8> {
    let mut to = vec![0xee; len];
    let count = mm.object_read(object, offset, &mut to);
    to.truncate(count);
    to
}

fn write(mm: &Mm<HostMachine>, object: &Object, offset: usize, from: &[u8]) -> Result<(u64, usize)> {
    mm.object_write(object, WriteAt::Offset(offset as u64), from, from.len())
}

#[test]
fn what_is_written_is_read_and_holes_are_zero() {
    let mm = machine();
    let free = mm.free_pages();
    let file = Object::file(b"initial").unwrap();
    assert_eq!(read(&mm, &file, 2, 99), b"itial");
    assert_eq!(file.occupied(), 1);
    assert_eq!(mm.object_pages(), 0, "reading makes no page");
    assert_eq!(write(&mm, &file, 3 * PAGE - 1, b"ab"), Ok((3 * PAGE_SIZE - 1, 2)));
    assert_eq!(file.bytes(), 3 * PAGE_SIZE + 1);
    let all = read(&mm, &file, 0, 9 * PAGE);
    assert_eq!((all.len(), &all[..7], &all[3 * PAGE - 1..]), (3 * PAGE + 1, &b"initial"[..], &b"ab"[..]));
    assert!(all[7..3 * PAGE - 1].iter().all(|byte| *byte == 0));
    assert_eq!(mm.object_write(&file, WriteAt::End, b"c", 1), Ok((3 * PAGE_SIZE + 1, 1)));
    assert_eq!(read(&mm, &file, 3 * PAGE_SIZE, 9), b"bc");
    assert_eq!(read(&mm, &file, u64::MAX, 9), b"");
    assert_eq!(write(&mm, &file, SIZE_LIMIT as usize, b"x"), Err(Errno::EFBIG));
    mm.object_put(file);
    assert_eq!((mm.free_pages(), mm.object_pages()), (free, 0));
}

#[test]
fn a_long_write_makes_blocks_and_a_short_one_a_page() {
    let mm = machine();
    let file = Object::file(&[]).unwrap();
    mm.object_write(&file, WriteAt::Offset(0), &[1; 100], BLOCK).unwrap();
    assert_eq!(mm.object_pages(), paging::CONT_PTES as u64);
    let other = Object::file(&[]).unwrap();
    mm.object_write(&other, WriteAt::Offset(0), &[1; 100], 100).unwrap();
    assert_eq!(mm.object_pages(), paging::CONT_PTES as u64 + 1);
    mm.object_put(file);
    mm.object_put(other);
}

#[test]
fn what_was_cut_off_does_not_come_back() {
    let mm = machine();
    let free = mm.free_pages();
    let data: Vec<u8> = vec![7; 2 * BLOCK];
    let file = Object::file(data.leak()).unwrap();
    // One block is there, the other is still in the source.
    write(&mm, &file, 5, b"x").unwrap();
    mm.object_resize(&file, 10).unwrap();
    assert_eq!(read(&mm, &file, 0, 99).len(), 10);
    mm.object_resize(&file, 2 * BLOCK as u64).unwrap();
    let all = read(&mm, &file, 0, 2 * BLOCK);
    assert_eq!(&all[..10], [7, 7, 7, 7, 7, b'x', 7, 7, 7, 7]);
    assert!(all[10..].iter().all(|byte| *byte == 0));
    mm.object_resize(&file, 0).unwrap();
    assert_eq!(mm.object_pages(), 0);
    assert_eq!(mm.object_resize(&file, u64::MAX), Err(Errno::EFBIG));
    mm.object_put(file);
    assert_eq!(mm.free_pages(), free);
}

#[test]
fn holes_can_be_made_and_found() {
    let mm = machine();
    let free = mm.free_pages();
    let data: Vec<u8> = vec![7; 3 * PAGE];
    let file = Object::file(data.leak()).unwrap();
    write(&mm, &file, 5 * PAGE, &[9; PAGE]).unwrap();
    mm.object_punch(&file, PAGE_SIZE / 2..6 * PAGE_SIZE).unwrap();
    let all = read(&mm, &file, 0, 8 * PAGE);
    assert!(all[..PAGE / 2].iter().all(|byte| *byte == 7));
    assert!(all[PAGE / 2..].iter().all(|byte| *byte == 0));
    assert!(!mm.object_has(&file, 5), "a page in the hole is free");
    write(&mm, &file, 6 * PAGE + 1, b"x").unwrap();
    mm.object_resize(&file, 8 * PAGE_SIZE).unwrap();
    assert_eq!(mm.object_next(&file, 4 * PAGE_SIZE, true), Some(6 * PAGE_SIZE));
    assert_eq!(mm.object_next(&file, 6 * PAGE_SIZE + 9, true), Some(6 * PAGE_SIZE + 9));
    assert_eq!(mm.object_next(&file, 6 * PAGE_SIZE + 9, false), Some(7 * PAGE_SIZE));
    assert_eq!(mm.object_next(&file, 7 * PAGE_SIZE, true), None);
    assert_eq!(mm.object_next(&file, 8 * PAGE_SIZE, false), None);
    // As large as can be: found out without a look at each page, or at each place for a chunk of them.
    mm.object_resize(&file, i64::MAX as u64).unwrap();
    assert_eq!(mm.object_next(&file, 7 * PAGE_SIZE, true), None);
    assert_eq!(mm.object_next(&file, i64::MAX as u64 - PAGE_SIZE, false), Some(i64::MAX as u64 - PAGE_SIZE));
    mm.object_put(file);
    assert_eq!(mm.free_pages(), free);
}

#[test]
fn files_take_half_of_memory_and_no_more() {
    let mm = machine();
    let free = mm.free_pages();
    let file = Object::file(&[]).unwrap();
    let chunk = vec![1; BLOCK];
    let mut offset = 0;
    let error = loop {
        match mm.object_write(&file, WriteAt::Offset(offset), &chunk, BLOCK) {
            Ok((_, count)) => offset += count as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(error, Errno::ENOSPC);
    assert!(mm.object_pages() >= mm.object_limit() && mm.object_pages() < mm.object_limit() + BLOCK as u64);
    assert_eq!(mm.object_allocate(&file, offset..offset + PAGE_SIZE), Err(Errno::ENOSPC));
    mm.object_resize(&file, 0).unwrap();
    mm.object_allocate(&file, 0..3 * PAGE_SIZE).unwrap();
    assert_eq!((file.bytes(), mm.object_pages()), (0, 3));
    mm.object_put(file);
    assert_eq!(mm.free_pages(), free);
}

#[test]
fn a_mapping_sees_writes_and_loses_what_is_cut_off() {
    let mm = machine();
    let free = mm.free_pages_everywhere();
    let file = Object::file(&[]).unwrap();
    mm.object_write(&file, WriteAt::Offset(0), &vec![1; BLOCK], BLOCK).unwrap();
    let mut process = Process::new(&mm);
    process.enter();
    let at = 0x100_0000;
    let map = |addr, shared| MapRequest {
        addr,
        len: BLOCK,
        prot: Prot::READ | Prot::WRITE,
        flags: if shared { MapFlags::FIXED | MapFlags::SHARED } else { MapFlags::FIXED },
        backing: Backing::Object { object: file.clone(), page: 0 },
    };
    process.space.mmap(&mm, map(at, true)).unwrap();
    process.space.mmap(&mm, map(at + BLOCK, false)).unwrap();
    assert!(process.space.may_write_object(&file));
    assert_eq!(process.read(at + 5), Ok(1));
    process.write(at + 6, 2).unwrap();
    process.write(at + BLOCK + PAGE + 7, 3).unwrap();
    assert_eq!(read(&mm, &file, 5, 2), [1, 2]);
    write(&mm, &file, 5, &[9]).unwrap();
    assert_eq!(process.read(at + 5), Ok(9));

    mm.object_resize(&file, PAGE_SIZE).unwrap();
    process.enter();
    process.space.unmap_object(&mm, &file, 0..u64::MAX).unwrap();
    assert_eq!(process.read(at + 5), Ok(9));
    assert_eq!(process.read(at + PAGE), Err(FaultError::Bus), "behind the end");
    assert_eq!(process.read(at + BLOCK + PAGE + 7), Err(FaultError::Bus), "a private copy goes as well");
    mm.object_resize(&file, 2 * PAGE_SIZE).unwrap();
    assert_eq!(process.read(at + PAGE), Ok(0));
    mm.object_put(file);
    process.exit();
    assert_eq!(mm.free_pages_everywhere(), free);
}

#[test]
fn a_file_that_may_not_be_written_stays_so() {
    let mm = machine();
    let file = Object::file(b"contents").unwrap();
    let mut process = Process::new(&mm);
    process.enter();
    let request = MapRequest {
        addr: 0x100_0000,
        len: PAGE,
        prot: Prot::READ,
        flags: MapFlags::FIXED | MapFlags::SHARED | MapFlags::READ_ONLY,
        backing: Backing::Object { object: file.clone(), page: 0 },
    };
    process.space.mmap(&mm, request).unwrap();
    let rw = Prot::READ | Prot::WRITE;
    assert_eq!(process.space.mprotect(&mm, 0x100_0000, PAGE, rw), Err(Errno::EACCES));
    assert!(!process.space.may_write_object(&file));
    assert_eq!(process.read(0x100_0000), Ok(b'c'));
    mm.object_put(file);
    process.exit();
}
