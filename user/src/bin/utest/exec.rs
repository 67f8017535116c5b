//! execve: arguments arrive, file descriptors stay or close, and a bad file leaves the caller as it was.

use core::ffi::{CStr, c_char};
use core::ptr;

use user::rt::start::Args;
use user::sys::file::{self, CLOSE_ON_EXEC};
use user::sys::process::{self, Status};
use user::sys::{Errno, Result, raw, tree};
use user::text::Text;

use crate::harness::{Outcome, Test, Trouble, child_passes};
use crate::{check, check_eq};

/// The tests.
pub const TESTS: &[Test] = &[
    ("exec passes arguments, output comes through a pipe", arguments),
    ("exec passes the exit status", status),
    ("exec without arguments passes an empty name", no_arguments),
    ("exec closes CLOEXEC files only", close_on_exec),
    ("exec of what is not there: ENOENT", missing),
    ("exec of a directory: EACCES", directory),
    ("exec of malformed files: ENOEXEC", malformed),
    ("exec with bad argument pointers: EFAULT", bad_pointers),
    ("exec with huge arguments: E2BIG or success", huge_arguments),
    ("fork and exec 100 times", many),
    ("exec of a script", script),
    ("exec of a script that names itself: ELOOP", endless_script),
];

type Path = Text<256>;

/// The `echo` program beside this one, NUL-terminated.
fn echo(args: Args) -> Path {
    let me = args.get(0).unwrap_or("");
    let directory = me.rsplit_once('/').map_or("/bin", |(directory, _)| directory);
    Text::format(format_args!("{directory}/echo\0"))
}

fn as_c_str(path: &Path) -> &CStr {
    CStr::from_bytes_with_nul(path.as_bytes()).unwrap_or(c"")
}

/// Replaces this process by `echo` with the given words; returns only the error.
fn exec_echo<const N: usize>(args: Args, words: [&CStr; N]) -> Errno {
    let path = echo(args);
    let mut argv = [ptr::null::<c_char>(); 8];
    argv[0] = path.as_bytes().as_ptr().cast();
    for (slot, word) in argv[1..7].iter_mut().zip(words) {
        *slot = word.as_ptr();
    }
    process::execve(as_c_str(&path), &argv, &[ptr::null()])
}

/// Runs `echo` with the given words; returns its status and what it printed.
fn run_echo<const N: usize>(args: Args, words: [&CStr; N]) -> Result<(Status, Text<256>)> {
    let pipe = file::pipe(CLOSE_ON_EXEC)?;
    let child = process::spawn(|| {
        if file::duplicate(pipe.write, 1).is_ok() {
            exec_echo(args, words);
        }
        127
    })?;
    file::close(pipe.write)?;
    let mut buffer = [0; 256];
    // Ends only when the last write end is closed: the one that became the child's standard output.
    let len = file::read_all(pipe.read, &mut buffer)?;
    file::close(pipe.read)?;
    let text = core::str::from_utf8(&buffer[..len]).unwrap_or("?");
    Ok((process::wait(child)?, Text::format(format_args!("{text}"))))
}

fn arguments(args: Args) -> Outcome {
    let (status, output) = run_echo(args, [c"one", c"two words", c"", c"\xc3\xa9"])?;
    check_eq!(status.exited(), Some(0));
    check_eq!(output.as_str(), "one two words  \u{e9}\n");
    Ok(())
}

fn status(args: Args) -> Outcome {
    let (status, output) = run_echo(args, [c"--status=17"])?;
    check_eq!(status.exited(), Some(17));
    check_eq!(output.as_str(), "\n");
    Ok(())
}

fn no_arguments(args: Args) -> Outcome {
    // Linux since 5.18: programs that trust argv[0] were exploited by leaving it out. `echo` tells.
    let path = echo(args);
    let child = process::spawn(|| {
        process::execve(as_c_str(&path), &[ptr::null()], &[c"A=b".as_ptr(), ptr::null()]);
        127
    })?;
    check_eq!(process::wait(child)?.exited(), Some(0));
    Ok(())
}

fn close_on_exec(args: Args) -> Outcome {
    // A pipe without the flag stays open in the child: its end is not seen before the child has exited.
    let kept = file::pipe(0)?;
    let closed = file::pipe(CLOSE_ON_EXEC)?;
    let (status, _) = run_echo(args, [c"x"])?;
    check_eq!(status.exited(), Some(0));
    file::close(kept.write)?;
    file::close(closed.write)?;
    check_eq!(file::read(kept.read, &mut [0]), Ok(0));
    check_eq!(file::read(closed.read, &mut [0]), Ok(0));
    Ok(())
}

fn missing(_: Args) -> Outcome {
    let argv = [c"x".as_ptr(), ptr::null()];
    check_eq!(process::execve(c"/no/such/program", &argv, &[ptr::null()]), Errno::ENOENT);
    check_eq!(process::execve(c"", &argv, &[ptr::null()]), Errno::ENOENT);
    Ok(())
}

