//! Names for guest PCs, from the kernel's ELF file.

use std::fmt::Write;
use std::path::Path;

use addr2line::Loader;

/// The kernel's symbols, or none.
pub struct Symbols {
    loader: Option<Loader>,
}

impl Symbols {
    /// Reads the symbols of `elf`. Without it, names are addresses.
    ///
    /// # Errors
    /// The file cannot be read, or is none that has symbols.
    pub fn new(elf: Option<&Path>) -> Result<Self, String> {
        let loader =
            elf.map(|path| Loader::new(path).map_err(|error| format!("{}: {error}", path.display())));
        Ok(Symbols { loader: loader.transpose()? })
    }

    /// The function that `pc` is in, behind the functions of the kernel inlined there, innermost first, and the
    /// innermost's line. What is inlined of libraries is left out: `core` stores a PTE in four functions.
    pub fn name(&self, pc: u64) -> String {
        self.lookup(pc).unwrap_or_else(|| format!("{pc:#x}"))
    }

    fn lookup(&self, pc: u64) -> Option<String> {
        let loader = self.loader.as_ref()?;
        let mut place = String::new();
        let mut names: Vec<String> = Vec::new();
        if let Ok(mut frames) = loader.find_frames(pc) {
            while let Ok(Some(frame)) = frames.next() {
                let Some(location) = frame.location else { continue };
                let file = location.file.unwrap_or("");
                if file.contains("/registry/") || file.contains("/rustc/") {
                    continue;
                }
                let Some(name) = frame.function.as_ref().and_then(|name| name.demangle().ok()) else {
                    continue;
                };
                if names.is_empty() {
                    let _ = write!(place, " ({}:{})", tail(file), location.line.unwrap_or(0));
                }
                let name = short(&name);
                if names.last() != Some(&name) {
                    names.push(name);
                }
            }
        }
        // The symbol table knows the path of the function that really is there; the debug information only its name.
        // Assembly has no debug information at all.
        if let Some(symbol) = loader.find_symbol(pc) {
            let symbol = short(&addr2line::demangle_auto(symbol.into(), None));
            names.pop_if(|name| symbol.ends_with(&*name));
            names.push(symbol);
        }
        match names.split_first()? {
            (first, []) => Some(format!("{first}{place}")),
            (first, rest) => Some(format!("{first}{place} < {}", rest.join(" < "))),
        }
    }
}

/// A name without generic arguments and without the hash that legacy mangling puts at its end.
fn short(name: &str) -> String {
    let name = name.split_once("::h").filter(|(_, hash)| hash.len() == 16).map_or(name, |(path, _)| path);
    let mut depth = 0u32;
    let mut text = String::new();
    for (at, char) in name.char_indices() {
        match char {
            // `<T as Trait>::f` and `<impl T>::f` keep what is in the brackets, `f::<T>` and `f<T>` do not.
            '<' if at == 0 => {}
            '<' => depth += 1,
            // The arrow of a function type among the arguments closes nothing.
            '>' if depth > 0 && !name[..at].ends_with('-') => depth -= 1,
            _ if depth == 0 && char != '>' => text.push(char),
            _ => {}
        }
    }
    text.trim_end_matches("::").to_string()
}

/// The last two parts of a source path.
fn tail(path: &str) -> &str {
    let mut slashes = path.rmatch_indices('/');
    match slashes.nth(1) {
        Some((at, _)) => &path[at + 1..],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_symbols_names_are_addresses() {
        assert_eq!(Symbols::new(None).unwrap().name(0xffff_8000_8000_1234), "0xffff800080001234");
        assert!(Symbols::new(Some(Path::new("/nonexistent"))).is_err());
    }

    #[test]
    fn names_are_shortened() {
        assert_eq!(short("kernel::mm::fork::h0123456789abcdef"), "kernel::mm::fork");
        assert_eq!(short("paging::hash::new"), "paging::hash::new");
        assert_eq!(short("issue_range<kernel::arch::Cpu, &Vec<u8>>"), "issue_range");
        assert_eq!(
            short("<kernel::arch::Cpu as paging::Mmu>::store"),
            "kernel::arch::Cpu as paging::Mmu::store"
        );
        assert_eq!(short("kernel::mm::fork::copy::<kernel::arch::Cpu>"), "kernel::mm::fork::copy");
        assert_eq!(tail("/a/b/src/mm/fork.rs"), "mm/fork.rs");
        assert_eq!(tail("fork.rs"), "fork.rs");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn finds_its_own_functions() {
        // Where this very program was loaded: its file's first mapping.
        let exe = std::env::current_exe().unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let first = maps.lines().find(|line| line.ends_with(exe.to_str().unwrap())).unwrap();
        let base = u64::from_str_radix(first.split('-').next().unwrap(), 16).unwrap();
        let pc = Symbols::name as fn(&Symbols, u64) -> String as usize as u64 - base;
        let name = Symbols::new(Some(&exe)).unwrap().name(pc);
        assert!(name.contains("Symbols") && name.contains("name") && name.contains("symbols.rs:"), "{name}");
    }
}
