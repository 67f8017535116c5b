//! A copy of the checkout to plant bugs in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::plan::Mutant;

/// The copy.
pub struct Tree {
    root: PathBuf,
}

/// A file with a bug in it, and what it held before.
#[must_use = "a bug that is not taken out again is in all that follow"]
pub struct Planted {
    path: PathBuf,
    original: String,
}

impl Tree {
    /// Copies the files git knows, and those it would, as they are in the work tree, to `to`. Files that are the same
    /// already are left alone, so that cargo builds no more than it must.
    pub fn copy_of_checkout(to: &str) -> Result<Tree, String> {
        let listed = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .output()
            .map_err(|error| format!("git: {error}"))?;
        let root = std::path::absolute(to).map_err(|error| format!("{to}: {error}"))?;
        for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            copy(Path::new(name), &root.join(name)).map_err(|error| format!("{name}: {error}"))?;
        }
        Ok(Tree { root })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Plants a bug.
    pub fn plant(&self, mutant: &Mutant) -> Result<Planted, String> {
        let path = self.root.join(&mutant.file);
        let original = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", mutant.file))?;
        if original.matches(&mutant.find).count() != 1 {
            return Err(format!("{}: its text does not stand exactly once in {}", mutant.name, mutant.file));
        }
        let mutated = original.replace(&mutant.find, &mutant.replace);
        fs::write(&path, mutated).map_err(|error| format!("{}: {error}", mutant.file))?;
        Ok(Planted { path, original })
    }

    /// Takes it out again.
    pub fn restore(&self, planted: Planted) -> Result<(), String> {
        fs::write(&planted.path, planted.original)
            .map_err(|error| format!("{}: {error}", planted.path.display()))
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.exists() {
        return Ok(()); // deleted, but not yet committed
    }
    let new = fs::read(from)?;
    if fs::read(to).is_ok_and(|old| old == new) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(from, to).map(|_| ())
}
