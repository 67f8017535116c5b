use super::*;
use crate::fs::testing::{Memory, World};
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
    assert_eq!(read(&reader, 100).unwrap().len(), 100);
    assert_eq!(write(&writer, &[2; 101]), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, &[2; 100]), Ok(100));
    assert_eq!(read(&reader, 10_000).unwrap().len(), 10_000);
    assert_eq!(write(&writer, &vec![3; 20_000]), Ok(10_000));
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
