//! `storm`: what fork and its surroundings cost, per folio size, in instructions per page and in events.
//!
//! For each folio size the program populates a private anonymous region and measures, over it: the first writes, fork
//! as the parent sees it, the child's exit, a second fork without writes between, COW writes with the child gone and
//! alive and in the child, munmap, mprotect both ways, a fork after a page of each block was forgotten, many children
//! alive at once, and a storm of forks. Fork and exit are first measured without the region; those fixed costs are
//! subtracted from the per-page figures. Once, whatever the folios: fork with many small mappings, and the life of a
//! small process with and without exec. Each figure is the minimum over the
//! repetitions, with the kernel's event counts (`/proc/vmstat`) of that same repetition beside it.
//!
//! A *window* is what lies between two readings of the counter. `/proc/vmstat` is read outside of the timed part but
//! next to it, into shared memory. After a fork the program settles (runs an empty window) before it measures
//! anything, so that COW faults on its own stack fall outside. The child of a timed fork blocks on a pipe before it
//! does anything that counts; the kernel is expected to return to the parent first (Pleat does; on Linux SCHED_FIFO
//! with reset-on-fork sees to it).
//!
//! The modules: [`options`], [`row`], [`table`] and [`json`] are pure and tested on the host; [`clock`],
//! [`shared`], [`region`] and [`bench`] are the instruments; [`ops`] measures; [`report`] prints.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(any(test, target_os = "none"))]
mod folio;
#[cfg(any(test, target_os = "none"))]
mod json;
#[cfg(any(test, target_os = "none"))]
mod options;
#[cfg(any(test, target_os = "none"))]
mod row;
#[cfg(any(test, target_os = "none"))]
mod table;

#[cfg(target_os = "none")]
mod bench;
#[cfg(target_os = "none")]
mod clock;
#[cfg(target_os = "none")]
mod ops;
#[cfg(target_os = "none")]
mod region;
#[cfg(target_os = "none")]
mod report;
#[cfg(target_os = "none")]
mod run;
#[cfg(target_os = "none")]
mod shared;

#[cfg(target_os = "none")]
user::entry!(run::main);

#[cfg(all(not(target_os = "none"), not(test)))]
fn main() {
    eprintln!("storm: built for the host; it runs on aarch64 only");
}
