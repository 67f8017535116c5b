//! The list of bugs.

use serde::Deserialize;

/// A bug that can be planted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// What the table calls it.
    pub name: String,
    /// The mistake, in words.
    pub what: String,
    /// What the test that is to catch it is called, or part of that.
    pub test: Option<String>,
    /// The file it goes into, relative to the top of the checkout.
    pub file: String,
    /// Text that stands there exactly once.
    pub find: String,
    /// What stands there instead.
    pub replace: String,
}

#[derive(Deserialize)]
struct Plan {
    mutant: Vec<Mutant>,
}

/// Reads the list at `path`.
pub fn read(path: &str) -> Result<Vec<Mutant>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    parse(&text).map_err(|error| format!("{path}: {error}"))
}

fn parse(text: &str) -> Result<Vec<Mutant>, String> {
    let plan: Plan = toml::from_str(text).map_err(|error| error.to_string())?;
    Ok(plan.mutant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_of_the_list_can_be_planted_in_the_sources_as_they_are() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let mutants = parse(include_str!("../mutants.toml")).unwrap();
        assert!(mutants.len() >= 25);
        for (index, mutant) in mutants.iter().enumerate() {
            let text = std::fs::read_to_string(format!("{root}/{}", mutant.file)).unwrap();
            assert_eq!(text.matches(&mutant.find).count(), 1, "{}", mutant.name);
            assert_ne!(mutant.find, mutant.replace);
            assert!(mutants[..index].iter().all(|other| other.name != mutant.name), "{}", mutant.name);
        }
    }
}
