//! Everything that is printed, and the memory of what the summary says.

use user::sys::memory::page_size;
use user::sys::time::kernel_name;
use user::text::Text;
use user::{print, println, probe};

use crate::bench::{Failure, Window};
use crate::clock::Clock;
use crate::folio::Folio;
use crate::json;
use crate::ops::check::Folded;
use crate::options::Options;
use crate::row::{Milli, Row};
use crate::table;

/// The operations whose per-page figures the summary repeats.
const SUMMARY: [(&str, &str); 5] = [
    ("fork", "fork"),
    ("exit", "child exit"),
    ("populate", "populate"),
    ("cow_reuse", "COW reuse"),
    ("cow_copy", "COW copy"),
];

/// The printer.
pub struct Report {
    json: bool,
    quiet: bool,
    progress: bool,
    unit: &'static str,
    titles_due: bool,
    failures: u32,
    summary: [Text<120>; SUMMARY.len()],
}

impl Report {
    /// Prints what holds for the whole run.
    pub fn new(options: &Options, clock: &Clock) -> Self {
        let pleat = probe::is_pleat();
        // Pleat calls itself Linux where programs ask, so that they run; people want to know.
        let prefix = if pleat { "Pleat, as " } else { "" };
        let kernel = Text::<160>::format(format_args!("{prefix}{}", kernel_name()));
        let batch = pleat.then(|| probe::batching().ok()).flatten();
        let unit = clock.unit();
        if options.json {
            let (region_mib, reps) = (options.mib, options.reps);
            println!("{}", json::Header { kernel: kernel.as_str(), batch, unit, region_mib, reps });
        }
        if !options.quiet {
            let batching = match batch {
                Some(true) => "batching on",
                Some(false) => "batching OFF (pleat.batch=off)",
                None => "batching: the kernel does not say",
            };
            println!(
                "Fork storm on {kernel}: {} MiB region, minimum of {} repetitions",
                options.mib, options.reps
            );
            println!("Counting {clock}; {batching}");
            println!(
                "Per page: without the fixed cost of fork and exit. PTE stores, TLBIs, ... over the whole window."
            );
        }
        Report {
            json: options.json,
            quiet: options.quiet,
            progress: options.progress,
            unit,
            titles_due: true,
            failures: 0,
            summary: [Text::new(); SUMMARY.len()],
        }
    }

    /// Prints a measurement.
    pub fn row(&mut self, row: &Row) {
        self.clear_progress();
        if !self.quiet {
            if self.titles_due {
                println!("{}", table::Titles { unit: self.unit });
                self.titles_due = false;
            }
            println!("{}", table::Line(row));
            if let Some(percent) = row.contpte {
                println!("      {:<15} {percent} % of the region contpte-mapped", "");
            }
        }
        if self.json {
            println!("{}", json::Line { row, unit: self.unit });
        }
        for ((op, _), line) in SUMMARY.iter().zip(&mut self.summary) {
            if *op == row.op {
                let milli = (row.per_page_milli() + 50).div_euclid(100) * 100;
                let text = Text::<32>::format(format_args!("{}", Milli(milli)));
                let figure = text.as_str().trim_end_matches("00");
                let comma = if line.as_str().is_empty() { "" } else { ", " };
                *line = Text::format(format_args!("{line}{comma}{} {figure}", row.folio));
            }
        }
    }

    /// Prints what is being measured, to be overwritten by what comes next.
    pub fn progress(&self, folio: Folio, what: &str) {
        if self.progress {
            print!("\r\x1b[K[{} folios] {what} ...", folio);
        }
    }

    /// Prints the line that says what a size's check found. With batching on, no block may be unfolded by fork.
    pub fn folded(&mut self, folio: Folio, blocks: u64, folded: &Folded, fork: Option<&Window>) {
        self.clear_progress();
        let Folded { before, parent, child } = folded;
        if !self.quiet {
            print!(
                "{folio:>5} data intact; of {blocks} blocks folded: {before} before fork, {parent} in the parent"
            );
            print!(" after it, {child} in the child");
            if let Some(events) = fork.map(|fork| &fork.events) {
                let get = |name| events.get(name).unwrap_or(0);
                let flushes = get("tlbi_asid");
                let plural = if flushes == 1 { "" } else { "es" };
                print!("; fork: {} unfolded, {flushes} ASID flush{plural}", get("contpte_unfold"));
            }
            println!();
        }
        let unfolded = fork.and_then(|fork| fork.events.get("contpte_unfold")).unwrap_or(0);
        let batching = probe::batching().unwrap_or(true);
        if batching && (unfolded != 0 || parent < before || child < before) {
            self.failure(folio, &Failure { what: "fork unfolded blocks", errno: None });
        }
        self.titles_due = false;
    }

    /// Prints how much of the region is still mapped by contpte blocks after `rounds` of forks and writes.
    pub fn kept(&mut self, folio: Folio, rounds: u64, percent: Milli) {
        self.note(format_args!(
            "{folio:>5} after {rounds} rounds of forks and writes {percent} % contpte-mapped"
        ));
        self.titles_due = false;
    }

    /// Prints a line for people.
    pub fn note(&mut self, text: core::fmt::Arguments<'_>) {
        self.clear_progress();
        if !self.quiet {
            println!("{text}");
        }
    }

    /// Prints what went wrong; the exit status remembers. Not silenced by `--quiet`.
    pub fn failure(&mut self, folio: Folio, failure: &Failure) {
        self.clear_progress();
        self.failures += 1;
        match failure.errno {
            Some(errno) => {
                println!("storm: FAILED with {} folios: {}: {errno}", folio, failure.what)
            }
            None => println!("storm: FAILED with {} folios: {}", folio, failure.what),
        }
    }

    /// Prints the summary and returns the exit status: 1 if anything failed.
    pub fn finish(&mut self) -> i32 {
        self.clear_progress();
        if !self.quiet {
            for ((_, name), line) in SUMMARY.iter().zip(&self.summary) {
                if !line.as_str().is_empty() {
                    let page = page_size() >> 10;
                    println!("{name}, {} per {page} KiB page by folio size: {line}", self.unit);
                }
            }
        }
        match self.failures {
            0 if self.quiet => {}
            0 => println!("storm: done, all checks passed"),
            n => println!("storm: {n} FAILED"),
        }
        i32::from(self.failures != 0)
    }

    fn clear_progress(&self) {
        if self.progress {
            print!("\r\x1b[K");
        }
    }
}
