use super::*;
use crate::fs::testing::{Frames, Lent, Memory, World};
use std::thread;
use std::vec::Vec;

fn write(writer: &Writer, bytes: &[u8]) -> Result<usize> {
    writer.write(&World::default(), &mut Memory::of(bytes), true)
}

fn read(reader: &Reader, len: usize) -> Result<Vec<u8>> {
    let mut to = Memory::sized(len);
    let count = reader.read(&mut to, true)?;
    assert_eq!(to.moved().len(), count);
    Ok(to.moved().to_vec())
}

#[test]
fn what_goes_in_comes_out() {
    let (reader, writer) = pipe().unwrap();
    assert_eq!(read(&reader, 5), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, b"hello"), Ok(5));
    assert_eq!(write(&writer, b" world"), Ok(6));
    assert_eq!(read(&reader, 4).unwrap(), b"hell");
    assert_eq!(read(&reader, 100).unwrap(), b"o world");
    assert_eq!(read(&reader, 0), Ok(vec![]));
    assert_eq!(write(&writer, b""), Ok(0));
    drop(writer);
    assert_eq!(read(&reader, 5), Ok(vec![]));
}

#[test]
fn small_writes_are_all_or_nothing() {
    let (reader, writer) = pipe().unwrap();
    assert_eq!(write(&writer, &vec![1; PIPE_BYTES + 9]), Ok(PIPE_BYTES));
    assert_eq!(write(&writer, b"x"), Err(Errno::EAGAIN));
    // A buffer is free when all of it is read.
    assert_eq!(read(&reader, SLOT_BYTES - 1).unwrap().len(), SLOT_BYTES - 1);
    assert_eq!(write(&writer, &[2; 1]), Err(Errno::EAGAIN));
    assert_eq!(read(&reader, 1).unwrap().len(), 1);
    assert_eq!(write(&writer, &[2; 100]), Ok(100));
    assert_eq!(write(&writer, &[2; SLOT_BYTES - 99]), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, &[2; SLOT_BYTES - 100]), Ok(SLOT_BYTES - 100));
    assert_eq!(read(&reader, 2 * SLOT_BYTES + 9).unwrap().len(), 2 * SLOT_BYTES + 9);
    assert_eq!(write(&writer, &vec![3; 20_000]), Ok(2 * SLOT_BYTES));
}

fn splice(writer: &Writer, from: &mut Lent) -> Result<usize> {
    writer.splice(&World::default(), from, true)
}

#[test]
fn pages_show_what_is_in_them_when_they_are_read() {
    let (reader, writer) = pipe().unwrap();
    let frames = Frames::leak();
    let page = paging::PAGE_SIZE as usize;
    let mut lent = Lent::new(frames, page - 2..page + 3);
    let pages = lent.pages.clone();
    assert_eq!(write(&writer, b"ab"), Ok(2));
    assert_eq!(splice(&writer, &mut lent), Ok(5));
    assert_eq!(write(&writer, b"cd"), Ok(2));
    assert_eq!(frames.pinned(), 2);
    frames.write(pages[1], 7);
    let last = (page - 2) as u8;
    assert_eq!(read(&reader, 9).unwrap(), [b'a', b'b', last, last.wrapping_add(1), 7, 8, 9, b'c', b'd']);
    assert_eq!(frames.pinned(), 0);
}

#[test]
fn a_pipe_takes_sixteen_pages_and_gives_back_what_does_not_fit() {
    let (reader, writer) = pipe().unwrap();
    let (frames, page) = (Frames::leak(), paging::PAGE_SIZE as usize);
    assert_eq!(write(&writer, b"x"), Ok(1));
    let mut lent = Lent::new(frames, 0..20 * page);
    assert_eq!(splice(&writer, &mut lent), Ok(15 * page));
    assert_eq!((lent.bytes.start, frames.pinned()), (15 * page, 15));
    assert_eq!(splice(&writer, &mut lent), Err(Errno::EAGAIN));
    assert_eq!(read(&reader, 1 + 2 * page).unwrap().len(), 1 + 2 * page);
    assert_eq!((splice(&writer, &mut lent), frames.pinned()), (Ok(3 * page), 16));
    drop((reader, writer));
    assert_eq!(frames.pinned(), 0, "closed with pages in it");
}

#[test]
fn handing_over_ends_at_a_fault_and_at_a_broken_pipe() {
    let (reader, writer) = pipe().unwrap();
    let (frames, page) = (Frames::leak(), paging::PAGE_SIZE as usize);
    let mut lent = Lent { fault_at: 2, ..Lent::new(frames, 0..3 * page) };
    assert_eq!(splice(&writer, &mut lent), Ok(2 * page));
    assert_eq!(splice(&writer, &mut lent), Err(Errno::EFAULT));
    assert_eq!(splice(&writer, &mut Lent::new(frames, 0..0)), Ok(0));
    drop(reader);
    let world = World::default();
    let broken = writer.splice(&world, &mut Lent::new(frames, 0..page), false);
    assert_eq!((broken, world.sigpipes.load(Ordering::Relaxed)), (Err(Errno::EPIPE), 1));
    drop(writer);
    assert_eq!(frames.pinned(), 0);
}

