//! `/init`, process 1: runs the programs its arguments name, one after another, and ends with their status.
//!
//! `init PROG [ARGS...] [, PROG [ARGS...]]...` (`+` separates as well). A name without a slash is looked up in `/bin`.
//! `tty` before a program's name gives it a session of its own, with the console as its terminal: what a shell needs.
//! The exit status is the first that is not 0, 128 plus the signal for a program that was killed. Without arguments
//! it runs `storm`. What else there is to do for process 1 depends on the kernel: see `user::duties`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program {
    use core::ffi::{CStr, c_char};
    use core::ptr;

    use user::duties::Duties;
    use user::rt::start::Args;
    use user::sys::process::{self, Pid, Status, WNOHANG};
    use user::sys::system;
    use user::text::Text;
    use user::{entry, println};

    /// Words of one command at most, the program's name included.
    const MAX_WORDS: usize = 64;
    /// What a shell reports when a program cannot be started.
    const NOT_STARTED: i32 = 127;

    entry!(main);

    fn main(args: Args) -> i32 {
        let duties = Duties::take_up();
        let status = run_all(args);
        duties.end(status)
    }

    fn run_all(args: Args) -> i32 {
        let mut words = args.from(1).peekable();
        if words.peek().is_none() {
            println!(
                "init: nothing asked for, running storm; name programs behind `--` on the kernel command line"
            );
            return run(&["storm"]);
        }
        let mut status = 0;
        while words.peek().is_some() {
            let mut command = [""; MAX_WORDS];
            let mut len = 0;
            for word in words.by_ref().take_while(|word| !matches!(*word, "," | "+")) {
                if len == MAX_WORDS {
                    println!("init: a command has more than {MAX_WORDS} words");
                    return NOT_STARTED;
                }
                command[len] = word;
                len += 1;
            }
            if len > 0 {
                let code = run(&command[..len]);
                status = if status == 0 { code } else { status };
            }
        }
        reap_orphans();
        status
    }

    /// Runs one command to its end and returns its status.
    fn run(command: &[&'static str]) -> i32 {
        let child = match process::fork() {
            Ok(0) => exec(command),
            Ok(pid) => pid,
            Err(errno) => {
                println!("init: cannot fork for {}: {errno}", command[0]);
                return NOT_STARTED;
            }
        };
        let status = wait_reaping(child);
        if let Some(signal) = status.signalled() {
            println!("init: {} was killed by signal {signal}", command[0]);
        }
        status.as_code()
    }

    /// Waits for `child` and meanwhile reaps whatever orphans end.
    fn wait_reaping(child: Pid) -> Status {
        loop {
            match process::wait_for(-1, 0) {
                Ok(Some((pid, status))) if pid == child => return status,
                Ok(_) => {}
                Err(errno) => {
                    println!("init: cannot wait for process {child}: {errno}");
                    return Status((NOT_STARTED as u32) << 8);
                }
            }
        }
    }

    /// Reaps orphans that have ended; those still running end with the machine.
    fn reap_orphans() {
        while let Ok(Some(_)) = process::wait_for(-1, WNOHANG) {}
    }

    fn exec(command: &[&'static str]) -> ! {
        let command = match command {
            ["tty", rest @ ..] if !rest.is_empty() => {
                if let Err(errno) = system::lead_session(0) {
                    println!("init: no terminal for {}: {errno}", rest[0]);
                }
                rest
            }
            all => all,
        };
        let name = command[0];
        let path: Text<256> = match name.contains('/') {
            true => Text::format(format_args!("{name}\0")),
            false => Text::format(format_args!("/bin/{name}\0")),
        };
        // The words are the kernel's NUL-terminated strings, but that is lost on the way: copy them.
        let mut strings = [0u8; 4096];
        let mut argv = [ptr::null::<c_char>(); MAX_WORDS + 1];
        let mut used = 0;
        for (i, word) in command.iter().enumerate() {
            let bytes =
                if i == 0 { path.as_bytes().strip_suffix(b"\0").unwrap_or(b"") } else { word.as_bytes() };
            let Some(room) = strings.get_mut(used..used + bytes.len() + 1) else {
                println!("init: the arguments of {name} are too long");
                process::exit(NOT_STARTED);
            };
            room[..bytes.len()].copy_from_slice(bytes);
            argv[i] = room.as_ptr().cast();
            used += bytes.len() + 1;
        }
        let Ok(path) = CStr::from_bytes_with_nul(path.as_bytes()) else {
            println!("init: the name {name} is too long");
            process::exit(NOT_STARTED);
        };
        let envp = [c"PATH=/bin".as_ptr(), c"HOME=/".as_ptr(), c"TERM=linux".as_ptr(), ptr::null()];
        let errno = process::execve(path, &argv[..=command.len()], &envp);
        println!("init: cannot run {name}: {errno}");
        process::exit(NOT_STARTED)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("init: built for the host; it runs on aarch64 only");
}
