//! `pack`: what happens to the kernel and its programs between the linker and QEMU.
//!
//! * `pack image` flattens the kernel's ELF into an arm64 Image and appends its symbol table ([`image`], [`symbols`]);
//! * `pack initramfs` writes EL0 programs and files into a newc cpio ([`cpio`]);
//! * `pack json` pulls the measurements out of a serial log ([`json`]).
//!
//! Everything it writes depends on its inputs alone, so a rebuild of the same sources is byte-identical. A failed
//! run leaves no half-written output: the bytes are complete before the file is created.

mod cpio;
mod image;
mod json;
mod symbols;
#[cfg(test)]
mod toy_elf;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: pack image <kernel.elf> <out>            arm64 Image with its symbol table
       pack initramfs <out> <name=path>...      newc cpio holding each file, or directory with all in it, at /name;
                                                `name@target` is a symbolic link
       pack json <serial.log> <out>             the log's `@json ` lines as JSON lines";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["image", elf, out] => pack_image(elf, out),
        ["initramfs", out, files @ ..] if !files.is_empty() => pack_initramfs(out, files),
        ["json", log, out] => pack_json(log, out),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("pack: {message}");
            ExitCode::FAILURE
        }
    }
}

fn pack_image(elf: &str, out: &str) -> Result<(), String> {
    let image = image::build(&read(elf)?).map_err(|e| format!("{elf}: {e}"))?;
    write(out, &image)
}

fn pack_initramfs(out: &str, files: &[&str]) -> Result<(), String> {
    let mut archive = cpio::Archive::default();
    for arg in files {
        let failed = |e: cpio::Error| format!("{arg}: {e}");
        if let Some((name, path)) = arg.split_once('=') {
            add(&mut archive, name, Path::new(path))?;
        } else if let Some((name, target)) = arg.split_once('@') {
            archive.add_link(name, target).map_err(failed)?;
        } else {
            return Err(format!("`{arg}` is neither name=path nor name@target"));
        }
    }
    write(out, &archive.to_bytes().map_err(|e| e.to_string())?)
}

/// Adds the file at `path`, or the directory and what is in it, at `/name`; an empty name is the root.
fn add(archive: &mut cpio::Archive, name: &str, path: &Path) -> Result<(), String> {
    let shown = path.display();
    // What is named on the command line may be a link to what is meant; inside a directory a link is a link.
    let meta = if name.contains('/') { path.symlink_metadata() } else { path.metadata() };
    let kind = meta.map_err(|e| format!("{shown}: {e}"))?.file_type();
    let added = if kind.is_symlink() {
        let target = std::fs::read_link(path).map_err(|e| format!("{shown}: {e}"))?;
        archive.add_link(name, &target.to_string_lossy())
    } else if kind.is_dir() {
        if !name.is_empty() {
            archive.add_directory(name).map_err(|e| format!("{shown}: {e}"))?;
        }
        for entry in std::fs::read_dir(path).map_err(|e| format!("{shown}: {e}"))? {
            let entry = entry.map_err(|e| format!("{shown}: {e}"))?;
            let below = format!("{name}/{}", entry.file_name().to_string_lossy());
            add(archive, &below, &entry.path())?;
        }
        Ok(())
    } else if kind.is_file() {
        archive.add(name, std::fs::read(path).map_err(|e| format!("{shown}: {e}"))?)
    } else {
        Ok(()) // a device, FIFO or socket of the host's
    };
    added.map_err(|e| format!("{shown}: {e}"))
}

fn pack_json(log: &str, out: &str) -> Result<(), String> {
    let lines = json::extract(&read(log)?).map_err(|e| format!("{log}: {e}"))?;
    write(out, &lines)
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|e| format!("{path}: {e}"))
}

fn write(path: &str, bytes: &[u8]) -> Result<(), String> {
    if let Some(dir) = Path::new(path).parent() {
        std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    }
    std::fs::write(path, bytes).map_err(|e| format!("{path}: {e}"))
}