#[test]
fn poll_sees_bytes_room_and_the_other_end() {
    let (readable, writable) = (linux::POLLIN | linux::POLLRDNORM, linux::POLLOUT | linux::POLLWRNORM);
    let (reader, writer) = pipe().unwrap();
    assert_eq!((reader.readiness(), writer.readiness()), (0, writable));
    assert_eq!(write(&writer, &[1; PIPE_BYTES]), Ok(PIPE_BYTES));
    assert_eq!((reader.readiness(), writer.readiness()), (readable, 0));
    assert_eq!(read(&reader, SLOT_BYTES).unwrap().len(), SLOT_BYTES);
    assert_eq!((reader.readiness(), writer.readiness()), (readable, writable));
    drop(writer);
    assert_eq!(reader.readiness(), readable | linux::POLLHUP);
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    assert_eq!(writer.readiness(), writable | linux::POLLERR);
}

#[test]
fn a_fault_of_the_reader_loses_no_byte_of_a_page() {
    let (reader, writer) = pipe().unwrap();
    let frames = Frames::leak();
    assert_eq!(splice(&writer, &mut Lent::new(frames, 10..16)), Ok(6));
    assert_eq!(reader.read(&mut Memory::sized(9).faulting(0), true), Err(Errno::EFAULT));
    assert_eq!(reader.read(&mut Memory::sized(9).faulting(4), true), Ok(4));
    assert_eq!((read(&reader, 9).unwrap(), frames.pinned()), (vec![14, 15], 0));
}

#[test]
fn handing_over_waits_for_room_and_writers_do_not_lose_pages_to_each_other() {
    let (reader, writer) = pipe().unwrap();
    let (frames, page) = (Frames::leak(), paging::PAGE_SIZE as usize);
    const PAGES: usize = 50;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut lent = Lent::new(frames, 0..PAGES * page);
                while lent.remaining() > 0 {
                    assert!(writer.splice(&World::default(), &mut lent, false).unwrap() > 0);
                }
            });
        }
        let mut seen = [0; PAGES];
        for _ in 0..2 * PAGES {
            let mut to = Memory::sized(page);
            while to.remaining() > 0 {
                reader.read(&mut to, false).unwrap();
            }
            seen[to.bytes[0] as usize] += 1;
        }
        assert!(seen.iter().all(|count| *count == 2));
    });
    assert_eq!(frames.pinned(), 0);
}

#[test]
fn a_broken_pipe_is_signalled_and_reported() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let world = World::default();
    assert_eq!(writer.write(&world, &mut Memory::of(b"x"), false), Err(Errno::EPIPE));
    assert_eq!(writer.write(&world, &mut Memory::of(b""), false), Ok(0));
    assert_eq!(world.sigpipes.load(Ordering::Relaxed), 1);
}

#[test]
fn a_fault_loses_no_byte() {
    let (reader, writer) = pipe().unwrap();
    let world = World::default();
    let memory = |bytes: &[u8], fault_at| Memory::of(bytes).faulting(fault_at);
    assert_eq!(writer.write(&world, &mut memory(b"abc", 0), true), Err(Errno::EFAULT));
    assert_eq!(writer.write(&world, &mut memory(b"abcdef", 4), true), Ok(4));
    assert_eq!(reader.read(&mut Memory::sized(9).faulting(0), true), Err(Errno::EFAULT));
    assert_eq!(reader.read(&mut Memory::sized(9).faulting(3), true), Ok(3));
    assert_eq!(read(&reader, 9).unwrap(), b"d");
}

#[test]
fn both_ends_wait_for_each_other() {
    let (reader, writer) = pipe().unwrap();
    let sent: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let copy = sent.clone();
    let sender = thread::spawn(move || writer.write(&World::default(), &mut Memory::of(&copy), false));
    let mut received: Vec<u8> = Vec::new();
    loop {
        let mut to = Memory::sized(7_001);
        match reader.read(&mut to, false).unwrap() {
            0 => break,
            count => received.extend(&to.bytes[..count]),
        }
    }
    assert_eq!(sender.join().unwrap(), Ok(sent.len()));
    assert!(received == sent);
}

#[test]
fn concurrent_small_writes_do_not_mix() {
    let (reader, writer) = pipe().unwrap();
    const RECORD: usize = PIPE_BUF as usize;
    thread::scope(|scope| {
        for letter in [b'a', b'b'] {
            let writer = &writer;
            let send = move || {
                for _ in 0..40 {
                    let mut record = Memory::of(&[letter; RECORD]);
                    assert_eq!(writer.write(&World::default(), &mut record, false), Ok(RECORD));
                }
            };
            scope.spawn(send);
        }
        let mut received: Vec<u8> = Vec::new();
        while received.len() < 80 * RECORD {
            let mut to = Memory::sized(3_333.min(80 * RECORD - received.len()));
            let count = reader.read(&mut to, false).unwrap();
            received.extend(&to.bytes[..count]);
        }
        assert!(received.chunks(RECORD).all(|record| record.iter().all(|b| *b == record[0])));
    });
}
