//! What the kernel adds to the initramfs: device nodes where the archive has none, and `/proc` and `/sys`, which
//! take the place of whatever the archive has of their names, as a mount would.

use linux_raw_sys::general as linux;

use crate::errno::{Errno, Result};
use crate::fs::bytes::Bytes;
use crate::fs::file::device::Device;
use crate::fs::generated::{Generated, PROC, folio_sizes};
use crate::fs::tree::constants::CONSTANTS;
use crate::fs::tree::{CONSOLE, Inode, InodeId, Kind, Mount, ROOT, Tree};
use crate::mm::block_policy::BlockSetting;
use crate::mm::folio_stats::{FolioStat, NEVER};
use crate::mm::khugepaged::settings::KhugepagedFile;
use crate::mm::policy::Memory;

/// Adds everything.
///
/// # Errors
/// `ENOMEM`.
pub fn populate(tree: &mut Tree) -> Result<()> {
    let dev = directory(tree, ROOT, b"dev", 0o755, Mount::Root)?;
    add_if_absent(tree, dev, b"console", |_| Ok(CONSOLE))?;
    for (name, device) in Device::NODES {
        add_if_absent(tree, dev, name, |tree| {
            let (major, minor) = device.number();
            tree.add(Inode::new(linux::S_IFCHR | device.permissions(), Kind::Special(major, minor)))
        })?;
    }

    for (name, target) in Device::LINKS {
        add_if_absent(tree, dev, name, |tree| {
            tree.add(Inode::new(linux::S_IFLNK | 0o777, Kind::Symlink(Bytes::Static(target))))
        })?;
    }
    for name in [&b"shm"[..], b"pts"] {
        if tree.child(dev, name).is_none() {
            directory(tree, dev, name, 0o1777, Mount::Root)?;
        }
    }

    let proc_root = directory(tree, ROOT, b"proc", 0o555, Mount::Proc)?;
    tree.proc_root = Some(proc_root);
    for (name, what) in PROC {
        generated(tree, proc_root, name, what)?;
    }
    for (name, kind) in [(&b"self"[..], Kind::ProcSelf), (b"thread-self", Kind::ProcThreadSelf)] {
        let link = Inode::new(linux::S_IFLNK | 0o777, kind).on(Mount::Proc);
        replace(tree, proc_root, name, link)?;
    }

    let mut dir = directory(tree, ROOT, b"sys", 0o555, Mount::Sys)?;
    for name in [&b"kernel"[..], b"mm"] {
        dir = directory(tree, dir, name, 0o755, Mount::Sys)?;
    }
    let swap = directory(tree, dir, b"swap", 0o755, Mount::Sys)?;
    generated(tree, swap, b"size", Generated::SwapSize)?;
    dir = directory(tree, dir, b"transparent_hugepage", 0o755, Mount::Sys)?;
    const POLICIES: [(&[u8], Memory); 2] = [(b"enabled", Memory::Anon), (b"shmem_enabled", Memory::Shared)];
    for (name, memory) in POLICIES {
        generated(tree, dir, name, Generated::FolioPolicy(memory))?;
    }
    for setting in BlockSetting::ALL {
        generated(tree, dir, setting.file(), Generated::BlockPolicy(setting))?;
    }
    generated(tree, dir, b"defrag", Generated::Defrag)?;
    generated(tree, dir, b"use_zero_page", Generated::UseZeroPage)?;
    let khugepaged = directory(tree, dir, b"khugepaged", 0o755, Mount::Sys)?;
    for (name, file) in KhugepagedFile::FILES {
        generated(tree, khugepaged, name.as_bytes(), Generated::Khugepaged(file))?;
    }
    for (name, order) in folio_sizes() {
        let size = directory(tree, dir, name, 0o755, Mount::Sys)?;
        for (name, memory) in POLICIES {
            generated(tree, size, name, Generated::FolioSizePolicy(memory, order))?;
        }
        let stats = directory(tree, size, b"stats", 0o755, Mount::Sys)?;
        for (name, stat) in FolioStat::FILES {
            generated(tree, stats, name.as_bytes(), Generated::FolioStat(stat, order))?;
        }
        for name in NEVER {
            generated(tree, stats, name.as_bytes(), Generated::Constant("0\n"))?;
        }
    }
    for (path, name, text) in CONSTANTS {
        let mount = if path.starts_with("sys") { Mount::Sys } else { Mount::Proc };
        let mut dir = ROOT;
        for part in path.split('/') {
            dir = directory(tree, dir, part.as_bytes(), 0o555, mount)?;
        }
        generated(tree, dir, name.as_bytes(), Generated::Constant(text))?;
    }
    let mut vm = proc_root;
    for name in [&b"sys"[..], b"vm"] {
        vm = directory(tree, vm, name, 0o555, Mount::Proc)?;
    }
    generated(tree, vm, b"drop_caches", Generated::DropCaches)?;
    generated(tree, vm, b"overcommit_kbytes", Generated::OvercommitKbytes)?;
    generated(tree, vm, b"overcommit_memory", Generated::OvercommitMemory)?;
    generated(tree, vm, b"overcommit_ratio", Generated::OvercommitRatio)?;
    tree.sweep();
    Ok(())
}

