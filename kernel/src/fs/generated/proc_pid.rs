//! The texts of `/proc/<pid>` that are lines of numbers, formatted as Linux does it (proc(5)). Pure: what they tell comes in
//! as arguments.

use core::fmt::Write;

use crate::errno::Result;
use crate::fs::generated::text::{Text, written};

/// Nanoseconds in a tick of the clock that times are told in: there are 100 in a second, for programs (`USER_HZ`).
pub const TICK_NS: u64 = 10_000_000;

/// What `stat` tells of a process.
#[derive(Clone, Copy, Default)]
pub struct Stat<'a> {
    /// Its number.
    pub pid: u32,
    /// Name of its program.
    pub name: &'a [u8],
    /// State letter.
    pub state: char,
    /// Its parent's number.
    pub parent: u32,
    /// Its process group's number.
    pub group: u32,
    /// Its session's number.
    pub session: u32,
    /// The process group in the foreground of its terminal; none: it has no terminal.
    pub foreground: Option<u32>,
    /// Minor faults, those of children, major faults, those of children.
    pub faults: [u64; 4],
    /// CPU time at EL0 and in the kernel, and both of children; in nanoseconds.
    pub times: [u64; 4],
    /// Threads.
    pub threads: u32,
    /// When it was created, in nanoseconds since boot.
    pub started: u64,
    /// Bytes of address space that are mapped.
    pub bytes: u64,
    /// Pages that are there.
    pub rss: u64,
}

/// `stat`: 52 fields. What is not counted reads 0.
///
/// # Errors
/// `ENOMEM`.
pub fn stat(out: &mut Text, stat: &Stat<'_>) -> Result<()> {
    let Stat { pid, state, parent, group, session, foreground, threads, bytes, rss, .. } = *stat;
    let started = stat.started / TICK_NS;
    // The terminal is 4:64 (ttyS0).
    let (terminal, foreground) = foreground.map_or((0, -1), |group| (4 << 8 | 64, i64::from(group)));
    written(write!(out, "{pid} ("))?;
    out.push(stat.name)?;
    // Terminal, its foreground group, flags.
    written(write!(out, ") {state} {parent} {group} {session} {terminal} {foreground} 0 "))?;
    for number in stat.faults.into_iter().chain(stat.times.map(|ns| ns / TICK_NS)) {
        written(write!(out, "{number} "))?;
    }
    // Priority, nice; threads; timer, start; sizes; limit; code, stack, registers, signals, where it waits, exit signal,
    // CPU, real-time, delays, guest times, more addresses, exit status.
    written(write!(out, "20 0 {threads} 0 {started} {bytes} {rss} {} ", u64::MAX))?;
    written(writeln!(out, "0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0"))
}

/// `statm`: sizes in pages: mapped, there, shared, code, 0, data, 0.
///
/// # Errors
/// `ENOMEM`.
pub fn statm(out: &mut Text, (size, rss, shared, code, data): (u64, u64, u64, u64, u64)) -> Result<()> {
    written(writeln!(out, "{size} {rss} {shared} {code} 0 {data} 0"))
}

/// A resource's limits: its name, soft and hard limit (`u64::MAX`: none), and its unit.
pub type Limit = (&'static str, u64, u64, &'static str);

/// `limits`.
///
/// # Errors
/// `ENOMEM`.
pub fn limits(out: &mut Text, limits: impl Iterator<Item = Limit>) -> Result<()> {
    written(writeln!(out, "{:<25} {:<20} {:<20} {:<10}", "Limit", "Soft Limit", "Hard Limit", "Units"))?;
    for (name, soft, hard, unit) in limits {
        written(write!(out, "{name:<25} "))?;
        for limit in [soft, hard] {
            match limit {
                u64::MAX => written(write!(out, "{:<20} ", "unlimited"))?,
                limit => written(write!(out, "{limit:<20} "))?,
            }
        }
        written(writeln!(out, "{unit:<10}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::generated::text::text;
    use std::vec::Vec;

    #[test]
    fn stat_has_all_fields_at_their_places() {
        let process = Stat {
            pid: 7,
            name: b"a (b) c",
            state: 'S',
            parent: 3,
            group: 6,
            session: 5,
            foreground: Some(4),
            faults: [31, 32, 33, 34],
            times: [41, 42, 43, 44].map(|ticks| ticks * TICK_NS + TICK_NS - 1),
            threads: 2,
            started: 55 * TICK_NS,
            bytes: 8192,
            rss: 9,
        };
        let told = text(|out| stat(out, &process));
        assert!(told.starts_with("7 (a (b) c) S 3 6 5 1088 4 0 "), "{told}");
        let without = text(|out| stat(out, &Stat { foreground: None, ..process }));
        assert!(without.starts_with("7 (a (b) c) S 3 6 5 0 -1 0 "), "{without}");
        let rest: Vec<_> = told.rsplit_once(") ").unwrap().1.split_whitespace().collect();
        assert_eq!(rest.len(), 50, "fields 3 to 52 of proc(5)");
        let field = |number: usize| rest[number - 3];
        assert_eq!((field(20), field(23), field(24)), ("2", "8192", "9"));
        assert_eq!([10, 11, 12, 13].map(field), ["31", "32", "33", "34"]);
        assert_eq!([14, 15, 16, 17].map(field), ["41", "42", "43", "44"]);
        assert_eq!((field(22), field(38)), ("55", "17"));
    }

    #[test]
    fn limits_are_columns() {
        let files = ("Max open files", 256, 1024, "files");
        let text =
            text(|out| limits(out, [files, ("Max cpu time", u64::MAX, u64::MAX, "seconds")].into_iter()));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.iter().all(|line| line.len() == 78), "{text}");
        assert_eq!(
            lines[1].split_whitespace().collect::<Vec<_>>(),
            ["Max", "open", "files", "256", "1024", "files"]
        );
        assert!(lines[2].contains("unlimited"));
    }
}
