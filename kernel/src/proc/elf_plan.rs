//! From the headers of an ELF file to a plan of what to map where.
//!
//! A pure function over the file's bytes, which are nobody's friend: every number is checked before it is used, and a
//! file that is not exactly as it should be gets `ENOEXEC`. Loaded are executables for aarch64: fixed (ET_EXEC) or position
//! independent (ET_DYN); those that name a dynamic loader (PT_INTERP) leave the rest to it.
//!
//! ```text
//!   file    [p_offset ........ + p_filesz)
//!   memory  [p_vaddr  ........ + p_filesz | ...... + p_memsz)
//!           |  file-private pages         |   anonymous pages   |     each rounded out to pages
//!                              the rest of this page is zeroed
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use elf::abi;
use elf::endian::LittleEndian;
use elf::file::{Class, FileHeader, parse_ident};
use elf::parse::{ParsingIterator, ParsingTable};
use elf::segment::ProgramHeader;

use super::layout::{EXEC_MAX, EXEC_MIN, PAGE, PIE_BASE};
use crate::errno::{Errno, Result};

const EHDR_BYTES: usize = 64;
const PHDR_BYTES: usize = 56;
/// More program headers than this are refused; linkers write about ten.
const MAX_PHDRS: u16 = 64;

/// One PT_LOAD segment. Addresses are as in memory, the load bias added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// The first byte's address.
    pub vaddr: usize,
    /// Bytes in memory, more than 0.
    pub mem_bytes: usize,
    /// Bytes from the file, at most `mem_bytes`.
    pub file_bytes: usize,
    /// Where they are in the file (bytes); congruent to `vaddr` by the page size.
    pub offset: u64,
    /// May be read.
    pub read: bool,
    /// May be written.
    pub write: bool,
    /// May be executed.
    pub exec: bool,
}

impl Segment {
    /// The first page's address.
    pub fn start(&self) -> usize {
        self.vaddr & !(PAGE - 1)
    }

    /// The end of the pages with bytes from the file: `start()` if there are none.
    pub fn file_end(&self) -> usize {
        match self.file_bytes {
            0 => self.start(),
            bytes => (self.vaddr + bytes).next_multiple_of(PAGE),
        }
    }

    /// The end of all pages.
    pub fn end(&self) -> usize {
        (self.vaddr + self.mem_bytes).next_multiple_of(PAGE)
    }

    /// What has to be zeroed of the last page with bytes from the file: address and length, both in bytes.
    pub fn zero_tail(&self) -> Option<(usize, usize)> {
        let from = self.vaddr + self.file_bytes;
        let zero = self.write && self.mem_bytes > self.file_bytes && from < self.file_end();
        zero.then(|| (from, self.file_end() - from))
    }
}

/// How to load an executable. Segments are in ascending order and share no page.
#[derive(PartialEq, Eq, Debug)]
pub struct LoadPlan {
    /// What to map; at least one.
    pub segments: Vec<Segment>,
    /// The first instruction's address.
    pub entry: usize,
    /// The program headers' address in memory; 0 if no segment contains them.
    pub phdr: usize,
    /// The number of program headers.
    pub phnum: usize,
    /// What was added to all addresses.
    pub bias: usize,
    /// Where in the file the path of the dynamic loader is (bytes), with a NUL behind it; none: it needs none.
    pub interpreter: Option<Range<usize>>,
}

impl LoadPlan {
    /// Reads the headers of an ELF file of `bytes` bytes, which begins with `file`: all of its headers are in that. If it is
    /// position independent, it goes to `base`.
    ///
    /// # Errors
    /// `ENOEXEC`: not an executable of the kind above, or an inconsistent one. `ENOMEM`: no room for the plan.
    pub fn parse_head(file: &[u8], bytes: u64, base: usize) -> Result<LoadPlan> {
        let header = read_header(file).ok_or(Errno::ENOEXEC)?;
        let table = phdr_table(file, &header).ok_or(Errno::ENOEXEC)?;
        let movable = (header.e_type == abi::ET_DYN).then_some(base);
        let (bias, count) = place(table.iter(), movable).ok_or(Errno::ENOEXEC)?;
        let interpreter = interpreter(table.iter(), file.len()).ok_or(Errno::ENOEXEC)?;
        let mut segments = Vec::new();
        segments.try_reserve_exact(count)?;
        let mut phdr = 0;
        for ph in loads(table.iter()) {
            let segment = read_segment(&ph, bytes, bias).ok_or(Errno::ENOEXEC)?;
            if segments.last().is_some_and(|last: &Segment| segment.start() < last.end()) {
                return Err(Errno::ENOEXEC);
            }
            let table_bytes = table.len() * PHDR_BYTES;
            if ph.p_offset <= header.e_phoff
                && header.e_phoff - ph.p_offset + table_bytes as u64 <= ph.p_filesz
            {
                phdr = segment.vaddr + (header.e_phoff - ph.p_offset) as usize;
            }
            segments.push(segment); // reserved above
        }
        let entry = usize::try_from(header.e_entry).ok().and_then(|entry| entry.checked_add(bias));
        let entry = entry.filter(|entry| is_code(&segments, *entry)).ok_or(Errno::ENOEXEC)?;
        Ok(LoadPlan { segments, entry, phdr, phnum: table.len(), bias, interpreter })
    }

