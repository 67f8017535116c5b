//! `sh`: a small shell, for where BusyBox is not. `sh`, `sh FILE`, `sh -c COMMAND`.
//!
//! Words with quotes, pipes, `<`, `>`, `>>`, `&&`, `||`, `;`, and the commands `cd`, `exec` and `exit`; no variables, no
//! patterns, no jobs. Programs are looked for in /bin and /usr/bin.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod run;

#[cfg(target_os = "none")]
mod program {
    use core::ffi::CStr;

    use user::rt::start::Args;
    use user::sys::file::{self, Fd};
    use user::text::Text;
    use user::words::{LINE_BYTES, Line};
    use user::{entry, print, println};

    use crate::run::Shell;

    entry!(main);

    fn main(args: Args) -> i32 {
        let mut shell = Shell::new();
        // A login shell is nothing else here.
        let mut words = args.from(1).filter(|word| *word != "-l");
        match (words.next(), words.next()) {
            (Some("-c"), Some(command)) => run(&mut shell, &mut Line::new(), command.as_bytes()),
            (Some(path), _) => {
                let path: Text<256> = Text::format(format_args!("{path}\0"));
                let opened = CStr::from_bytes_with_nul(path.as_bytes())
                    .map(|path| file::open(path, file::READ_ONLY | file::CLOSE_ON_EXEC));
                match opened {
                    Ok(Ok(fd)) => lines(&mut shell, fd, false),
                    Ok(Err(errno)) => {
                        println!("sh: {}: {errno}", path.as_str());
                        shell.status = 127;
                    }
                    Err(_) => shell.status = 127,
                }
            }
            _ => {
                println!("A small shell: words, pipes, < > >>, && || ; cd exec exit");
                lines(&mut shell, 0, true);
            }
        }
        shell.status
    }

    /// Runs all lines that can be read from `fd`.
    fn lines(shell: &mut Shell, fd: Fd, prompt: bool) {
        let (mut buffer, mut len) = ([0u8; LINE_BYTES], 0);
        let mut line = Line::new();
        loop {
            if prompt && len == 0 {
                print!("$ ");
            }
            let end = buffer[..len].iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                run(shell, &mut line, &buffer[..end]);
                buffer.copy_within(end + 1..len, 0);
                len -= end + 1;
                if shell.done {
                    return;
                }
                continue;
            }
            match file::read(fd, &mut buffer[len..]) {
                Ok(0) | Err(_) => {
                    run(shell, &mut line, &buffer[..len]);
                    return;
                }
                Ok(count) => len += count,
            }
        }
    }

    fn run(shell: &mut Shell, line: &mut Line, text: &[u8]) {
        match line.parse(text) {
            Ok(()) => shell.run(line),
            Err(mistake) => {
                println!("sh: not understood: {mistake:?}");
                shell.status = 2;
            }
        }
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("sh: built for the host; it runs on aarch64 only");
}
