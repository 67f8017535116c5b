//! A copy of the checkout to plant bugs in.

use std::collections::HashSet;
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
        let listed = String::from_utf8_lossy(&listed.stdout);
        let names: HashSet<&Path> = listed.split_terminator('\0').map(Path::new).collect();
        for name in &names {
            copy(name, &root.join(name)).map_err(|error| format!("{}: {error}", name.display()))?;
        }
        remove_others(&root, &root, &names).map_err(|error| format!("{to}: {error}"))?;
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

/// Removes files below `directory` that have no name of `names` in `root`: what an older checkout had elsewhere would be
/// compiled, or be in the way.
fn remove_others(root: &Path, directory: &Path, names: &HashSet<&Path>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.strip_prefix(root).unwrap_or(&path);
        if name == Path::new("target") {
            continue;
        }
        if path.is_dir() {
            remove_others(root, &path, names)?;
        } else if !names.contains(name) || !name.exists() {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_checkout_does_not_have_leaves_the_copy_but_its_build_stays() {
        let root = std::env::temp_dir().join(format!("mutants-tree-{}", std::process::id()));
        for name in ["Cargo.toml", "src/old.rs", "target/kept"] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        remove_others(&root, &root, &HashSet::from([Path::new("Cargo.toml")])).unwrap();
        let there = ["Cargo.toml", "src/old.rs", "target/kept"].map(|name| root.join(name).exists());
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(there, [true, false, true]);
    }
}
