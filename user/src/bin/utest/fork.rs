//! Fork and copy-on-write, as the policy happens to be; [`folios`](crate::folios) repeats the main ones per size.

use user::rt::start::Args;
use user::sys::memory::{PRIVATE, READ, READ_WRITE, block_size};
use user::sys::process::{self, signal::SIGSEGV};
use user::sys::{Errno, file};

use crate::harness::{Outcome, Test, as_status, child_passes, killed_by};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("fork copies, both ways", both_ways),
    ("fork again before any write", fork_again),
    ("grandchildren have their own copies", grandchildren),
    ("300 children of the same page", many_children),
    ("unmap in a block, then fork", hole_then_fork),
    ("mprotect half a block, then fork", half_protected),
    ("fork, then mprotect to read-write", protected_across_fork),
    ("DONTNEED in the child leaves the parent's page", dontneed_in_child),
    ("the stack is copied", stack_copied),
    ("parent and child write the same block in turns", ping_pong),
];

fn both_ways(_: Args) -> Outcome {
    let pages = Pages::map(1 << 20, PRIVATE)?;
    isolation(&pages)
}

/// Writes on both sides of a fork that is alive; neither may see the other's.
pub fn isolation(pages: &Pages) -> Outcome {
    let all = || 0..pages.count();
    pages.fill(1000);
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| {
        as_status((|| {
            file::read(pipe.read, &mut [0])?;
            // The parent has written to the even pages.
            check!(pages.is_filled(1000, all()));
            for page in all().filter(|page| page % 3 == 0) {
                pages.set(page, 3000 + page as u64);
            }
            check!(pages.is_filled(3000, all().filter(|page| page % 3 == 0)));
            check!(pages.is_filled(1000, all().filter(|page| page % 3 != 0)));
            Ok(())
        })())
    })?;
    for page in all().step_by(2) {
        pages.set(page, 2000 + page as u64);
    }
    file::write_all(pipe.write, &[1])?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    check!(pages.is_filled(2000, all().step_by(2)));
    check!(pages.is_filled(1000, all().skip(1).step_by(2)));
    // With the child gone, all of it is this process's again.
    pages.fill(4000);
    check!(pages.is_filled(4000, all()));
    Ok(())
}

/// Forks twice without a write between, then writes: both children keep the old data.
pub fn fork_again_on(pages: &Pages) -> Outcome {
    pages.fill(10);
    let pipe = file::pipe(0)?;
    let observe = || {
        process::spawn(|| {
            as_status((|| {
                file::read(pipe.read, &mut [0])?;
                check!(pages.is_filled(10, 0..pages.count()));
                pages.fill(30);
                check!(pages.is_filled(30, 0..pages.count()));
                Ok(())
            })())
        })
    };
    let children = [observe()?, observe()?];
    pages.fill(20);
    file::write_all(pipe.write, &[1, 1])?;
    for child in children {
        check_eq!(process::wait(child)?.exited(), Some(0));
    }
    check!(pages.is_filled(20, 0..pages.count()));
    Ok(())
}

fn fork_again(_: Args) -> Outcome {
    fork_again_on(&Pages::map(4 * block_size(), PRIVATE)?)
}

fn grandchildren(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(1);
    child_passes(|| {
        pages.set(0, 50);
        child_passes(|| {
            check_eq!(pages.get(0), 50);
            pages.fill(60);
            Ok(())
        })?;
        check_eq!(pages.get(0), 50);
        check!(pages.is_filled(1, 1..32));
        Ok(())
    })?;
    check!(pages.is_filled(1, 0..32));
    Ok(())
}

fn many_children(_: Args) -> Outcome {
    // More than 256 holders of one page: a reference count of 8 bits has freed live pages in other kernels.
    const CHILDREN: usize = 300;
    let pages = Pages::map(block_size(), PRIVATE)?;
    pages.fill(1);
    let pipe = file::pipe(0)?;
    let mut forked = 0;
    let mut refused = None;
    while forked < CHILDREN && refused.is_none() {
        let child = process::spawn(|| {
            let released = file::read(pipe.read, &mut [0]);
            i32::from(released != Ok(1) || !pages.is_filled(1, 0..16))
        });
        match child {
            Ok(_) => forked += 1,
            Err(errno) => refused = Some(errno),
        }
    }
    pages.fill(2);
    for _ in 0..forked {
        file::write_all(pipe.write, &[1])?;
    }
    let mut wrong = 0;
    for _ in 0..forked {
        let ended = process::wait_for(-1, 0)?;
        wrong += u32::from(ended.and_then(|(_, status)| status.exited()) != Some(0));
    }
    check_eq!(wrong, 0);
    check_eq!(refused, None::<Errno>);
    check!(pages.is_filled(2, 0..16));
    Ok(())
}