fn generated(tree: &mut Tree, dir: InodeId, name: &'static [u8], what: Generated) -> Result<()> {
    let mount = tree.inode(dir).mount;
    let inode = Inode::new(linux::S_IFREG | what.permissions(), Kind::Generated(what)).on(mount);
    replace(tree, dir, name, inode)
}

/// Gives `inode` the name, whatever has it now. A directory with entries loses its name with all that is in it.
fn replace(tree: &mut Tree, dir: InodeId, name: &'static [u8], inode: Inode) -> Result<()> {
    let id = tree.add(inode)?;
    tree.rename_over(dir, name, id)
}

/// The directory of this name, replacing anything else. In `/proc` and `/sys` nothing but the kernel's is left.
fn directory(
    tree: &mut Tree,
    dir: InodeId,
    name: &'static [u8],
    permissions: u32,
    mount: Mount,
) -> Result<InodeId> {
    match tree.child(dir, name) {
        Some(id) if tree.inode(id).is_dir() && tree.inode(id).mount == mount => Ok(id),
        _ => {
            let id = tree.add(Inode::dir(permissions).on(mount))?;
            tree.rename_over(dir, name, id)?;
            Ok(id)
        }
    }
}

fn add_if_absent(
    tree: &mut Tree,
    dir: InodeId,
    name: &'static [u8],
    make: impl FnOnce(&mut Tree) -> Result<InodeId>,
) -> Result<()> {
    if tree.child(dir, name).is_some() {
        return Ok(());
    }
    let id = make(tree)?;
    match tree.link(dir, Bytes::Static(name), id) {
        Err(Errno::ENOMEM) => Err(Errno::ENOMEM),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::initramfs::unpack::unpack;
    use crate::fs::testing::{Packer, Spec, World, store};
    use crate::fs::tree::node::Node;
    use crate::fs::tree::walk::walk;
    use crate::mm::frame::MAX_ORDER;

    fn find(tree: &Tree, path: &[u8]) -> Result<InodeId> {
        match walk(tree, &World::default(), Node::ROOT, path, false)? {
            Node::Inode(id) => Ok(id),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_empty_archive_has_devices_proc_and_sys() {
        let mut tree = Tree::new(store()).unwrap();
        populate(&mut tree).unwrap();
        assert_eq!(find(&tree, b"/dev/console"), Ok(CONSOLE));
        assert_eq!(tree.inode(CONSOLE).nlink, 1);
        let null = find(&tree, b"/dev/null").unwrap();
        assert!(matches!(tree.inode(null).kind, Kind::Special(1, 3)));
        let size = find(&tree, b"/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled").unwrap();
        assert!(matches!(
            tree.inode(size).kind,
            Kind::Generated(Generated::FolioSizePolicy(Memory::Anon, MAX_ORDER))
        ));
        assert_eq!(tree.inode(size).mode, 0o100_644);
        assert_eq!(
            tree.entries(find(&tree, b"/sys/kernel/mm/transparent_hugepage").unwrap()).len(),
            9 + MAX_ORDER as usize
        );
        assert!(find(&tree, b"/sys/kernel/mm/transparent_hugepage/refold").is_ok());
        let mode = |name: &str| {
            let path = format!("/sys/kernel/mm/transparent_hugepage/khugepaged/{name}");
            tree.inode(find(&tree, path.as_bytes()).unwrap()).mode & 0o777
        };
        assert_eq!((mode("pages_to_scan"), mode("full_scans")), (0o644, 0o444));
        assert!(find(&tree, b"/proc/sys/vm/overcommit_memory").is_ok());
        assert!(find(&tree, b"/dev/shm").is_ok_and(|id| tree.inode(id).is_dir()));
        assert!(matches!(&tree.inode(find(&tree, b"/dev/stdin").unwrap()).kind, Kind::Symlink(_)));
    }

    #[test]
    fn the_archive_keeps_its_devices_but_not_its_proc() {
        let null = Spec { rdev: (1, 5), ..Spec::new("dev/null", 0o020_600, b"") };
        let archive = Packer::default().entry(null).file("dev/console", b"x").file("proc", b"x");
        let archive = archive.file("sys/kernel", b"x").leak();
        let mut tree = Tree::new(store()).unwrap();
        unpack(&mut tree, archive).unwrap();
        populate(&mut tree).unwrap();
        assert!(matches!(tree.inode(find(&tree, b"dev/null").unwrap()).kind, Kind::Special(1, 5)));
        assert_ne!(find(&tree, b"dev/console"), Ok(CONSOLE));
        assert!(find(&tree, b"proc/vmstat").is_ok());
        assert!(find(&tree, b"sys/kernel/mm/transparent_hugepage/enabled").is_ok());
    }
}
