//! What the unit tests of `fs` share: a cpio packer, a kernel to run in, and a caller's memory.

use core::fmt::Write;
use core::sync::atomic::{AtomicU32, Ordering};
use std::vec::Vec;

use paging::{PAGE_SIZE, Pfn};
use spin::Mutex;

use super::environment::{Environment, Processes};
use super::file::OpenFile;
use super::generated::{Generated, ProcessLink};
use super::transfer::Transfer;
use super::tree::Tree;
use crate::errno::{Errno, Result};
use crate::fs::channel::pinned::{Fragment, Handover, Pins};
use crate::fs::generated::text::{Text, written};
use crate::fs::initramfs::unpack::unpack;
use crate::fs::tree::builtin::populate;
use crate::fs::tree::contents::Store;
use crate::fs::tree::node::Node;
use crate::fs::tree::place::Fs;
use crate::mm::block_policy::{BlockPolicy, BlockSetting};
use crate::mm::policy::{self, Setting};
use crate::mm::testing::{HostMachine, machine};
use crate::mm::{Mm, Object};
use crate::util::Ref;

/// Writes newc entries one behind the other.
#[derive(Default)]
pub struct Packer {
    bytes: Vec<u8>,
}

/// The fields of an entry that tests vary.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    pub name: &'a str,
    pub mode: u32,
    pub ino: u32,
    pub nlink: u32,
    pub rdev: (u32, u32),
    pub data: &'a [u8],
}

impl<'a> Spec<'a> {
    pub fn new(name: &'a str, mode: u32, data: &'a [u8]) -> Self {
        Spec { name, mode, ino: 0, nlink: 1, rdev: (0, 0), data }
    }
}

impl Packer {
    pub fn entry(mut self, spec: Spec<'_>) -> Self {
        self.raw("070701", spec, 0);
        self
    }

