use super::*;
use crate::fs::testing::{Packer, Spec, World, tree};

fn files() -> Tree {
    let fifo = Spec::new("fifo", 0o010_644, b"");
    let disk = Spec { rdev: (8, 0), ..Spec::new("disk", 0o060_644, b"") };
    let unknown = Spec { rdev: (1, 77), ..Spec::new("unknown", 0o020_644, b"") };
    let packer = Packer::default().file("d/f", b"data").symlink("l", "d/f").symlink("ld", "d");
    tree(packer.entry(fifo).entry(disk).entry(unknown))
}

fn outcome(path: &str, flags: u32) -> Result<OpenFile> {
    let world = World { pid: 3, pids: vec![3], ..World::default() };
    open(&files(), &world, Node::ROOT, path.as_bytes(), flags)
}

fn error(path: &str, flags: u32) -> Option<Errno> {
    outcome(path, flags).err()
}

#[test]
fn every_type_opens_as_what_it_is() {
    let target = |path, flags| outcome(path, flags).unwrap();
    assert!(matches!(target("l", linux::O_RDONLY).target(), Target::File(_, b"data")));
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
fn the_file_system_is_read_only() {
    for flags in [linux::O_WRONLY, linux::O_RDWR, linux::O_TRUNC, linux::O_APPEND | linux::O_WRONLY] {
        assert_eq!(error("d/f", flags), Some(Errno::EROFS));
    }
    assert_eq!(error("d/new", linux::O_CREAT | linux::O_WRONLY), Some(Errno::EROFS));
    assert_eq!(error("new", linux::O_CREAT), Some(Errno::EROFS));
    assert_eq!(error("no/new", linux::O_CREAT), Some(Errno::ENOENT));
    assert_eq!(error("d/f/new", linux::O_CREAT), Some(Errno::ENOTDIR));
    assert_eq!(error("new/", linux::O_CREAT), Some(Errno::EISDIR));
    assert_eq!(error("", linux::O_CREAT), Some(Errno::ENOENT));
    assert_eq!(error("d", linux::O_TMPFILE | linux::O_RDWR), Some(Errno::EROFS));
    assert_eq!(error("/proc/vmstat", linux::O_RDWR), Some(Errno::EACCES));
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
    assert_eq!(error("l", linux::O_CREAT | linux::O_EXCL), Some(Errno::EEXIST));
    for path in ["fifo", "disk", "unknown"] {
        assert_eq!(error(path, linux::O_RDONLY), Some(Errno::ENODEV));
    }
}
