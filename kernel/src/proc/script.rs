//! Scripts: files that begin with `#!` and name the program that is to read them.

/// What the first line of a script says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script<'a> {
    /// The path of the program.
    pub interpreter: &'a [u8],
    /// The one argument that it gets before the script's path.
    pub argument: Option<&'a [u8]>,
}

/// Bytes that the first line may have (Linux: `BINPRM_BUF_SIZE`).
const LINE_BYTES: usize = 256;

/// Reads the first line of a file that begins with `head`; `None` if it is no script, or names no program.
pub fn parse(head: &[u8]) -> Option<Script<'_>> {
    let line = head.strip_prefix(b"#!")?;
    let cut_off = line.len() > LINE_BYTES - 2;
    let limit = line.len().min(LINE_BYTES - 2);
    let end = line[..limit].iter().position(|byte| matches!(byte, b'\n' | 0));
    // A line that is cut off is good if the program's name is all there.
    let line = trim(&line[..end.unwrap_or(limit)]);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let (interpreter, rest) = match line.iter().position(is_blank) {
        Some(blank) => (&line[..blank], trim(&line[blank..])),
        None if end.is_none() && cut_off => return None,
        None => (line, &[][..]),
    };
    if interpreter.is_empty() {
        return None;
    }
    Some(Script { interpreter, argument: (!rest.is_empty()).then_some(rest) })
}

/// Without blanks at both ends.
fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = line {
        line = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_program_and_argument() {
        let script = |interpreter, argument| Some(Script { interpreter, argument });
        assert_eq!(parse(b"#!/bin/sh\necho"), script(&b"/bin/sh"[..], None));
        assert_eq!(parse(b"#! /bin/awk  -f  -v \nx"), script(&b"/bin/awk"[..], Some(&b"-f  -v"[..])));
        assert_eq!(parse(b"#!/bin/sh"), script(&b"/bin/sh"[..], None));
        for none in [&b""[..], b"#", b"#!", b"#!\n", b"#! \t\n", b"\x7fELF", b" #!/bin/sh\n"] {
            assert_eq!(parse(none), None);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_behind_the_program_s_name() {
        let mut long = b"#!/bin/sh ".to_vec();
        long.resize(1000, b'x');
        assert_eq!(parse(&long).map(|script| script.argument.map(<[u8]>::len)), Some(Some(LINE_BYTES - 10)));
        let mut name = b"#!".to_vec();
        name.resize(1000, b'x');
        assert_eq!(parse(&name), None);
    }
}