fn directory(_: Args) -> Outcome {
    check_eq!(process::execve(c"/", &[c"x".as_ptr(), ptr::null()], &[ptr::null()]), Errno::EACCES);
    Ok(())
}

fn malformed(_: Args) -> Outcome {
    let mut tried = 0;
    for path in [c"/test/not-elf", c"/test/elf-magic-only", c"/test/empty"] {
        match file::open(path, file::READ_ONLY) {
            Err(_) => continue,
            Ok(fd) => file::close(fd)?,
        }
        tried += 1;
        let precious = core::hint::black_box([5u64; 64]);
        check_eq!(process::execve(path, &[c"x".as_ptr(), ptr::null()], &[ptr::null()]), Errno::ENOEXEC);
        check!(core::hint::black_box(&precious).iter().all(|word| *word == 5));
        // Still able to do anything.
        child_passes(|| Ok(()))?;
    }
    if tried == 0 { Err(Trouble::Skip("no malformed files in /test")) } else { Ok(()) }
}

fn bad_pointers(args: Args) -> Outcome {
    let path = echo(args);
    for bad in [0x10usize, 0xffff_0000_0000_0000] {
        let bad = bad as *const c_char;
        let argv = [c"x".as_ptr(), bad, ptr::null()];
        check_eq!(process::execve(as_c_str(&path), &argv, &[ptr::null()]), Errno::EFAULT);
        let argv = [c"x".as_ptr(), ptr::null()];
        check_eq!(process::execve(as_c_str(&path), &argv, &[bad, ptr::null()]), Errno::EFAULT);
    }
    Ok(())
}

fn huge_arguments(args: Args) -> Outcome {
    // 4 MiB of arguments: above Linux's limits (128 KiB for one, a quarter of the stack for all).
    let len = 4 << 20;
    let base = user::sys::memory::map(len, user::sys::memory::READ_WRITE, user::sys::memory::PRIVATE)?;
    for page in (0..len - 4096).step_by(512) {
        // SAFETY: inside the mapping.
        unsafe { core::ptr::write_bytes((base + page) as *mut u8, b'x', 512) };
    }
    let path = echo(args);
    let argv = [c"x".as_ptr(), base as *const c_char, ptr::null()];
    check_eq!(process::execve(as_c_str(&path), &argv, &[ptr::null()]), Errno::E2BIG);
    Ok(())
}

fn many(args: Args) -> Outcome {
    for _ in 0..100 {
        let (status, output) = run_echo(args, [c"a", c"b"])?;
        check_eq!(status.exited(), Some(0));
        check_eq!(output.as_str(), "a b\n");
    }
    Ok(())
}

/// Makes a file that may be executed, with these contents.
fn make_script(path: &CStr, contents: &[u8]) -> Outcome {
    let fd = tree::create(path, tree::TRUNCATE)?;
    file::write_all(fd, contents)?;
    // SAFETY: numbers only.
    unsafe { raw(linux_raw_sys::general::__NR_fchmod, [fd as usize, 0o755]) }?;
    Ok(file::close(fd)?)
}

fn script(args: Args) -> Outcome {
    const PATH: &CStr = c"/utest-script";
    let echo = echo(args);
    let echo = echo.as_str().trim_end_matches('\0');
    for (argument, shown) in [("", "/utest-script one\n"), (" two  words ", "two  words /utest-script one\n")]
    {
        let line: Text<256> = Text::format(format_args!("#! {echo}{argument}\n"));
        make_script(PATH, line.as_bytes())?;
        let pipe = file::pipe(CLOSE_ON_EXEC)?;
        let child = process::spawn(|| {
            if file::duplicate(pipe.write, 1).is_ok() {
                let argv = [c"lost".as_ptr(), c"one".as_ptr(), ptr::null()];
                process::execve(PATH, &argv, &[ptr::null()]);
            }
            127
        })?;
        file::close(pipe.write)?;
        let mut buffer = [0; 256];
        let count = file::read_all(pipe.read, &mut buffer)?;
        check_eq!(process::wait(child)?.exited(), Some(0));
        check_eq!(core::str::from_utf8(&buffer[..count]), Ok(shown));
        file::close(pipe.read)?;
    }
    make_script(PATH, b"#! \n")?;
    check_eq!(process::execve(PATH, &[ptr::null()], &[ptr::null()]), Errno::ENOEXEC);
    make_script(PATH, b"#!/no/such\n")?;
    check_eq!(process::execve(PATH, &[ptr::null()], &[ptr::null()]), Errno::ENOENT);
    Ok(tree::unlink(PATH)?)
}

fn endless_script(_: Args) -> Outcome {
    const PATH: &CStr = c"/utest-endless";
    make_script(PATH, b"#!/utest-endless\n")?;
    check_eq!(process::execve(PATH, &[ptr::null()], &[ptr::null()]), Errno::ELOOP);
    Ok(tree::unlink(PATH)?)
}