    pub fn checked(mut self, spec: Spec<'_>, check: u32) -> Self {
        self.raw("070702", spec, check);
        self
    }

    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(Spec::new(name, 0o100_755, data))
    }

    pub fn dir(self, name: &str) -> Self {
        self.entry(Spec::new(name, 0o040_755, b""))
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(Spec::new(name, 0o120_777, target.as_bytes()))
    }

    pub fn trailer(self) -> Self {
        self.entry(Spec::new("TRAILER!!!", 0, b""))
    }

    pub fn zeros(mut self, count: usize) -> Self {
        self.bytes.resize(self.bytes.len() + count, 0);
        self
    }

    pub fn bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// The archive with its trailer, as long-lived as an initramfs is.
    pub fn leak(self) -> &'static [u8] {
        self.trailer().bytes().leak()
    }

    fn raw(&mut self, magic: &str, spec: Spec<'_>, check: u32) {
        let Spec { name, mode, ino, nlink, rdev, data } = spec;
        let (size, name_size) = (data.len() as u32, name.len() as u32 + 1);
        self.bytes.extend(magic.bytes());
        for field in [ino, mode, 0, 0, nlink, 9, size, 1, 2, rdev.0, rdev.1, name_size, check] {
            self.bytes.extend(format!("{field:08X}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(data);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

// SAFETY: each test uses the machine that its own thread made, and from no other thread.
unsafe impl Sync for HostMachine {}

std::thread_local! {
    static MEMORY: &'static Mm<HostMachine> = std::boxed::Box::leak(std::boxed::Box::new(machine()));
}

/// The memory that this test's files are in.
pub fn memory() -> &'static Mm<HostMachine> {
    MEMORY.with(|memory| *memory)
}

/// As above, as files see it.
pub fn store() -> &'static dyn Store {
    memory()
}

/// A tree with these files besides the kernel's own.
pub fn tree(files: Packer) -> Tree {
    let mut tree = Tree::new(store()).unwrap();
    unpack(&mut tree, files.leak()).unwrap();
    populate(&mut tree).unwrap();
    tree
}

/// Such a tree, shared.
pub fn shared(files: Packer) -> &'static Fs {
    std::boxed::Box::leak(std::boxed::Box::new(Fs::new(tree(files))))
}

/// A kernel of nothing but what files see of it.
#[derive(Default)]
pub struct World {
    pub pid: u32,
    pub signals: Mutex<Vec<u8>>,
    pub pids: Vec<u32>,
    pub console: Mutex<Vec<u8>>,
    /// What the console reads.
    pub typed: Mutex<Vec<u8>>,
    /// How often contents were generated.
    pub generated: AtomicU32,
    pub sigpipes: AtomicU32,
    /// How often a long transfer let others run.
    pub breaths: AtomicU32,
    /// Long transfers end early.
    pub killed: bool,
    pub policy: Mutex<Option<(policy::Memory, Option<u8>, Setting)>>,
    pub blocks: BlockPolicy,
    /// What descriptor 5 of every process stands for.
    pub open: Option<Ref<OpenFile>>,
    /// Pages that were to be unmapped.
    pub unmapped: Mutex<Vec<core::ops::Range<u64>>>,
    /// The time now; each look at it takes a nanosecond.
    pub time: AtomicU32,
}

impl World {
    /// Words of every process's `pagemap`, each its own number.
    pub const PAGEMAP_WORDS: u64 = 1 << 36;
}

impl Processes for World {
    fn current_pid(&self) -> u32 {
        self.pid
    }

    fn next_pid(&self, from: u32) -> Option<u32> {
        self.pids.iter().copied().filter(|pid| *pid >= from).min()
    }

    fn current_thread(&self) -> u32 {
        self.pid
    }

    fn next_thread(&self, pid: u32, from: u32) -> Option<u32> {
        (self.pids.contains(&pid) && from <= pid).then_some(pid)
    }

    fn next_fd(&self, pid: u32, from: u32) -> Option<u32> {
        [0, 5].into_iter().find(|fd| *fd >= from).filter(|_| self.pids.contains(&pid))
    }

    fn descriptor(&self, pid: u32, fd: u32) -> Option<Option<Node>> {
        match fd {
            _ if !self.pids.contains(&pid) => None,
            0 => Some(Some(Node::ROOT)),
            5 => Some(self.open.as_ref().and_then(|file| file.node())),
            _ => None,
        }
    }

    fn describe(&self, _pid: u32, _fd: u32, out: &mut Text) -> Result<()> {
        self.open.as_ref().ok_or(Errno::ENOENT)?.describe(out)
    }

    fn link(&self, pid: u32, _link: ProcessLink) -> Option<Node> {
        self.pids.contains(&pid).then_some(Node::ROOT)
    }
}

impl Environment for World {
    fn generate(&self, what: Generated, out: &mut Text) -> Result<()> {
        let count = self.generated.fetch_add(1, Ordering::Relaxed);
        match what {
            Generated::Process(pid, _) if !self.pids.contains(&pid) => Err(Errno::ESRCH),
            _ => written(writeln!(out, "{what:?} {count}")),
        }
    }

    fn set_folio_policy(&self, memory: policy::Memory, order: Option<u8>, setting: Setting) -> Result<()> {
        *self.policy.lock() = Some((memory, order, setting));
        Ok(())
    }

    fn set_block_policy(&self, setting: BlockSetting, text: &[u8]) -> Result<()> {
        self.blocks.set(setting, text).map_err(|_| Errno::EINVAL)
    }

    fn set(&self, what: Generated, text: &[u8]) -> Result<()> {
        match what {
            Generated::SwapSize if text == b"4M" => Ok(()),
            Generated::SwapSize => Err(Errno::EINVAL),
            _ => Err(Errno::EBADF),
        }
    }

    fn words(&self, what: Generated, first: u64, out: &mut [u64]) -> Result<usize> {
        if matches!(what, Generated::Process(pid, _) if !self.pids.contains(&pid)) {
            return Err(Errno::ESRCH);
        }
        let count = (out.len() as u64).min(World::PAGEMAP_WORDS.saturating_sub(first)) as usize;
        (first..).zip(&mut out[..count]).for_each(|(number, word)| *word = number);
        Ok(count)
    }

    fn now(&self) -> u64 {
        self.time.fetch_add(1, Ordering::Relaxed).into()
    }

    fn open_file(&self, pid: u32, fd: u32) -> Option<Ref<OpenFile>> {
        if fd == 5 && self.pids.contains(&pid) { self.open.clone() } else { None }
    }

    fn unmap(&self, _object: &Ref<Object>, pages: core::ops::Range<u64>) {
        self.unmapped.lock().push(pages);
    }

    fn may_be_written(&self, _object: &Ref<Object>) -> bool {
        false
    }

    fn console_write(&self, bytes: &[u8]) {
        self.console.lock().extend(bytes);
    }

    fn console_read(&self, to: &mut [u8], nonblocking: bool) -> Result<usize> {
        let mut typed = self.typed.lock();
        if typed.is_empty() && nonblocking {
            return Err(Errno::EAGAIN);
        }
        let count = to.len().min(typed.len());
        to[..count].copy_from_slice(&typed[..count]);
        typed.drain(..count);
        Ok(count)
    }

    fn random(&self, to: &mut [u8]) {
        to.fill(0xa5);
    }

    fn breathe(&self) -> Result<()> {
        self.breaths.fetch_add(1, Ordering::Relaxed);
        if self.killed { Err(Errno::EINTR) } else { Ok(()) }
    }

    fn sleep_until(&self, _wake_at: u64) -> Result<()> {
        Ok(())
    }

    fn take_signal(&self, set: u64, _nonblocking: bool) -> Result<[u8; 128]> {
        let mut signals = self.signals.lock();
        let at = signals.iter().position(|signal| set & 1 << (signal - 1) != 0).ok_or(Errno::EAGAIN)?;
        let mut record = [0; 128];
        record[0] = signals.remove(at);
        Ok(record)
    }

    fn raise_sigpipe(&self) {
        self.sigpipes.fetch_add(1, Ordering::Relaxed);
    }
}

/// A caller's memory, of which bytes from `fault_at` on are not there.
pub struct Memory {
    pub bytes: Vec<u8>,
    pub at: usize,
    pub fault_at: usize,
}

impl Memory {
    pub fn of(bytes: &[u8]) -> Self {
        Memory { bytes: bytes.to_vec(), at: 0, fault_at: usize::MAX }
    }

    pub fn sized(len: usize) -> Self {
        Memory::of(&vec![0xee; len])
    }

    pub fn faulting(self, fault_at: usize) -> Self {
        Memory { fault_at, ..self }
    }

    /// What was moved so far.
    pub fn moved(&self) -> &[u8] {
        &self.bytes[..self.at]
    }

    fn step(&mut self, wanted: usize) -> core::ops::Range<usize> {
        let end = (self.at + wanted).min(self.bytes.len()).min(self.fault_at.max(self.at));
        core::mem::replace(&mut self.at, end)..end
    }
}

impl Transfer for Memory {
    fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn put(&mut self, from: &[u8]) -> usize {
        let range = self.step(from.len());
        let count = range.len();
        self.bytes[range].copy_from_slice(&from[..count]);
        count
    }

    fn take(&mut self, to: &mut [u8]) -> usize {
        let range = self.step(to.len());
        let count = range.len();
        to[..count].copy_from_slice(&self.bytes[range]);
        count
    }
}

/// Pinned frames and their contents: each byte is its index plus the frame's seed.
#[derive(Default)]
pub struct Frames {
    /// By frame number: the seed, and how often it is pinned.
    frames: Mutex<Vec<(u8, usize)>>,
}

impl Frames {
    /// No frames; they last as long as the test's process.
    pub fn leak() -> &'static Frames {
        std::boxed::Box::leak(std::boxed::Box::default())
    }

    /// One more frame, not pinned yet.
    pub fn page(&self, seed: u8) -> Pfn {
        let mut frames = self.frames.lock();
        frames.push((seed, 0));
        Pfn::new(frames.len() as u64 - 1)
    }

    /// Changes what a frame holds.
    pub fn write(&self, frame: Pfn, seed: u8) {
        self.frames.lock()[frame.get() as usize].0 = seed;
    }

    /// What a frame holds.
    pub fn contents(&self, frame: Pfn) -> Vec<u8> {
        let seed = self.frames.lock()[frame.get() as usize].0;
        (0..PAGE_SIZE as usize).map(|index| seed.wrapping_add(index as u8)).collect()
    }

    /// Pins a frame for some bytes of it.
    pub fn fragment(&'static self, frame: Pfn, offset: usize, bytes: usize) -> Fragment {
        self.frames.lock()[frame.get() as usize].1 += 1;
        Fragment::new(frame, self, offset, bytes)
    }

    /// Pins of all frames.
    pub fn pinned(&self) -> usize {
        self.frames.lock().iter().map(|(_, pins)| pins).sum()
    }
}