fn hole_then_fork(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(5);
    pages.unmap(6, 2)?;
    let rest = || (0..6).chain(8..32);
    child_passes(|| {
        check!(pages.is_filled(5, rest()));
        killed_by(SIGSEGV, || pages.get(6))?;
        rest().for_each(|page| pages.set(page, 9));
        Ok(())
    })?;
    check!(pages.is_filled(5, rest()));
    rest().for_each(|page| pages.set(page, 8));
    check!(rest().all(|page| pages.get(page) == 8));
    killed_by(SIGSEGV, || pages.set(7, 1))
}

fn half_protected(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(5);
    pages.protect(8, 8, READ)?;
    let writable = || (0..8).chain(16..32);
    child_passes(|| {
        check!(pages.is_filled(5, 0..32));
        writable().for_each(|page| pages.set(page, 9));
        killed_by(SIGSEGV, || pages.set(8, 1))?;
        check!(pages.is_filled(5, 8..16));
        Ok(())
    })?;
    check!(pages.is_filled(5, 0..32));
    writable().for_each(|page| pages.set(page, 6));
    killed_by(SIGSEGV, || pages.set(15, 1))?;
    check!(pages.is_filled(5, 8..16));
    check!(writable().all(|page| pages.get(page) == 6));
    Ok(())
}

fn protected_across_fork(_: Args) -> Outcome {
    // Read-only at fork, writable afterwards: the page is shared although nothing was write-protected for it.
    let pages = Pages::map(block_size(), PRIVATE)?;
    pages.fill(5);
    pages.protect(0, 16, READ)?;
    let pipe = file::pipe(0)?;
    let child = process::spawn(|| {
        let released = file::read(pipe.read, &mut [0]);
        i32::from(released != Ok(1) || !pages.is_filled(5, 0..16))
    })?;
    pages.protect(0, 16, READ_WRITE)?;
    pages.fill(6);
    file::write_all(pipe.write, &[1])?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    check!(pages.is_filled(6, 0..16));
    Ok(())
}

fn dontneed_in_child(_: Args) -> Outcome {
    let pages = Pages::map(2 * block_size(), PRIVATE)?;
    pages.fill(5);
    child_passes(|| {
        pages.forget(4, 20)?;
        check!((4..24).all(|page| pages.get(page) == 0));
        check!(pages.is_filled(5, (0..4).chain(24..32)));
        Ok(())
    })?;
    check!(pages.is_filled(5, 0..32));
    Ok(())
}

fn stack_copied(_: Args) -> Outcome {
    let mut local = core::hint::black_box([7u64; 2048]);
    child_passes(|| {
        check!(local.iter().all(|word| *word == 7));
        local.fill(8);
        check!(core::hint::black_box(&local).iter().all(|word| *word == 8));
        Ok(())
    })?;
    check!(core::hint::black_box(&local).iter().all(|word| *word == 7));
    Ok(())
}

fn ping_pong(_: Args) -> Outcome {
    let pages = Pages::map(block_size(), PRIVATE)?;
    pages.fill(0);
    let (there, back) = (file::pipe(0)?, file::pipe(0)?);
    let child = process::spawn(|| {
        as_status((|| {
            for turn in 0..16 {
                file::read(there.read, &mut [0])?;
                check!(pages.is_filled(0, turn..16));
                pages.set(turn, 2000);
                check!((0..=turn).all(|page| pages.get(page) == 2000));
                file::write_all(back.write, &[1])?;
            }
            Ok(())
        })())
    })?;
    for turn in 0..16 {
        pages.set(turn, 1000);
        file::write_all(there.write, &[1])?;
        check_eq!(file::read(back.read, &mut [0]), Ok(1));
        check!((0..=turn).all(|page| pages.get(page) == 1000));
        check!(pages.is_filled(0, turn + 1..16));
    }
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}
