use super::*;
use crate::errno::Result;
use crate::fs::testing::{Packer, Spec, store};
use proptest::prelude::*;

fn find(tree: &Tree, path: &[u8]) -> Result<InodeId> {
    match walk(tree, &Nobody, Node::ROOT, path, false)? {
        Node::Inode(id) => Ok(id),
        other => panic!("{other:?}"),
    }
}

fn contents(tree: &Tree, path: &[u8]) -> std::vec::Vec<u8> {
    let mut bytes = vec![0; 99];
    let count = tree.inode(find(tree, path).unwrap()).contents().unwrap().read(0, &mut bytes);
    bytes.truncate(count);
    bytes
}

fn is_link(tree: &Tree, path: &[u8], target: &[u8]) -> bool {
    matches!(&tree.inode(find(tree, path).unwrap()).kind, Kind::Symlink(its) if **its == *target)
}

fn unpacked(packer: Packer) -> (Tree, core::result::Result<(), UnpackError>) {
    let mut tree = Tree::new(store()).unwrap();
    let outcome = unpack(&mut tree, packer.leak());
    (tree, outcome)
}

fn misfit(packer: Packer) -> Option<Misfit> {
    match unpacked(packer).1 {
        Err(UnpackError::Entry(_, misfit)) => Some(misfit),
        _ => None,
    }
}

#[test]
fn files_come_with_their_attributes_and_missing_directories() {
    let root = Spec::new(".", 0o040_700, b"");
    let setuid = Spec::new("/usr//bin/./su", 0o104_755, b"su");
    let (tree, outcome) = unpacked(Packer::default().entry(root).entry(setuid).symlink("lib", "usr/lib"));
    assert_eq!(outcome, Ok(()));
    assert_eq!(contents(&tree, b"/usr/bin/su"), b"su");
    let su = tree.inode(find(&tree, b"usr/bin/su").unwrap());
    assert_eq!((su.mode, su.mtime, su.nlink), (0o104_755, 9_000_000_000, 1));
    assert_eq!(tree.inode(ROOT).mode, 0o040_700);
    assert_eq!(tree.inode(ROOT).nlink, 3);
    assert!(is_link(&tree, b"lib", b"usr/lib"));
}

#[test]
fn a_later_entry_replaces_an_earlier_one() {
    let packer = Packer::default().file("f", b"old").file("f", b"new").symlink("s", "x").file("s", b"file");
    let (tree, outcome) =
        unpacked(packer.dir("d").symlink("d", "f").file("g", b"1").dir("g").file("g/h", b"2"));
    assert_eq!(outcome, Ok(()));
    assert_eq!(contents(&tree, b"f"), b"new");
    assert_eq!(contents(&tree, b"s"), b"file");
    assert!(is_link(&tree, b"d", b"f"));
    assert_eq!(contents(&tree, b"g/h"), b"2");
    assert_eq!(tree.entries(ROOT).len(), 4);
}

#[test]
fn hard_links_share_the_contents_that_come_last() {
    let link = |name, data| Spec { ino: 7, nlink: 3, ..Spec::new(name, 0o100_644, data) };
    let packer = Packer::default().entry(link("a", b"")).entry(link("b", b"")).entry(link("c", b"data"));
    // The same inode number in the next archive is another file.
    let packer = packer.trailer().entry(link("other", b"else"));
    let (tree, outcome) = unpacked(packer);
    assert_eq!(outcome, Ok(()));
    let a = find(&tree, b"a").unwrap();
    assert_eq!((find(&tree, b"b"), find(&tree, b"c")), (Ok(a), Ok(a)));
    assert_eq!(tree.inode(a).nlink, 3);
    assert_eq!(contents(&tree, b"a"), b"data");
    assert_eq!(contents(&tree, b"other"), b"else");

    let first = Packer::default().entry(link("a", b"data")).entry(link("b", b"")).entry(link("a", b""));
    let (tree, _) = unpacked(first);
    assert_eq!(contents(&tree, b"b"), b"data");
    assert_eq!(tree.inode(find(&tree, b"a").unwrap()).nlink, 2);
}

