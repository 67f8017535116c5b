use super::*;
use crate::fs::testing::{Packer, World, memory, tree};
use crate::fs::tree::open::new_file;
use crate::fs::tree::walk::{Follow, resolve};
use std::vec::Vec;

fn spot(tree: &Tree, path: &str) -> Spot {
    let found = resolve(tree, &World::default(), Node::ROOT, path.as_bytes(), Follow::Never).unwrap();
    Spot::of(&found).unwrap()
}

fn make(tree: &mut Tree, path: &str) -> Result<InodeId> {
    let at = spot(tree, path);
    let inode = new_file(tree, 0o644)?;
    tree.create(at, inode)
}

fn make_dir(tree: &mut Tree, path: &str) -> Result<InodeId> {
    let at = spot(tree, path);
    tree.create(at, Inode::dir(0o755))
}

fn remove(tree: &mut Tree, path: &str, directory: bool) -> Result<bool> {
    let at = spot(tree, path);
    tree.remove(&at, directory, 1).map(|removed| removed.is_some())
}

fn rename(tree: &mut Tree, from: &str, to: &str, flags: u32) -> Result<()> {
    let (from, to) = (spot(tree, from), spot(tree, to));
    tree.rename(&from, to, flags, 1).map(drop)
}

fn names(tree: &Tree, path: &str) -> Vec<std::string::String> {
    let Some(Node::Inode(dir)) = spot(tree, path).node else { panic!("{path}") };
    let name = |entry: &crate::fs::tree::Dirent| String::from_utf8(entry.name.to_vec()).unwrap();
    tree.entries(dir).iter().map(name).collect()
}

fn nlink(tree: &Tree, path: &str) -> u32 {
    let Some(Node::Inode(id)) = spot(tree, path).node else { panic!("{path}") };
    tree.inode(id).nlink
}

fn files() -> Tree {
    tree(Packer::default().file("d/f", b"data").dir("e").symlink("l", "d").symlink("to-f", "d/f"))
}

#[test]
fn what_is_made_can_be_removed() {
    let mut tree = files();
    let before = (tree.inodes().count(), memory().free_pages());
    let file = make(&mut tree, "e/new").unwrap();
    tree.inode(file).contents().unwrap().write(crate::mm::object_io::WriteAt::End, b"x", 1).unwrap();
    assert_eq!(make(&mut tree, "e/new"), Err(Errno::EEXIST));
    assert_eq!(make(&mut tree, "e/dir/"), Err(Errno::ENOENT));
    make_dir(&mut tree, "e/dir/").unwrap();
    assert_eq!(nlink(&tree, "e"), 3);
    assert_eq!(remove(&mut tree, "e", true), Err(Errno::ENOTEMPTY));
    assert_eq!(remove(&mut tree, "e/dir", false), Err(Errno::EISDIR));
    assert_eq!(remove(&mut tree, "e/new", true), Err(Errno::ENOTDIR));
    assert_eq!(remove(&mut tree, "e/none", false), Err(Errno::ENOENT));
    assert_eq!(remove(&mut tree, "l/", true), Err(Errno::ENOTDIR), "the link is meant");
    assert_eq!(remove(&mut tree, "e/.", true), Err(Errno::EINVAL));
    assert_eq!(remove(&mut tree, "e/..", true), Err(Errno::ENOTEMPTY));
    assert_eq!(remove(&mut tree, "/", true), Err(Errno::EBUSY));
    assert_eq!(remove(&mut tree, "proc", true), Err(Errno::EBUSY));
    assert_eq!(remove(&mut tree, "proc/vmstat", false), Err(Errno::EPERM));
    assert_eq!(remove(&mut tree, "e/new", false), Ok(true));
    assert_eq!(remove(&mut tree, "e/dir", true), Ok(true));
    assert_eq!((tree.inodes().count(), memory().free_pages()), before);
}

#[test]
fn a_removed_directory_takes_no_names() {
    let mut tree = files();
    let at = spot(&tree, "e/new");
    let Some(Node::Inode(e)) = spot(&tree, "e").node else { panic!() };
    tree.pin(e);
    assert_eq!(remove(&mut tree, "e", true), Ok(false));
    assert_eq!(tree.create(at, Inode::dir(0o755)), Err(Errno::ENOENT));
    assert_eq!(tree.parent(Node::Inode(e)), Node::ROOT);
    assert_eq!(tree.inode_path(e), Ok(None));
    assert!(tree.unpin(e).is_some());
}

