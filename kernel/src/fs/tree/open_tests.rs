use super::*;
use crate::fs::channel::pipe::pipe;
use crate::fs::testing::{Memory, Packer, Spec, World, memory, shared};
use crate::util::Ref;

fn files() -> &'static Fs {
    let fifo = Spec::new("socket", 0o140_644, b"");
    let disk = Spec { rdev: (8, 0), ..Spec::new("disk", 0o060_644, b"") };
    let unknown = Spec { rdev: (1, 77), ..Spec::new("unknown", 0o020_644, b"") };
    let packer = Packer::default().file("d/f", b"data").symlink("l", "d/f").symlink("ld", "d");
    shared(packer.symlink("dangling", "d/new").entry(fifo).entry(disk).entry(unknown))
}

fn world() -> World {
    World { pid: 3, pids: vec![3], ..World::default() }
}

fn in_files(fs: &'static Fs, path: &str, flags: u32) -> Result<OpenFile> {
    open(fs, &world(), Node::ROOT, path.as_bytes(), flags, 0o640)
}

fn outcome(path: &str, flags: u32) -> Result<OpenFile> {
    in_files(files(), path, flags)
}

fn error(path: &str, flags: u32) -> Option<Errno> {
    outcome(path, flags).err()
}

#[test]
fn every_type_opens_as_what_it_is() {
    let target = |path, flags| outcome(path, flags).unwrap();
    assert_eq!(target("l", linux::O_RDONLY).regular().unwrap().1.len(), 4);
    assert!(matches!(target("ld", linux::O_DIRECTORY).target(), Target::Dir(_)));
    assert!(matches!(
        target("/dev/null", linux::O_RDWR | linux::O_CREAT).target(),
        Target::Device(_, Device::Null)
    ));
    assert!(matches!(target("/proc/self/maps", 0).target(), Target::Generated(..)));
    let policy = "/sys/kernel/mm/transparent_hugepage/enabled";
    assert!(target(policy, linux::O_WRONLY | linux::O_TRUNC).writable());
    let link = target("l", linux::O_PATH | linux::O_NOFOLLOW);
    assert!(matches!(link.target(), Target::Place(_)) && !link.readable() && !link.writable());
    let file = target("l", linux::O_RDONLY | linux::O_CREAT | linux::O_CLOEXEC | linux::O_NONBLOCK);
    assert_eq!(file.flags(), linux::O_RDONLY | linux::O_NONBLOCK | linux::O_LARGEFILE);
}

#[test]
fn files_are_created_and_emptied() {
    let fs = files();
    let new = in_files(fs, "dangling", linux::O_CREAT | linux::O_RDWR).unwrap();
    let attributes = new.attributes(&fs.lock());
    assert_eq!((attributes.mode, attributes.nlink), (0o100_640, 1));
    new.write(&world(), &mut Memory::of(b"abc")).unwrap();
    assert_eq!(in_files(fs, "d/new", 0).unwrap().regular().unwrap().1.len(), 3, "where the link leads");
    assert_eq!(in_files(fs, "d/new", linux::O_CREAT | linux::O_EXCL).err(), Some(Errno::EEXIST));
    assert_eq!(in_files(fs, "dangling", linux::O_CREAT | linux::O_EXCL).err(), Some(Errno::EEXIST));
    in_files(fs, "d/new", linux::O_WRONLY | linux::O_TRUNC).unwrap();
    assert_eq!(new.regular().unwrap().1.len(), 0);
    assert_eq!(error("no/new", linux::O_CREAT), Some(Errno::ENOENT));
    assert_eq!(error("d/f/new", linux::O_CREAT), Some(Errno::ENOTDIR));
    assert_eq!(error("new/", linux::O_CREAT), Some(Errno::EISDIR));
    assert_eq!(error("", linux::O_CREAT), Some(Errno::ENOENT));
    assert_eq!(error("/proc/new", linux::O_CREAT), Some(Errno::EPERM));
    assert_eq!(error("/sys/kernel/new", linux::O_CREAT), Some(Errno::EPERM));
    assert_eq!(error("/proc/vmstat", linux::O_RDWR), Some(Errno::EACCES));
}

#[test]
fn a_file_without_a_name_lives_as_long_as_it_is_open() {
    let fs = files();
    let before = (fs.lock().inodes().count(), memory().free_pages());
    let file = in_files(fs, "d", linux::O_TMPFILE | linux::O_RDWR).unwrap();
    file.write(&world(), &mut Memory::of(&[1; 10_000])).unwrap();
    assert_eq!(file.attributes(&fs.lock()).nlink, 0);
    let same = World { open: Some(Ref::try_new(file).unwrap()), ..world() };
    let again = open(fs, &same, Node::ROOT, b"/proc/self/fd/5", 0, 0).unwrap();
    drop(same);
    assert_eq!(again.regular().unwrap().1.len(), 10_000);
    drop(again);
    assert_eq!((fs.lock().inodes().count(), memory().free_pages()), before);
    assert_eq!(in_files(fs, "d", linux::O_TMPFILE).err(), Some(Errno::EINVAL));
}

#[test]
fn a_pipe_can_be_opened_again() {
    let (fs, (reader, writer)) = (files(), pipe().unwrap());
    drop(writer);
    let file = Ref::try_new(OpenFile::new(Target::PipeReader(reader, 7), 0)).unwrap();
    let world = World { open: Some(file), ..world() };
    let again = |flags| open(fs, &world, Node::ROOT, b"/proc/self/fd/5", flags, 0);
    let writer = again(linux::O_WRONLY).unwrap();
    assert_eq!(writer.write(&world, &mut Memory::of(b"abc")), Ok(3));
    let mut to = Memory::sized(9);
    assert_eq!(again(0).unwrap().read(&world, &mut to), Ok(3));
    assert_eq!(again(linux::O_RDWR).err(), Some(Errno::ENXIO));
    assert_eq!(again(linux::O_NOFOLLOW).err(), Some(Errno::ELOOP));
}

#[test]
fn wrong_types_say_so() {
    assert_eq!(error("d", linux::O_WRONLY), Some(Errno::EISDIR));
    assert_eq!(error("d", linux::O_CREAT), Some(Errno::EISDIR));
    assert_eq!(error("d/f", linux::O_DIRECTORY), Some(Errno::ENOTDIR));
    assert_eq!(error("d/f", linux::O_DIRECTORY | linux::O_PATH), Some(Errno::ENOTDIR));
    assert_eq!(error("l", linux::O_NOFOLLOW), Some(Errno::ELOOP));
    assert_eq!(error("ld", linux::O_NOFOLLOW | linux::O_DIRECTORY), Some(Errno::ENOTDIR));
    assert_eq!(error("/proc/self", linux::O_NOFOLLOW), Some(Errno::ELOOP));
    for path in ["socket", "disk", "unknown"] {
        assert_eq!(error(path, linux::O_RDONLY), Some(Errno::ENXIO));
    }
}
