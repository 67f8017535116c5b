//! The values that arguments get: most of them such that the call could succeed, the others hostile.

use linux_raw_sys::general::*;
use user::sys::memory::{self, page_size};
use user::sys::userfault::REQUESTS;

use crate::arena::Arena;
use crate::filter::Me;
use crate::held::{Held, Sort};
use crate::kind::Kind;
use crate::random::Random;
use crate::scratch::Scratch;
use crate::words::{OPENED, OWN, PROGRAMS};

/// User addresses end here.
const USER_TOP: u64 = 1 << 48;
/// Where nothing is mapped.
const UNMAPPED: u64 = 0x2000_0000_0000;
const KERNEL: u64 = 0xffff_8000_0000_0000;
/// Descriptors in use, about.
const FDS: u64 = 32;

/// Where values come from.
pub struct Values<'a> {
    /// What decides.
    pub random: &'a mut Random,
    /// The worker's mappings.
    pub arena: &'a Arena,
    /// The descriptors it knows.
    pub held: &'a Held,
    /// Room for what is pointed to.
    pub scratch: &'a mut Scratch,
    /// Who calls.
    pub me: Me,
    /// One value in so many is hostile.
    pub tameness: u64,
}

impl Values<'_> {
    /// A value for an argument that is meant to be of this kind.
    pub fn of(&mut self, kind: Kind) -> u64 {
        if self.random.one_in(self.tameness) { self.wild() } else { self.meant(kind) }
    }

    fn meant(&mut self, kind: Kind) -> u64 {
        match kind {
            Kind::Buffer => self.pointer(),
            Kind::Length => self.length(),
            Kind::Page => self.page(),
            Kind::Span => self.span(),
            Kind::Fd => self.fd(),
            Kind::NewOrFd => match self.random.below(2) {
                0 => u64::MAX,
                _ => self.fd(),
            },
            Kind::FdFlags => self.random.pick(&[0x800, 0x800, 0x8_0800, 0, 0x8_0000, 1]),
            Kind::Held(sort) => self.held_as(sort),
            Kind::End if self.random.one_in(3) => self.fd(),
            Kind::End => self.held_as(Sort::Pipe),
            Kind::MonitorRequest => self.random.pick(&REQUESTS) as u64,
            Kind::MonitorRange => self.monitor_range(),
            Kind::IdType => self.random.pick(&[0, 1, 1, 2, 3]),
            Kind::Few => self.random.below(4),
            Kind::Word
            | Kind::Where
            | Kind::Polls
            | Kind::Bits
            | Kind::Event
            | Kind::Interval
            | Kind::Action
            | Kind::Stack
            | Kind::Robust
            | Kind::How
            | Kind::Room => self.structure(kind),
            Kind::AddressSize => self.random.pick(&[16, 16, 7, 8, 110, 2]),
            Kind::ArgsSize => self.random.pick(&[88, 88, 64, 80, 96]),
            Kind::Dir => {
                if self.random.one_in(3) {
                    self.fd()
                } else {
                    AT_FDCWD as u64
                }
            }
            Kind::Path if self.random.one_in(2) => {
                let path = self.random.pick(&OPENED);
                self.scratch.string(path.to_bytes())
            }
            Kind::Path | Kind::OwnPath => self.own_path(),
            Kind::Program => {
                let program = self.random.pick(&PROGRAMS);
                self.scratch.string(program.to_bytes())
            }
            Kind::Strings => self.scratch.strings(self.random),
            Kind::Flags => (0..self.random.below(3)).fold(0, |bits, _| bits | 1 << self.random.below(24)),
            Kind::Small => self.random.below(18),
            Kind::Offset => self.offset(),
            // Most of them do not end who gets them.
            Kind::Signal if self.random.one_in(5) => self.random.below(66),
            Kind::Signal => self.random.pick(&[0, 10, 12, 14, 17, 18, 23, 28]),
            Kind::Pid => self.pid(),
            Kind::Time => self.time(),
            Kind::Vector => self.vector(),
            Kind::Count => self.random.pick(&[1, 2, 3, 4, 4, 0, 8, 1024, 1025]),
            Kind::Prot => self.random.pick(&[3, 3, 3, 1, 0, 7, 5, 2, 3 | 1 << 24]),
            Kind::MapFlags => self.map_flags(),
            Kind::RemapFlags => self.random.pick(&[1, 1, 0, 3, 5, 7, 2, 4]),
            Kind::Advice => self.random.pick(&[
                0, 1, 2, 3, 4, 4, 8, 9, 10, 11, 12, 14, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 25,
                100, 101,
            ]),
            Kind::FutexOp => self.random.below(14) | self.random.pick(&[0, 128, 128, 256, 384]),
            Kind::CloneFlags => self.clone_flags(),
            Kind::CloneArgs => self.clone_args(),
            Kind::Address => self.scratch.address(self.random),
            Kind::Message => self.message(),
            Kind::Request => self.random.pick(&[
                0x5401,
                0x5402,
                0x540b,
                0x540f,
                0x5410,
                0x5413,
                0x541b,
                0x5421,
                0x5450,
                0x5451,
                0x8004_5430,
                0x8901,
                0x8904,
            ]),
            Kind::Process => self.random.pick(&[1, 2, 3, 4, 15, 15, 16, 22, 36, 38, 41, 41, 42, 0x5356_4d41]),
            Kind::Command => self.random.pick(&[
                0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 1024, 1030, 1031, 1032, 1033, 1034, 36, 37, 38,
            ]),
            Kind::WaitFlags => self.random.pick(&[1, 1, 1, 0, 3, 5, 9, 0x4000_0001, 0x0100_0005]),
            Kind::OpenFlags => self.open_flags(),
            Kind::Set => {
                let mut set = self.random.next() & self.random.next();
                if !self.random.one_in(self.tameness) {
                    set &= !(1 << (SIGALRM - 1));
                }
                self.scratch.words(&[set])
            }
            Kind::Clock => match self.random.below(4) {
                // Somebody's CPU time.
                0 => (!(self.pid() as i32) << 3) as u64 | self.random.below(8),
                _ => self.random.below(13).wrapping_sub(1),
            },
            Kind::Mode => self
                .random
                .pick(&[0o644, 0o777, 0, 0o100_644, 0o010_644, 0o020_666, 0o140_777, 0o040_755, 0o060_600]),
            Kind::Device => self.random.pick(&[0x103, 0x105, 0x107, 0x109, 0]),
            Kind::Break => self.program_break(),
            Kind::Family => self.random.pick(&[1, 1, 2, 2, 10, 16, 17]),
            Kind::SocketType => {
                self.random.pick(&[1, 1, 1, 2, 3, 5]) | self.random.pick(&[0, 0x800, 0x8_0000])
            }
            Kind::SetOp => self.random.pick(&[1, 1, 2, 3, 0]),
            Kind::Is(value) => value,
            Kind::Any => {
                if self.random.one_in(2) {
                    self.pointer()
                } else {
                    self.wild()
                }
            }
        }
    }

    /// A value at the edges of what a register can hold.
    pub fn wild(&mut self) -> u64 {
        let near = self.random.below(3).wrapping_sub(1);
        let edge = match self.random.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => 1 << self.random.below(64),
            3 => u64::MAX << self.random.below(64),
            4 => self.random.next(),
            5 => self.random.next() & 0xffff_ffff,
            6 => i64::MAX as u64,
            _ => 1 << 31,
        };
        edge.wrapping_add(near)
    }

    /// Whether the next value is to be odd: by far more often than wholly hostile.
    fn odd(&mut self) -> bool {
        self.random.one_in((self.tameness / 5).max(2))
    }

    pub(crate) fn pointer(&mut self) -> u64 {
        let page = page_size() as u64;
        let [base, bytes] = self.arena.any(self.random).map(|word| word as u64);
        let [none, none_bytes] = self.arena.none.map(|word| word as u64);
        if !self.odd() {
            return match self.random.below(8) {
                0 => self.scratch.word(self.random),
                1 => self.scratch.random_words(self.random),
                2 => self.arena.private[0] as u64 + (self.random.below(64) << 3),
                _ => base + (self.random.below(bytes) & !15),
            };
        }
        match self.random.below(13) {
            0 => 0,
            1 => self.random.below(page),
            2 => UNMAPPED + self.random.below(1 << 30),
            3 => KERNEL | self.random.next() >> 17,
            4 => USER_TOP - self.random.below(2 * page),
            5 => self.random.next(),
            6 => none + self.random.below(none_bytes),
            7 | 8 => base + bytes - self.random.below(64),
            9 | 10 => base + (self.random.below(bytes) & !(page - 1)) + page - self.random.below(32),
            11 => base + self.random.below(bytes),
            _ => (self.arena.read_only[0] as u64) + self.random.below(page),
        }
    }

    pub(crate) fn length(&mut self) -> u64 {
        let page = page_size() as u64;
        match self.random.below(16) {
            0 => 0,
            1 => 1,
            2 if self.odd() => self.wild(),
            3 => self.random.below(4 << 20),
            4 => page - 1 + self.random.below(3),
            5 | 6 => self.random.below(8 * page),
            _ => self.random.below(256),
        }
    }

    pub(crate) fn page(&mut self) -> u64 {
        let [base, bytes] = self.arena.any(self.random).map(|word| word as u64);
        match self.random.below(8) {
            0 if self.odd() => self.pointer(),
            1 if self.odd() => USER_TOP - page_size() as u64,
            2 if self.odd() => UNMAPPED,
            3 if self.odd() => 0,
            4 => base,
            _ => base + (self.random.below(bytes) & !(page_size() as u64 - 1)),
        }
    }

    pub(crate) fn span(&mut self) -> u64 {
        let page = page_size() as u64;
        match self.random.below(20) {
            0 => self.length(),
            1 => 64 << 20,
            2 => 2 << 20,
            3 => self.random.below(512) * page,
            4 if self.odd() => self.wild(),
            5..9 => 16 * page,
            _ => (1 + self.random.below(20)) * page,
        }
    }

    pub(crate) fn fd(&mut self) -> u64 {
        if !self.odd()
            && let Some(fd) = self.held.any(self.random)
        {
            return fd;
        }
        match self.random.below(8) {
            0 => u64::MAX,
            1 => 1 << self.random.below(33),
            2 => 1023 + self.random.below(3),
            _ => self.random.below(FDS),
        }
    }

    /// A little beyond where it is, or below, or somewhere.
    fn program_break(&mut self) -> u64 {
        // SAFETY: an address that low changes nothing, and is answered with where it is.
        let now = unsafe { memory::brk(0) } as u64;
        match self.random.below(8) {
            0 => self.pointer() & 0xffff_ffff,
            1 => 0,
            2 => now.wrapping_sub(self.random.below(32 * page_size() as u64)),
            _ => now + self.random.below(32 * page_size() as u64),
        }
    }

    fn own_path(&mut self) -> u64 {
        match self.random.below(24) {
            0 => self.pointer(),
            1 => self.scratch.long_name(self.random),
            _ => {
                let name = self.random.pick(&OWN);
                self.scratch.string(name.to_bytes())
            }
        }
    }

    /// Something of a sort, or anything open.
    pub(crate) fn held_as(&mut self, sort: Sort) -> u64 {
        match self.held.one(sort, self.random) {
            Some(fd) if !self.random.one_in(8) => fd,
            _ => self.fd(),
        }
    }

    pub(crate) fn offset(&mut self) -> u64 {
        let page = page_size() as u64;
        match self.random.below(12) {
            0 if self.odd() => self.wild(),
            1 if self.odd() => i64::MAX as u64 - self.random.below(2 * page),
            2 => self.random.below(64 << 20),
            3..7 => self.random.below(64) * page,
            _ => self.random.below(8 * page),
        }
    }

    pub(crate) fn pid(&mut self) -> u64 {
        let me = self.me;
        let pid = self.random.pick(&[
            me.pid,
            me.pid,
            me.tid,
            me.child,
            me.child,
            0,
            -1,
            -me.pid,
            i32::MIN,
            9_999_999,
        ]);
        pid as u64
    }
}