impl Pins for Frames {
    fn read(&self, frame: Pfn, offset: usize, to: &mut [u8]) {
        let len = to.len();
        assert!(self.frames.lock()[frame.get() as usize].1 > 0, "read after unpin");
        to.copy_from_slice(&self.contents(frame)[offset..offset + len]);
    }

    fn unpin(&self, frame: Pfn) {
        self.frames.lock()[frame.get() as usize].1 -= 1;
    }
}

/// A caller's memory in pages that can be handed over, of which those from number `fault_at` on cannot.
pub struct Lent {
    pub frames: &'static Frames,
    pub pages: Vec<Pfn>,
    /// The bytes not handed over yet, counted from the start of the first page.
    pub bytes: core::ops::Range<usize>,
    pub fault_at: usize,
}

impl Lent {
    /// `bytes` of as many fresh pages as that takes, the first of them with the seed 0, the next 1, and so on.
    pub fn new(frames: &'static Frames, bytes: core::ops::Range<usize>) -> Self {
        let pages = (0..bytes.end.div_ceil(PAGE_SIZE as usize)).map(|seed| frames.page(seed as u8)).collect();
        Lent { frames, pages, bytes, fault_at: usize::MAX }
    }
}

impl Handover for Lent {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn pin(&mut self, to: &mut [Option<Fragment>]) -> Result<usize> {
        let (mut at, mut count) = (self.bytes.start, 0);
        while at < self.bytes.end && count < to.len() {
            let (page, offset) = (at / PAGE_SIZE as usize, at % PAGE_SIZE as usize);
            if page >= self.fault_at {
                break;
            }
            let bytes = (PAGE_SIZE as usize - offset).min(self.bytes.end - at);
            to[count] = Some(self.frames.fragment(self.pages[page], offset, bytes));
            (at, count) = (at + bytes, count + 1);
        }
        if count == 0 { Err(Errno::EFAULT) } else { Ok(count) }
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.start += bytes;
    }
}
