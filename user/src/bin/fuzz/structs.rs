//! Arguments that point to structures, which mostly make sense.

use linux_raw_sys::general::*;
use user::sys::memory::page_size;

use crate::handlers;
use crate::held::Sort;
use crate::kind::Kind;
use crate::values::Values;

impl Values<'_> {
    /// A structure of this kind, or what takes its place.
    pub(crate) fn structure(&mut self, kind: Kind) -> u64 {
        if self.random.one_in(self.tameness) {
            return self.pointer();
        }
        match kind {
            Kind::Word => self.word(),
            Kind::Where if self.random.one_in(3) => {
                let offset = self.offset();
                self.scratch.words(&[offset])
            }
            Kind::Polls => {
                let polls = core::array::from_fn::<_, 4, _>(|_| {
                    self.fd() & 0xffff_ffff | self.random.below(64) << 32
                });
                self.scratch.words(&polls)
            }
            Kind::Bits if self.random.one_in(2) => {
                let set = 1 << (self.fd() % 64) | 1 << self.random.below(32);
                self.scratch.words(&[set])
            }
            Kind::Event => {
                let events = self.random.pick(&[1, 4, 5, 0x8000_0001, 0x4000_0001, 0x2000, 0x1000_0001]);
                self.scratch.words(&[events, self.random.next()])
            }
            Kind::Interval => {
                let (interval, first) = (self.random.below(2000), self.random.below(2000));
                self.scratch.words(&[0, interval, 0, first])
            }
            Kind::Action if !self.random.one_in(4) => {
                let handler = self.random.pick(&[0, 1, handlers::address(), handlers::address()]);
                let flags = self.random.pick(&[0, 4, SA_RESTART, SA_ONSTACK, SA_NODEFER, SA_RESETHAND, 1, 2]);
                let mask = self.random.next() & self.random.next() & self.random.next();
                self.scratch.words(&[handler, u64::from(flags) | 4, 0, mask])
            }
            Kind::Stack if !self.random.one_in(4) => {
                let base = self.arena.private[0] as u64 + self.random.below(16) * page_size() as u64;
                let flags = self.random.pick(&[0, 0, 0, 2, 1 << 31]);
                let bytes = self.random.pick(&[0x4000, 0x8000, 0x1_0000, 2047]);
                self.scratch.words(&[base, flags, bytes])
            }
            Kind::Robust => {
                // A list with two entries, the second of which may be the head, an entry, or anything.
                let offset = self.random.pick(&[8, 8, 16, 0u64.wrapping_sub(8)]);
                let second = self.pointer();
                let entries = self.scratch.words(&[second, u64::from(self.me.tid as u32)]);
                let pending = if self.random.one_in(2) { 0 } else { self.word() };
                self.scratch.words(&[entries, offset, pending])
            }
            Kind::How => {
                let (flags, resolve) = (self.open_flags(), self.random.below(32));
                let mode = if flags & u64::from(O_CREAT) != 0 { 0o644 } else { 0 };
                self.scratch.words(&[flags, mode, resolve])
            }
            Kind::Room => {
                let room = self.length();
                self.scratch.words(&[room])
            }
            _ => 0,
        }
    }

    /// `{start, len, mode}`, or as UFFDIO_COPY has it, `{start, source, len, mode}`.
    pub(crate) fn monitor_range(&mut self) -> u64 {
        let (start, len) = (self.page(), self.span());
        let mode = self.random.pick(&[0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 7, 8]);
        let words = match self.random.below(12) {
            0 => return self.pointer(),
            1..6 => [start, self.pointer(), len, mode, 0],
            6 => [0xaa, self.wild(), 0, 0, 0],
            _ => [start, len, mode, 0, 0],
        };
        self.scratch.words(&words)
    }

    /// Aligned, and likely to be used by somebody else as well.
    fn word(&mut self) -> u64 {
        let [base, _] = self.random.pick(&[self.arena.private, self.arena.shared, self.arena.file]);
        base as u64 + (self.random.below(4) << 2) + self.random.below(2) * page_size() as u64
    }

    /// Mostly short, so that waiting does not take all the time.
    pub(crate) fn time(&mut self) -> u64 {
        let words = match self.random.below(12) {
            0 => [self.wild(), self.wild()],
            1 => [0, 1_000_000_000],
            2 => return self.pointer(),
            _ => [0, self.random.below(300_000)],
        };
        self.scratch.words(&[words[0], words[1], words[0], words[1]])
    }

    pub(crate) fn vector(&mut self) -> u64 {
        if self.random.one_in(12) {
            return self.pointer();
        }
        let mut words = [0; 16];
        for pair in words.chunks_mut(2) {
            pair[0] = self.pointer();
            pair[1] = self.length();
        }
        self.scratch.words(&words)
    }

    pub(crate) fn message(&mut self) -> u64 {
        let (name, vector) = (self.scratch.address(self.random), self.vector());
        let (name, bytes) = if self.random.one_in(2) { (0, 0) } else { (name, self.random.below(130)) };
        let [control, control_bytes] = self.control();
        let words = [name, bytes, vector, self.random.below(8), control, control_bytes, 0];
        self.scratch.words(&words)
    }

    pub(crate) fn clone_args(&mut self) -> u64 {
        let flags = self.clone_flags() & !0xff & !u64::from(CLONE_VM | CLONE_VFORK);
        let [pidfd, child, parent] = [self.pointer(), self.pointer(), self.pointer()];
        let words = [flags, pidfd, child, parent, self.random.pick(&[17, 0, 9, 99]), 0, 0, 0, 0, 0, 0];
        self.scratch.words(&words)
    }

    /// The control part of a message: descriptors to pass on. Its address and length.
    fn control(&mut self) -> [u64; 2] {
        /// Linux: SOL_SOCKET, SCM_RIGHTS.
        const RIGHTS: u64 = 1 | 1 << 32;
        match self.random.below(4) {
            0 => [self.pointer(), self.length()],
            1 | 2 => {
                let count = 1 + self.random.below(4);
                let mut words = [16 + 4 * count, RIGHTS, 0, 0];
                for word in &mut words[2..] {
                    let own = self.held_as(Sort::Socket);
                    *word = self.fd() & 0xffff_ffff | own << 32;
                }
                [self.scratch.words(&words), 16 + 4 * count]
            }
            _ => [0; 2],
        }
    }
}
