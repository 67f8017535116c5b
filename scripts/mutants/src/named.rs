//! The tests that the tables in `docs/` name are there.

use std::fs::{read_dir, read_to_string};
use std::path::Path;

/// Appends the contents of all Rust files below `dir`.
fn gather(dir: &Path, text: &mut String) {
    for entry in read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&read_to_string(&path).unwrap());
        }
    }
}

/// The functions that `page` names in back ticks, by their last name; only names as long as tests have.
fn named(page: &str) -> impl Iterator<Item = &str> {
    let last = |word: &'_ str| word.rfind("::").map_or(0, |at| at + 2);
    let words = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let names = words.map(move |word| &word[last(word)..]);
    names.filter(|name| {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            && name.matches('_').count() >= 4
    })
}

#[test]
fn every_test_that_the_docs_name_exists() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut sources = String::new();
    ["paging/src", "model/src", "kernel/src"].iter().for_each(|dir| gather(&root.join(dir), &mut sources));
    let mut count = 0;
    for page in ["docs/contpte.md", "docs/referee.md"] {
        let text = read_to_string(root.join(page)).unwrap();
        for name in named(&text) {
            let defined = ["(", "<"].iter().any(|next| sources.contains(&format!("fn {name}{next}")));
            assert!(defined, "{page} names {name}, which does not exist");
            count += 1;
        }
    }
    assert!(count >= 60, "only {count} names were found");
}

#[test]
fn names_are_taken_from_back_ticks_and_short_ones_left_out() {
    let page = "| `a::b_c_d_e_f`, `short_one` | word_with_many_under_scores `x_y_z_v_w` |";
    assert_eq!(named(page).collect::<Vec<_>>(), ["b_c_d_e_f", "x_y_z_v_w"]);
}