#[test]
fn entries_go_where_links_to_directories_lead() {
    let packer = Packer::default().dir("usr").dir("usr/lib").symlink("lib", "/usr/lib").file("lib/x", b"x");
    let (tree, outcome) = unpacked(packer);
    assert_eq!(outcome, Ok(()));
    assert_eq!(contents(&tree, b"usr/lib/x"), b"x");
}

#[test]
fn special_files_keep_their_numbers() {
    let console = Spec { rdev: (5, 1), ..Spec::new("dev/console", 0o020_600, b"") };
    let (tree, outcome) = unpacked(Packer::default().entry(console).entry(Spec::new("odd", 0o000_644, b"")));
    assert_eq!(outcome, Ok(()));
    assert!(matches!(tree.inode(find(&tree, b"dev/console").unwrap()).kind, Kind::Special(5, 1)));
    assert_eq!(find(&tree, b"odd"), Err(Errno::ENOENT));
}

#[test]
fn what_cannot_be_placed_is_an_error_and_the_rest_stays() {
    let (tree, outcome) = unpacked(Packer::default().file("a", b"1").file("../b", b"2"));
    let Err(UnpackError::Entry(offset, Misfit::DotDot)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(offset, Packer::default().file("a", b"1").bytes().len());
    assert_eq!(contents(&tree, b"a"), b"1");

    let long = "n".repeat(256);
    assert_eq!(misfit(Packer::default().file(&long, b"")), Some(Misfit::NameTooLong));
    assert_eq!(misfit(Packer::default().file("f", b"").file("f/g", b"")), Some(Misfit::NotADirectory));
    assert_eq!(misfit(Packer::default().symlink("l", "l").file("l/g", b"")), Some(Misfit::NotADirectory));
    assert_eq!(misfit(Packer::default().file("d/f", b"").file("d", b"")), Some(Misfit::DirectoryInUse));
    assert_eq!(misfit(Packer::default().file("/", b"")), Some(Misfit::DirectoryInUse));
    assert_eq!(misfit(Packer::default().symlink("l", "")), Some(Misfit::BadLink));
    assert_eq!(misfit(Packer::default().symlink("l", &"t".repeat(4096))), Some(Misfit::BadLink));
    assert_eq!(misfit(Packer::default().symlink("l", &"t".repeat(4095))), None);
}

/// Names that collide with each other in every way.
fn name() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("."), Just("")], 0..4)
        .prop_map(|parts| parts.join("/"))
}

proptest! {
    #[test]
    fn any_order_of_entries_leaves_a_sound_tree(
        entries in proptest::collection::vec((name(), 0usize..5, 0u32..3), 0..24),
    ) {
        let mut packer = Packer::default();
        for (name, kind, ino) in &entries {
            let mode = [0o100_644, 0o040_755, 0o120_777, 0o020_600, 0o010_600][*kind];
            let data: &[u8] = [&b"data"[..], b"", b"a/b", b"", b""][*kind];
            packer = packer.entry(Spec { ino: *ino, nlink: 1 + ino, ..Spec::new(name, mode, data) });
        }
        let (mut tree, _) = unpacked(packer);
        tree.sweep();
        for (id, inode) in tree.inodes() {
            let entries = tree.entries(id);
            prop_assert!(entries.is_sorted_by(|x, y| *x.name < *y.name));
            let subdirs = entries.iter().filter(|entry| tree.inode(entry.inode).is_dir());
            let mut count = 0;
            for subdir in subdirs {
                prop_assert!(matches!(tree.inode(subdir.inode).kind, Kind::Dir(_, parent) if parent == id));
                count += 1;
            }
            let names = tree.inodes().flat_map(|(dir, _)| tree.entries(dir)).filter(|e| e.inode == id).count();
            let expected = if inode.is_dir() { 2 + count } else { names };
            prop_assert!(names > 0 || id == ROOT || id == crate::fs::tree::CONSOLE);
            prop_assert_eq!(inode.nlink as usize, expected);
        }
    }
}