    /// As [`parse_head`](Self::parse_head), of a file that is there as a whole.
    ///
    /// # Errors
    /// The same.
    pub fn parse(file: &[u8]) -> Result<LoadPlan> {
        Self::parse_head(file, file.len() as u64, PIE_BASE)
    }

    /// Where the heap begins: the first page after the last segment.
    pub fn brk_start(&self) -> usize {
        self.segments.last().map_or(EXEC_MIN, Segment::end)
    }
}

fn read_header(file: &[u8]) -> Option<FileHeader<LittleEndian>> {
    let ident = file.get(..abi::EI_NIDENT)?;
    let tail = file.get(abi::EI_NIDENT..EHDR_BYTES)?;
    let header = FileHeader::parse_tail(parse_ident::<LittleEndian>(ident).ok()?, tail).ok()?;
    let good = header.class == Class::ELF64
        && header.e_machine == abi::EM_AARCH64
        && matches!(header.e_type, abi::ET_EXEC | abi::ET_DYN)
        && header.version == u32::from(abi::EV_CURRENT)
        && usize::from(header.e_phentsize) == PHDR_BYTES
        && (1..=MAX_PHDRS).contains(&header.e_phnum);
    good.then_some(header)
}

type PhdrTable<'a> = ParsingTable<'a, LittleEndian, ProgramHeader>;
type PhdrIter<'a> = ParsingIterator<'a, LittleEndian, ProgramHeader>;

fn phdr_table<'a>(file: &'a [u8], header: &FileHeader<LittleEndian>) -> Option<PhdrTable<'a>> {
    let start = usize::try_from(header.e_phoff).ok()?;
    let end = start.checked_add(usize::from(header.e_phnum) * PHDR_BYTES)?;
    Some(ParsingTable::new(LittleEndian, Class::ELF64, file.get(start..end)?))
}

/// The segments that are loaded; empty ones occupy nothing.
fn loads(headers: PhdrIter<'_>) -> impl Iterator<Item = ProgramHeader> {
    headers.filter(|ph| ph.p_type == abi::PT_LOAD && (ph.p_memsz != 0 || ph.p_filesz != 0))
}

/// Where the path of the dynamic loader is, if there is one; `None` if that is not in the first `file_len` bytes.
fn interpreter(mut headers: PhdrIter<'_>, file_len: usize) -> Option<Option<Range<usize>>> {
    let Some(ph) = headers.find(|ph| ph.p_type == abi::PT_INTERP) else { return Some(None) };
    let start = usize::try_from(ph.p_offset).ok()?;
    let end = start.checked_add(usize::try_from(ph.p_filesz).ok()?)?;
    (end - start >= 2 && end <= file_len).then_some(Some(start..end))
}

/// The load bias in bytes and the number of segments; `base`: where it goes, if it can go anywhere.
fn place(headers: PhdrIter<'_>, base: Option<usize>) -> Option<(usize, usize)> {
    let (mut count, mut align, mut lowest) = (0, PAGE, u64::MAX);
    for ph in headers {
        match ph.p_type {
            abi::PT_LOAD if ph.p_memsz != 0 || ph.p_filesz != 0 => {
                count += 1;
                lowest = lowest.min(ph.p_vaddr);
                // Linux ignores an alignment that is no power of two (fs/binfmt_elf.c, maximum_alignment).
                match usize::try_from(ph.p_align) {
                    Ok(wanted) if wanted.is_power_of_two() && wanted <= PIE_BASE => align = align.max(wanted),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    if count == 0 {
        return None;
    }
    let Some(base) = base else { return Some((0, count)) };
    // Such files start near 0. One that does not would be biased by less, down to nothing.
    let lowest = usize::try_from(lowest).ok()? & !(align - 1);
    Some(((base & !(align - 1)).checked_sub(lowest)?, count))
}

fn read_segment(ph: &ProgramHeader, file_len: u64, bias: usize) -> Option<Segment> {
    let vaddr = usize::try_from(ph.p_vaddr).ok()?.checked_add(bias)?;
    let mem_bytes = usize::try_from(ph.p_memsz).ok()?;
    let file_bytes = usize::try_from(ph.p_filesz).ok()?;
    let end = vaddr.checked_add(mem_bytes)?;
    let file_end = ph.p_offset.checked_add(ph.p_filesz)?;
    let good = file_bytes <= mem_bytes
        && file_end <= file_len
        && (vaddr as u64).wrapping_sub(ph.p_offset).is_multiple_of(PAGE as u64)
        && vaddr >= EXEC_MIN
        && end <= EXEC_MAX;
    let has = |flag| ph.p_flags & flag != 0;
    good.then_some(Segment {
        vaddr,
        mem_bytes,
        file_bytes,
        offset: ph.p_offset,
        read: has(abi::PF_R),
        write: has(abi::PF_W),
        exec: has(abi::PF_X),
    })
}

fn is_code(segments: &[Segment], entry: usize) -> bool {
    let inside = |s: &Segment| s.exec && entry >= s.vaddr && entry - s.vaddr < s.file_bytes;
    entry.is_multiple_of(4) && segments.iter().any(inside)
}

#[cfg(test)]
mod tests;
