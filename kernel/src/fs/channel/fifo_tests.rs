use super::*;
use crate::fs::file::OpenFile;
use crate::fs::testing::{Memory, Packer, Spec, World, shared};
use crate::fs::tree::node::Node;
use crate::fs::tree::open::open;
use crate::fs::tree::place::Fs;

const READ: u32 = linux::O_RDONLY;
const WRITE: u32 = linux::O_WRONLY;
const NOW: u32 = linux::O_NONBLOCK;

fn files() -> &'static Fs {
    shared(Packer::default().entry(Spec::new("fifo", 0o010_640, b"")))
}

fn opened(fs: &'static Fs, flags: u32) -> Result<OpenFile> {
    open(fs, &World::default(), Node::ROOT, b"/fifo", flags, 0)
}

fn read(file: &OpenFile) -> Result<Vec<u8>> {
    let mut to = Memory::sized(8);
    let count = file.read(&World::default(), &mut to)?;
    Ok(to.bytes[..count].to_vec())
}

fn write(file: &OpenFile, bytes: &[u8]) -> Result<usize> {
    file.write(&World::default(), &mut Memory::of(bytes))
}

#[test]
fn without_waiting_a_reader_opens_and_a_writer_needs_one() {
    let fs = files();
    assert_eq!(opened(fs, WRITE | NOW).err(), Some(Errno::ENXIO));
    assert_eq!(opened(fs, 3).err(), Some(Errno::EINVAL));
    let reader = opened(fs, READ | NOW).unwrap();
    assert_eq!(reader.readiness(), 0, "nobody has been there, so nobody has left");
    assert_eq!(read(&reader), Ok(vec![]));
    let writer = opened(fs, WRITE | NOW).unwrap();
    assert_eq!(read(&reader), Err(Errno::EAGAIN));
    assert_eq!(write(&writer, b"abc"), Ok(3));
    assert_eq!(reader.waiting(), Some(3));
    assert_eq!((write(&reader, b"x"), read(&writer)), (Err(Errno::EBADF), Err(Errno::EBADF)));
    drop(writer);
    assert_eq!(reader.readiness(), linux::POLLIN | linux::POLLRDNORM | linux::POLLHUP);
    assert_eq!((read(&reader), read(&reader)), (Ok(b"abc".to_vec()), Ok(vec![])));
    let attributes = reader.attributes(&fs.lock());
    assert_eq!((attributes.mode, attributes.nlink), (0o010_640, 1));
}

#[test]
fn what_nobody_has_read_goes_with_the_last_who_has_it_open() {
    let fs = files();
    let both = opened(fs, linux::O_RDWR).unwrap();
    assert_eq!(write(&both, b"lost"), Ok(4));
    let second = opened(fs, READ).unwrap();
    drop(both);
    assert_eq!(second.waiting(), Some(4));
    drop(second);
    let both = opened(fs, linux::O_RDWR | NOW).unwrap();
    assert_eq!(read(&both), Err(Errno::EAGAIN));
    assert_eq!((write(&both, b"me"), read(&both)), (Ok(2), Ok(b"me".to_vec())));
}

#[test]
fn an_open_waits_for_the_other_end() {
    let fs = files();
    let reader = std::thread::spawn(move || {
        let reader = opened(fs, READ).unwrap();
        let mut all = vec![];
        loop {
            match read(&reader).unwrap() {
                end if end.is_empty() => return all,
                more => all.extend(more),
            }
        }
    });
    let writer = opened(fs, WRITE).unwrap();
    assert_eq!(write(&writer, b"through"), Ok(7));
    drop(writer);
    assert_eq!(reader.join().unwrap(), b"through");
}

#[test]
fn who_came_and_went_was_there() {
    let mut named = Named::default();
    let fifo = |ends| Fifo::new(ends, 1, Place::permanent(Node::ROOT));
    let reader = fifo(named.open(READ).unwrap());
    drop(named.open(WRITE).unwrap());
    assert_eq!(reader.meet(false), Ok(()), "a writer was there meanwhile");
    assert_eq!(reader.readiness() & linux::POLLHUP, linux::POLLHUP);
    let late = fifo(named.open(READ).unwrap());
    assert_eq!(late.readiness() & linux::POLLHUP, 0, "but not for who comes later");
}
