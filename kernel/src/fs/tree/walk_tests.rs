use super::*;
use crate::fs::generated::ProcessFile;
use crate::fs::testing::{Packer, World, tree};

fn files() -> Tree {
    let packer = Packer::default().file("bin/sh", b"sh").symlink("sbin", "bin").symlink("bin/ash", "sh");
    let packer = packer.symlink("abs", "/bin/./ash").symlink("dangling", "nowhere").symlink("loop", "loop");
    tree(packer.symlink("up", "bin/../sbin/").symlink("bin/up", "../abs"))
}

fn find(tree: &Tree, path: &str, follow: bool) -> Result<Node> {
    let world = World { pid: 7, pids: vec![1, 7], ..World::default() };
    walk(tree, &world, Node::ROOT, path.as_bytes(), follow)
}

#[test]
fn paths_lead_through_links_and_dots() {
    let tree = files();
    let sh = find(&tree, "bin/sh", false).unwrap();
    let ways =
        ["/bin/sh", "//bin///sh", "bin/ash", "/sbin/ash", "abs", "bin/up", "up/ash", "../../bin/../abs"];
    for path in ways {
        assert_eq!(find(&tree, path, true), Ok(sh), "{path}");
    }
    assert_eq!(find(&tree, "/", true), Ok(Node::ROOT));
    assert_eq!(find(&tree, "/..", true), Ok(Node::ROOT));
    assert_eq!(find(&tree, "sbin/", false), find(&tree, "bin", false));
}

#[test]
fn a_last_link_is_followed_on_request() {
    let tree = files();
    assert_ne!(find(&tree, "abs", false), find(&tree, "abs", true));
    assert_ne!(find(&tree, "sbin", false), find(&tree, "bin", false));
    assert_eq!(find(&tree, "sbin/.", false), find(&tree, "bin", false));
    assert!(find(&tree, "dangling", false).is_ok());
    assert_eq!(find(&tree, "dangling", true), Err(Errno::ENOENT));
}

#[test]
fn wrong_paths_say_why() {
    let tree = files();
    assert_eq!(find(&tree, "", true), Err(Errno::ENOENT));
    assert_eq!(find(&tree, "none/x", true), Err(Errno::ENOENT));
    assert_eq!(find(&tree, "bin/sh/", true), Err(Errno::ENOTDIR));
    assert_eq!(find(&tree, "bin/sh/x", true), Err(Errno::ENOTDIR));
    assert_eq!(find(&tree, "bin/sh/..", true), Err(Errno::ENOTDIR));
    assert_eq!(find(&tree, "loop", true), Err(Errno::ELOOP));
    assert_eq!(find(&tree, "loop/x", false), Err(Errno::ELOOP));
    assert_eq!(find(&tree, &"n".repeat(256), true), Err(Errno::ENAMETOOLONG));
    assert_eq!(find(&tree, &"n".repeat(255), true), Err(Errno::ENOENT));
    let sh = find(&tree, "bin/sh", true).unwrap();
    assert_eq!(walk(&tree, &World::default(), sh, b"x", true), Err(Errno::ENOTDIR));
    assert_eq!(walk(&tree, &World::default(), sh, b"/bin/sh", true), Ok(sh));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let mut packer = Packer::default().file("l0", b"");
    let names: Vec<String> = (0..=41).map(|i| format!("l{i}")).collect();
    for pair in names.windows(2) {
        packer = packer.symlink(&pair[1], &pair[0]);
    }
    let tree = tree(packer);
    assert!(find(&tree, "l40", true).is_ok());
    assert_eq!(find(&tree, "l41", true), Err(Errno::ELOOP));
}

#[test]
fn interrupted_paths_are_taken_up_again() {
    // Each link has something behind the next link, so all of the pending tails are in use.
    let mut packer = Packer::default().dir("d0");
    let names: Vec<String> = (0..=40).map(|i| format!("d{i}")).collect();
    for pair in names.windows(2) {
        packer = packer.symlink(&pair[1], &format!("{}/.", pair[0]));
    }
    let tree = tree(packer.file("d0/f", b""));
    assert_eq!(find(&tree, "d40/f", true), find(&tree, "d0/f", true));
}

#[test]
fn the_last_component_may_be_missing() {
    let tree = files();
    let world = World::default();
    let last = |path: &'static str, follow| {
        let found = resolve(&tree, &world, Node::ROOT, path.as_bytes(), follow)?;
        Ok((found.dir, found.name.to_vec(), found.node.is_some(), found.slash))
    };
    let bin = find(&tree, "bin", true).unwrap();
    assert_eq!(last("bin/new", Follow::Yes), Ok((bin, b"new".to_vec(), false, false)));
    assert_eq!(last("sbin/new//", Follow::Yes), Ok((bin, b"new".to_vec(), false, true)));
    assert_eq!(last("dangling", Follow::Yes), Ok((Node::ROOT, b"nowhere".to_vec(), false, false)));
    assert_eq!(last("dangling", Follow::Never), Ok((Node::ROOT, b"dangling".to_vec(), true, false)));
    assert_eq!(last("sbin/", Follow::Never), Ok((Node::ROOT, b"sbin".to_vec(), true, true)));
    assert_eq!(last("sbin/", Follow::IfSlash), Ok((Node::ROOT, b"bin".to_vec(), true, true)));
    assert_eq!(last("new/x", Follow::Yes), Err(Errno::ENOENT));
    assert_eq!(last("/", Follow::Yes), Ok((Node::ROOT, b".".to_vec(), true, false)));
    assert_eq!(last("bin/..", Follow::Never), Ok((bin, b"..".to_vec(), true, false)));
}

#[test]
fn processes_have_directories() {
    let tree = files();
    assert_eq!(find(&tree, "/proc/self", true), Ok(Node::ProcessDir(7)));
    assert_eq!(find(&tree, "/proc/self/maps", true), Ok(Node::ProcessFile(7, ProcessFile::Maps)));
    assert_eq!(find(&tree, "/proc/1/../7/status", true), Ok(Node::ProcessFile(7, ProcessFile::Status)));
    assert_eq!(find(&tree, "/proc/2", true), Err(Errno::ENOENT));
    assert_eq!(find(&tree, "/proc/07", true), Err(Errno::ENOENT));
    assert_eq!(find(&tree, "/7", true), Err(Errno::ENOENT));
    assert_eq!(find(&tree, "/proc/1/maps/x", true), Err(Errno::ENOTDIR));
    assert_eq!(walk(&tree, &World::default(), Node::ROOT, b"/proc/self", true), Err(Errno::ENOENT));
    assert!(matches!(find(&tree, "/proc/self", false), Ok(Node::Inode(_))));
    assert_eq!(find(&tree, "/proc/thread-self/maps", true), Ok(Node::ProcessFile(7, ProcessFile::Maps)));
    assert_eq!(find(&tree, "/proc/self/cwd/bin", true), find(&tree, "/bin", true));
    assert_eq!(find(&tree, "/proc/self/fd/0/bin", true), find(&tree, "/bin", true));
    assert_eq!(find(&tree, "/proc/self/fd/1", true), Err(Errno::ENOENT));
}
