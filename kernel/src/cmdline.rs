//! The kernel command line: `key=value` words up to `--`, and the words behind it, which are init's arguments.
//!
//! Words are separated by white space; double quotes keep white space in a word and are dropped, as in Linux
//! (lib/cmdline.c, next_arg). A key that occurs twice has its last value.

/// A command line, parsed as it is asked.
#[derive(Clone, Copy, Debug)]
pub struct CommandLine<'a> {
    kernel: &'a str,
    init: &'a str,
}

/// The words of a command line.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    rest: &'a str,
}

impl<'a> CommandLine<'a> {
    /// Splits a command line at the first word that is `--`.
    pub fn new(line: &'a str) -> Self {
        let mut words = Words { rest: line };
        loop {
            let before = words.rest;
            match words.next() {
                Some("--") => {
                    let kernel = &line[..line.len() - before.len()];
                    return CommandLine { kernel, init: words.rest };
                }
                Some(_) => {}
                None => return CommandLine { kernel: line, init: "" },
            }
        }
    }

    /// The value of `key`; of a word without `=`, the empty string.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        let pairs = self.words().map(|word| word.split_once('=').unwrap_or((word, "")));
        pairs.filter(|(name, _)| *name == key).last().map(|(_, value)| unquote(value))
    }

    /// The kernel's words.
    pub fn words(&self) -> Words<'a> {
        Words { rest: self.kernel }
    }

    /// The words behind `--`: init's argv from 1 on.
    pub fn init_arguments(&self) -> Words<'a> {
        Words { rest: self.init }
    }
}

/// Drops quotes around a whole value.
fn unquote(value: &str) -> &str {
    value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value)
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_ascii_start();
        if rest.is_empty() {
            self.rest = rest;
            return None;
        }
        let mut quoted = false;
        let end = rest.bytes().position(|byte| {
            quoted ^= byte == b'"';
            byte.is_ascii_whitespace() && !quoted
        });
        let (word, rest) = rest.split_at(end.unwrap_or(rest.len()));
        self.rest = rest;
        Some(unquote(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_values_and_the_last_one_counts() {
        let line = CommandLine::new("  init=/bin/sh pleat.selftest=on quiet\tpleat.selftest=only a=b=c ");
        assert_eq!(line.get("init"), Some("/bin/sh"));
        assert_eq!(line.get("pleat.selftest"), Some("only"));
        assert_eq!(line.get("quiet"), Some(""));
        assert_eq!(line.get("a"), Some("b=c"));
        assert_eq!(line.get("pleat"), None);
        assert_eq!(line.init_arguments().next(), None);
    }

    #[test]
    fn what_follows_two_dashes_is_init_s() {
        let line = CommandLine::new("root=x -- storm --all init=no --");
        assert_eq!(line.init_arguments().collect::<Vec<_>>(), ["storm", "--all", "init=no", "--"]);
        assert_eq!(line.get("init"), None);
        assert_eq!(line.words().collect::<Vec<_>>(), ["root=x"]);
        assert_eq!(CommandLine::new("--").words().count(), 0);
        assert_eq!(CommandLine::new("a-- --b").init_arguments().count(), 0);
    }

    #[test]
    fn quotes_keep_blanks_together() {
        let line = CommandLine::new(r#"a="x -- y" "b c" -- "d e" f"#);
        assert_eq!(line.get("a"), Some("x -- y"));
        assert_eq!(line.words().collect::<Vec<_>>(), [r#"a="x -- y""#, "b c"]);
        assert_eq!(line.init_arguments().collect::<Vec<_>>(), ["d e", "f"]);
        assert_eq!(CommandLine::new(r#"" -- unterminated"#).init_arguments().count(), 0);
    }

    #[test]
    fn an_empty_line_has_nothing() {
        let line = CommandLine::new("");
        assert_eq!((line.words().count(), line.get("")), (0, None));
    }
}
