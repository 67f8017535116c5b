//! `echo WORDS...`: prints its arguments, as tests of exec expect. The argument `--status=N` before them sets the
//! exit status, so that it also serves as `true` and `false`.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod program {
    use user::rt::start::Args;
    use user::{entry, print, println, text};

    entry!(main);

    fn main(args: Args) -> i32 {
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
