//! `echo WORDS...`: prints its arguments, as tests of exec expect. The argument `--status=N` before them sets the
//! exit status, so that it also serves as `true` and `false`. Called without even a name, which no kernel should let
//! happen, it exits with status 99.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program {
    use user::rt::start::Args;
    use user::{entry, print, println, text};

    entry!(main);

    const NO_NAME: i32 = 99;

    fn main(args: Args) -> i32 {
        if args.is_empty() {
            return NO_NAME;
        }
        let status = args.get(1).and_then(|word| word.strip_prefix("--status=")).and_then(text::number);
        for (i, word) in args.from(if status.is_some() { 2 } else { 1 }).enumerate() {
            print!("{}{word}", if i == 0 { "" } else { " " });
        }
        println!();
        status.unwrap_or(0) as i32
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("echo: built for the host; it runs on aarch64 only");
}
