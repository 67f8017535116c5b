//! Large folios switched off for a process (prctl: PR_SET_THP_DISABLE).

use core::ffi::CStr;
use core::ptr;

use linux_raw_sys::general::__NR_prctl;
use user::counters::field;
use user::rt::start::Args;
use user::smaps::areas;
use user::sys::memory::{HUGEPAGE, PRIVATE, advise, page_size};
use user::sys::{Errno, file, process, raw, time};
use user::text::Text;

use crate::harness::{Outcome, Test, Trouble, child_passes};
use crate::memory::Pages;
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("a process without large folios gets pages", pages_only),
    ("children have large folios switched off, too", |_| child_passes(inherited)),
    ("a program that is executed has them switched off, too", executed),
    ("what switches large folios off takes no other arguments", arguments),
];

const LEN: usize = 4 << 20;
/// Options of prctl (Linux: include/uapi/linux/prctl.h).
const PR_SET_THP_DISABLE: u32 = 41;
const PR_GET_THP_DISABLE: u32 = 42;

fn prctl(option: u32, args: [usize; 4]) -> Result<usize, Errno> {
    // SAFETY: these two options touch no memory.
    unsafe { raw(__NR_prctl, [option as usize, args[0], args[1], args[2], args[3]]) }
}

fn switch_off() -> Result<usize, Errno> {
    prctl(PR_SET_THP_DISABLE, [1, 0, 0, 0])
}

/// Touches a page of fresh memory that wants large folios: how many KiB are there then.
fn touched_kib() -> Result<u64, Trouble> {
    let pages = Pages::map(LEN, PRIVATE)?;
    // SAFETY: this test's own memory, and the contents stay. A kernel without large folios refuses.
    let _ = unsafe { advise(pages.base, LEN, HUGEPAGE) };
    pages.set(LEN / page_size() / 2, 1);
    let mut buffer = [0; 24 << 10];
    let text = file::read_file(c"/proc/self/smaps", &mut buffer)?;
    areas(text).find(|area| area.start == pages.base).map(|area| area.rss).ok_or(Trouble::Failed)
}

fn pages_only(_: Args) -> Outcome {
    check_eq!(prctl(PR_GET_THP_DISABLE, [0; 4]), Ok(0));
    switch_off()?;
    check_eq!(prctl(PR_GET_THP_DISABLE, [0; 4]), Ok(1));
    check_eq!(touched_kib()?, page_size() as u64 / 1024);
    prctl(PR_SET_THP_DISABLE, [0; 4])?;
    check_eq!(prctl(PR_GET_THP_DISABLE, [0; 4]), Ok(0));
    if user::probe::is_pleat() {
        check!(touched_kib()? > page_size() as u64 / 1024);
    }
    Ok(())
}

fn inherited() -> Outcome {
    switch_off()?;
    child_passes(|| {
        check_eq!(prctl(PR_GET_THP_DISABLE, [0; 4]), Ok(1));
        check_eq!(touched_kib()?, page_size() as u64 / 1024);
        Ok(())
    })
}

fn executed(args: Args) -> Outcome {
    let directory = args.get(0).and_then(|me| me.rsplit_once('/')).map_or("/bin", |(directory, _)| directory);
    let path = Text::<256>::format(format_args!("{directory}/sh\0"));
    let path = CStr::from_bytes_with_nul(path.as_bytes()).map_err(|_| Trouble::Failed)?;
    let input = file::pipe(0)?;
    let child = process::spawn(|| {
        // Its prompt goes where nobody reads it.
        let ready = switch_off().and(file::duplicate(input.read, 0)).and(file::duplicate(input.write, 1));
        if ready.is_ok() {
            process::execve(path, &[path.as_ptr(), ptr::null()], &[ptr::null()]);
        }
        1
    })?;
    let status = Text::<64>::format(format_args!("/proc/{child}/status\0"));
    let status = CStr::from_bytes_with_nul(status.as_bytes()).map_err(|_| Trouble::Failed)?;
    let mut buffer = [0; 4096];
    let enabled = loop {
        let text = file::read_file(status, &mut buffer)?;
        if text.starts_with(b"Name:\tsh\n") {
            break field(text, "THP_enabled");
        }
        time::sleep_ns(1_000_000)?;
    };
    process::kill(child, process::signal::SIGKILL)?;
    process::wait(child)?;
    check_eq!(enabled, Some(0));
    Ok(())
}

fn arguments(_: Args) -> Outcome {
    for place in 1..4 {
        let mut args = [0; 4];
        args[place] = 1;
        check_eq!(prctl(PR_SET_THP_DISABLE, args), Err(Errno::EINVAL));
        check_eq!(prctl(PR_GET_THP_DISABLE, args), Err(Errno::EINVAL));
    }
    check_eq!(prctl(PR_GET_THP_DISABLE, [1, 0, 0, 0]), Err(Errno::EINVAL));
    Ok(())
}
