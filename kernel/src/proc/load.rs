//! From a path to what is to be mapped: the program, and the dynamic loader that it asks for. A script leads to the program
//! that reads it.

use alloc::vec::Vec;

use super::args::Strings;
use super::elf_plan::LoadPlan;
use super::layout::{LOADER_BASE, PIE_BASE};
use super::process::Process;
use super::script;
use crate::errno::{Errno, Result};
use crate::fs::kernel::Kernel;
use crate::fs::{self, Node, Program};

/// Bytes at the start of a file that its headers have to be in.
const HEAD_BYTES: usize = 16 << 10;
/// Scripts that may be read by scripts, as on Linux.
const SCRIPTS: usize = 4;

/// A file and how to map it.
pub(super) struct Part {
    pub file: Program,
    pub plan: LoadPlan,
}

/// What a path leads to.
pub(super) struct Loading {
    pub program: Part,
    /// The dynamic loader, which runs first.
    pub loader: Option<Part>,
    /// The arguments, if a script has changed them.
    pub argv: Option<Strings>,
}

impl Loading {
    /// Where the first instruction is.
    pub fn entry(&self) -> usize {
        self.loader.as_ref().unwrap_or(&self.program).plan.entry
    }

    /// Where the loader was put; 0: there is none.
    pub fn loader_base(&self) -> usize {
        self.loader.as_ref().map_or(0, |loader| loader.plan.bias)
    }

    /// What is to be mapped.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        [Some(&self.program), self.loader.as_ref()].into_iter().flatten()
    }
}

/// Finds what executing `path` with the arguments `argv` loads.
///
/// # Errors
/// What `path` lacks (`ENOENT`, `EACCES`...), or what a script or a program names does; `ENOEXEC`: no program for aarch64;
/// `ELOOP`: scripts that are read by scripts; `ENOMEM`, `E2BIG`.
pub(super) fn load(me: &Process, path: &[u8], argv: &Strings) -> Result<Loading> {
    let mut file = find(me, path)?;
    let mut changed: Option<Strings> = None;
    for _ in 0..=SCRIPTS {
        let head = file.read(0, HEAD_BYTES)?;
        if let Some(script) = script::parse(&head) {
            let next = find(me, script.interpreter)?;
            changed = Some(script_arguments(&script, path, changed.as_ref(), argv)?);
            file = next;
            continue;
        }
        let plan = LoadPlan::parse_head(&head, file.bytes(), PIE_BASE)?;
        let loader = match &plan.interpreter {
            Some(range) => Some(find_loader(me, head.get(range.clone()).ok_or(Errno::ENOEXEC)?)?),
            None => None,
        };
        return Ok(Loading { program: Part { file, plan }, loader, argv: changed });
    }
    Err(Errno::ELOOP)
}

/// The dynamic loader at the path `name`, which has a NUL behind it.
fn find_loader(me: &Process, name: &[u8]) -> Result<Part> {
    let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let file = find(me, name)?;
    let plan = LoadPlan::parse_head(&file.read(0, HEAD_BYTES)?, file.bytes(), LOADER_BASE)?;
    if plan.interpreter.is_some() { Err(Errno::ENOEXEC) } else { Ok(Part { file, plan }) }
}

/// The arguments for the program that reads a script: its path, the script's argument, the script's path, and the rest of
/// the script's arguments.
fn script_arguments(
    script: &script::Script<'_>,
    path: &[u8],
    changed: Option<&Strings>,
    argv: &Strings,
) -> Result<Strings> {
    let old = changed.unwrap_or(argv);
    let mut all: Vec<&[u8]> = Vec::new();
    all.try_reserve_exact(old.len() + 3)?;
    all.push(script.interpreter);
    all.extend(script.argument);
    // A script that reads a script is known by its own path, which begins what it was called with.
    let rest = old.bytes().strip_suffix(b"\0").unwrap_or_default().split(|byte| *byte == 0);
    match changed {
        Some(_) => all.extend(rest),
        None => {
            all.push(path);
            all.extend(rest.skip(1));
        }
    }
    Strings::copy_of(&all)
}

/// The file that `path` names, from the working directory unless it is absolute.
fn find(me: &Process, path: &[u8]) -> Result<Program> {
    let cwd = me.files().lock().cwd();
    let start = cwd.as_ref().map_or(Node::ROOT, |place| place.node());
    Program::open(fs::root()?, &Kernel, start, path)
}
