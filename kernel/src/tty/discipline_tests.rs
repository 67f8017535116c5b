//! Lines, keys, echo and signals, as typed.

use super::*;

fn type_in(tty: &mut Discipline, keys: &[u8]) -> (Vec<u8>, Vec<u32>) {
    let (mut shown, mut signals) = (Vec::new(), Vec::new());
    for key in keys {
        signals.extend(tty.typed(*key, |echo| shown.extend(echo)));
    }
    (shown, signals)
}

fn echo(tty: &mut Discipline, keys: &[u8]) -> Vec<u8> {
    type_in(tty, keys).0
}

fn read(tty: &mut Discipline, len: usize) -> Option<Vec<u8>> {
    let mut to = vec![0; len];
    let count = tty.read(&mut to)?;
    to.truncate(count);
    Some(to)
}

fn with(change: impl FnOnce(&mut Termios)) -> Discipline {
    let mut tty = Discipline::new();
    let mut termios = *tty.termios();
    change(&mut termios);
    tty.set_termios(termios);
    tty
}

#[test]
fn input_comes_by_lines() {
    let mut tty = Discipline::new();
    assert_eq!(echo(&mut tty, b"ls"), b"ls");
    assert!(read(&mut tty, 9).is_none() && !tty.is_readable());
    assert_eq!(echo(&mut tty, b"\rps\nx"), b"\nps\nx");
    assert_eq!(tty.available(), 6);
    assert_eq!(read(&mut tty, 2).unwrap(), b"ls");
    assert_eq!(read(&mut tty, 9).unwrap(), b"\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"ps\n");
    assert_eq!(read(&mut tty, 9), None);
}

#[test]
fn keys_erase_within_the_line_only() {
    let mut tty = Discipline::new();
    echo(&mut tty, b"a\n");
    assert_eq!(echo(&mut tty, b"\x7fbc\x7f"), b"bc\x08 \x08");
    assert_eq!(echo(&mut tty, b"de\x15f\n"), b"de\x08 \x08\x08 \x08\x08 \x08f\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"a\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"f\n");
    echo(&mut tty, b"one two,  \x17x\n");
    assert_eq!(read(&mut tty, 99).unwrap(), b"one x\n");
    echo(&mut tty, "gr\u{fc}\x7f\x7f\n".as_bytes());
    assert_eq!(read(&mut tty, 99).unwrap(), b"g\n");
}

#[test]
fn control_characters_are_shown_and_erased_as_two() {
    let mut tty = Discipline::new();
    assert_eq!(echo(&mut tty, b"\x01"), b"^A");
    assert_eq!(echo(&mut tty, b"\x7f"), b"\x08 \x08\x08 \x08");
    assert_eq!(echo(&mut tty, b"\x16\x03x\n"), b"^Cx\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"\x03x\n");
    assert_eq!(echo(&mut tty, b"ab\x12"), b"ab^R\nab");
}

#[test]
fn control_d_ends_the_input_or_the_line() {
    let mut tty = Discipline::new();
    echo(&mut tty, b"\x04");
    assert_eq!(read(&mut tty, 9).unwrap(), b"");
    assert_eq!(read(&mut tty, 9), None);
    echo(&mut tty, b"ab\x04cd\n");
    assert_eq!(read(&mut tty, 2).unwrap(), b"ab");
    assert_eq!(read(&mut tty, 9).unwrap(), b"cd\n");
    assert_eq!(read(&mut tty, 9), None);
}

#[test]
fn keys_are_signals_and_drop_what_was_typed() {
    let mut tty = Discipline::new();
    assert_eq!(type_in(&mut tty, b"ab\x03"), (b"ab^C".to_vec(), vec![SIGINT]));
    assert_eq!(type_in(&mut tty, b"\x1c\x1a").1, [SIGQUIT, SIGTSTP]);
    echo(&mut tty, b"\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"\n");
    let mut tty = with(|termios| termios.local |= linux::NOFLSH);
    echo(&mut tty, b"ab\x03c\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"abc\n");
    let mut tty = with(|termios| termios.local &= !linux::ISIG);
    assert!(type_in(&mut tty, b"\x03").1.is_empty());
}

#[test]
fn raw_mode_hands_bytes_over_as_they_come() {
    let mut tty = with(|termios| {
        termios.local = 0;
        termios.input = 0;
    });
    assert_eq!(type_in(&mut tty, b"a\r\x03\x04\x7f"), (vec![], vec![]));
    assert!(tty.is_readable());
    assert_eq!(read(&mut tty, 3).unwrap(), b"a\r\x03");
    assert_eq!(read(&mut tty, 9).unwrap(), b"\x04\x7f");
    assert_eq!(read(&mut tty, 9), None);
}

#[test]
fn a_change_of_mode_keeps_what_was_typed() {
    let mut tty = Discipline::new();
    let lines = *tty.termios();
    let mut raw = lines;
    raw.local = 0;
    echo(&mut tty, b"abc");
    tty.set_termios(raw);
    assert_eq!(read(&mut tty, 1).unwrap(), b"a");
    tty.set_termios(lines);
    assert_eq!(read(&mut tty, 9).unwrap(), b"bc");
    assert_eq!(read(&mut tty, 9), None);
    echo(&mut tty, b"d");
    tty.flush();
    echo(&mut tty, b"\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"\n");
}

#[test]
fn returns_before_newlines_if_wanted() {
    let mut tty = with(|termios| termios.output |= linux::ONLCR);
    assert_eq!(echo(&mut tty, b"a\r"), b"a\r\n");
    let mut tty = with(|termios| termios.local &= !linux::ECHO);
    assert_eq!(echo(&mut tty, b"a\r"), b"");
}

#[test]
fn a_line_that_is_too_long_is_cut() {
    let mut tty = Discipline::new();
    echo(&mut tty, &[b'x'; 2 * RING_BYTES]);
    echo(&mut tty, b"\n");
    let line = read(&mut tty, 2 * RING_BYTES).unwrap();
    assert_eq!((line.len(), line[RING_BYTES - 1]), (RING_BYTES, b'\n'));
    echo(&mut tty, b"y\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"y\n");
    for _ in 0..RING_BYTES {
        echo(&mut tty, b"z\n");
    }
    assert_eq!(read(&mut tty, 9).unwrap(), b"z\n");
    echo(&mut tty, b"a\n");
    assert_eq!(read(&mut tty, 9).unwrap(), b"z\n");
}
