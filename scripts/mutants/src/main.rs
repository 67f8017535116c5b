//! Plants known bugs, one at a time, in a copy of the sources, and checks that each is caught.
//!
//! `mutants [--qemu] [NAME...]`, run at the top of the checkout. Without `--qemu` a bug counts as caught when
//! `cargo test` of `paging`, the model or the kernel fails; with it, also when the referee or a self-test ends a boot
//! of the mutated kernel. Prints a table; exit status 1 if a bug survives, 2 if one cannot be planted.
//!
//! The copy is in `target/mutants/tree`, with a target directory of its own, so that only what a bug touches is
//! built again. Nothing of this is ever part of a normal build.

mod catch;
#[cfg(test)]
mod named;
mod plan;
mod tree;

use std::process::ExitCode;

use catch::Verdict;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let (options, names): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let qemu = match options.as_slice() {
        [] => false,
        [one] if one == "--qemu" => true,
        _ => return Err("usage: mutants [--qemu] [NAME...]".into()),
    };
    let mutants = plan::read("scripts/mutants/mutants.toml")?;
    let chosen: Vec<_> = mutants.iter().filter(|m| names.is_empty() || names.contains(&m.name)).collect();
    if chosen.len() < names.len() {
        return Err("no mutant of that name".into());
    }
    let tree = tree::Tree::copy_of_checkout("target/mutants/tree")?;
    // What is caught only because the copy is broken anyway proves nothing.
    if let Verdict::Caught(by) = catch::on_host(&tree, None)? {
        return Err(format!("without any bug, this fails: {by}"));
    }
    println!("{:<34} {:<58} caught by", "bug", "what it does");
    let mut survivors = 0;
    for mutant in &chosen {
        let planted = tree.plant(mutant)?;
        let mut verdicts = vec![catch::on_host(&tree, mutant.test.as_deref())?];
        if qemu {
            verdicts.push(catch::in_qemu(&tree)?);
        }
        tree.restore(planted)?;
        let caught: Vec<_> = verdicts.iter().filter_map(Verdict::by).collect();
        survivors += usize::from(caught.is_empty());
        let by = if caught.is_empty() { "NOTHING: it survives".to_string() } else { caught.join("; ") };
        println!("{:<34} {:<58} {by}", mutant.name, mutant.what);
    }
    println!("{} bugs, {} caught, {survivors} survived", chosen.len(), chosen.len() - survivors);
    Ok(if survivors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