#[test]
fn hard_links_share_the_file() {
    let mut tree = files();
    let link = |tree: &mut Tree, from: &str, to: &str| {
        let (from, to) = (spot(tree, from).node.unwrap(), spot(tree, to));
        tree.hard_link(from, to, 5)
    };
    link(&mut tree, "d/f", "e/g").unwrap();
    assert_eq!(spot(&tree, "e/g").node, spot(&tree, "d/f").node);
    assert_eq!(nlink(&tree, "e/g"), 2);
    assert_eq!(link(&mut tree, "d", "e/h"), Err(Errno::EPERM));
    assert_eq!(link(&mut tree, "proc/vmstat", "e/h"), Err(Errno::EXDEV));
    assert_eq!(link(&mut tree, "d/f", "e/g"), Err(Errno::EEXIST));
    assert_eq!(link(&mut tree, "d/f", "proc/h"), Err(Errno::EPERM));
    assert_eq!(remove(&mut tree, "d/f", false), Ok(false));
    assert_eq!(nlink(&tree, "e/g"), 1);
}

#[test]
fn renames_move_replace_and_refuse() {
    let mut tree = files();
    make_dir(&mut tree, "e/sub").unwrap();
    make(&mut tree, "e/x").unwrap();
    rename(&mut tree, "e/x", "d/x", 0).unwrap();
    assert_eq!((names(&tree, "e"), names(&tree, "d")), (vec!["sub".into()], vec!["f".into(), "x".into()]));
    rename(&mut tree, "d/x", "d/f", 0).unwrap();
    assert_eq!(names(&tree, "d"), ["f"]);
    assert_eq!(rename(&mut tree, "e", "e/sub/e", 0), Err(Errno::EINVAL));
    assert_eq!(rename(&mut tree, "e", "d", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(rename(&mut tree, "e/sub", "e", 0), Err(Errno::ENOTEMPTY));
    assert_eq!(rename(&mut tree, "e", "d/f", 0), Err(Errno::ENOTDIR));
    assert_eq!(rename(&mut tree, "d/f", "e", 0), Err(Errno::EISDIR));
    assert_eq!(rename(&mut tree, "d/f", "e/f/", 0), Err(Errno::ENOTDIR));
    assert_eq!(rename(&mut tree, "none", "e/f", 0), Err(Errno::ENOENT));
    assert_eq!(rename(&mut tree, "e/.", "g", 0), Err(Errno::EBUSY));
    assert_eq!(rename(&mut tree, "proc", "g", 0), Err(Errno::EBUSY));
    assert_eq!(rename(&mut tree, "d/f", "e", linux::RENAME_NOREPLACE), Err(Errno::EEXIST));
    assert_eq!(rename(&mut tree, "d/f", "e", 16), Err(Errno::EINVAL));
    // A directory moves with what it has, and knows where it is.
    make_dir(&mut tree, "e/sub/deep").unwrap();
    let links = (nlink(&tree, "e"), nlink(&tree, "d"));
    rename(&mut tree, "e/sub", "d/sub/", 0).unwrap();
    assert_eq!((nlink(&tree, "e"), nlink(&tree, "d")), (links.0 - 1, links.1 + 1));
    assert_eq!(nlink(&tree, "d/sub"), 3);
    assert_eq!(spot(&tree, "d/sub/..").node, spot(&tree, "d").node);
}

#[test]
fn an_exchange_moves_both() {
    let mut tree = files();
    make_dir(&mut tree, "e/sub").unwrap();
    make_dir(&mut tree, "e/sub/deep").unwrap();
    let before = (spot(&tree, "d/f").node, spot(&tree, "e/sub").node);
    rename(&mut tree, "d/f", "e/sub", linux::RENAME_EXCHANGE).unwrap();
    assert_eq!((spot(&tree, "e/sub").node, spot(&tree, "d/f").node), before);
    assert_eq!((nlink(&tree, "e"), nlink(&tree, "d")), (2, 3));
    assert_eq!(spot(&tree, "d/f/..").node, spot(&tree, "d").node);
    assert_eq!(rename(&mut tree, "d", "d/f/deep", linux::RENAME_EXCHANGE), Err(Errno::EINVAL));
    assert_eq!(rename(&mut tree, "d", "none", linux::RENAME_EXCHANGE), Err(Errno::ENOENT));
}
