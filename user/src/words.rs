//! A shell's command line, taken apart: words, quotes and operators (POSIX, Shell Command Language, 2.3).
//!
//! Words are copied into one buffer, each with a NUL behind it, so that they can be handed to `execve` as they are.

/// Bytes of a line's words at most, with their NULs.
pub const LINE_BYTES: usize = 4096;
/// Tokens of a line at most.
pub const TOKENS: usize = 256;

/// What separates words, or says where a command's input and output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `|`
    Pipe,
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;`, or the end of a line
    Then,
    /// `<`
    From,
    /// `>`
    To,
    /// `>>`
    Append,
}

/// A piece of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// A word: where it begins among the bytes.
    Word(usize),
    /// An operator.
    Operator(Operator),
}

/// Why a line cannot be taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A quote is not closed.
    Quote,
    /// Too many words, or too many bytes.
    TooLong,
    /// An operator that this shell does not have: `&` alone.
    Unknown,
}

/// A line's tokens.
pub struct Line {
    bytes: [u8; LINE_BYTES],
    used: usize,
    tokens: [Token; TOKENS],
    count: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Line {
    /// Nothing.
    pub const fn new() -> Self {
        Line { bytes: [0; LINE_BYTES], used: 0, tokens: [Token::Word(0); TOKENS], count: 0 }
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens[..self.count]
    }

    /// The word that begins at `start`, without its NUL.
    pub fn word(&self, start: usize) -> &[u8] {
        let rest = &self.bytes[start.min(self.used)..self.used];
        &rest[..rest.iter().position(|b| *b == 0).unwrap_or(rest.len())]
    }

    /// Takes `text` apart; what was there before is gone.
    ///
    /// # Errors
    /// See [`Mistake`].
    pub fn parse(&mut self, text: &[u8]) -> Result<(), Mistake> {
        (self.used, self.count) = (0, 0);
        let mut at = 0;
        while let Some(byte) = text.get(at).copied() {
            let next = text.get(at + 1).copied();
            let (operator, len) = match (byte, next) {
                (b' ' | b'\t', _) => {
                    at += 1;
                    continue;
                }
                (b'#', _) => break,
                (b'|', Some(b'|')) => (Operator::Or, 2),
                (b'|', _) => (Operator::Pipe, 1),
                (b'&', Some(b'&')) => (Operator::And, 2),
                (b'&', _) => return Err(Mistake::Unknown),
                (b';' | b'\n', _) => (Operator::Then, 1),
                (b'<', _) => (Operator::From, 1),
                (b'>', Some(b'>')) => (Operator::Append, 2),
                (b'>', _) => (Operator::To, 1),
                _ => {
                    at = self.take_word(text, at)?;
                    continue;
                }
            };
            self.push(Token::Operator(operator))?;
            at += len;
        }
        Ok(())
    }

    /// Copies the word at `at`; returns where it ends.
    fn take_word(&mut self, text: &[u8], mut at: usize) -> Result<usize, Mistake> {
        self.push(Token::Word(self.used))?;
        let mut quote = None;
        while let Some(byte) = text.get(at).copied() {
            at += 1;
            match (byte, quote) {
                (b'\'' | b'"', None) => quote = Some(byte),
                (_, Some(open)) if byte == open => quote = None,
                (b'\\', None) => {
                    self.put(text.get(at).copied().ok_or(Mistake::Quote)?)?;
                    at += 1;
                }
                (b'\\', Some(b'"')) if matches!(text.get(at), Some(b'"' | b'\\')) => {
                    self.put(text[at])?;
                    at += 1;
                }
                (b' ' | b'\t' | b'\n' | b'|' | b'&' | b';' | b'<' | b'>', None) => {
                    at -= 1;
                    break;
                }
                _ => self.put(byte)?,
            }
        }
        if quote.is_some() {
            return Err(Mistake::Quote);
        }
        self.put(0)?;
        Ok(at)
    }

    fn put(&mut self, byte: u8) -> Result<(), Mistake> {
        *self.bytes.get_mut(self.used).ok_or(Mistake::TooLong)? = byte;
        self.used += 1;
        Ok(())
    }

    fn push(&mut self, token: Token) -> Result<(), Mistake> {
        *self.tokens.get_mut(self.count).ok_or(Mistake::TooLong)? = token;
        self.count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<String>, Mistake> {
        let mut line = Line::new();
        line.parse(text.as_bytes())?;
        let show = |token: &Token| match token {
            Token::Word(start) => String::from_utf8(line.word(*start).to_vec()).unwrap(),
            Token::Operator(operator) => format!("{operator:?}"),
        };
        Ok(line.tokens().iter().map(show).collect())
    }

    #[test]
    fn words_are_separated_by_blanks_and_operators() {
        assert_eq!(parsed("ls  -l\t/x").unwrap(), ["ls", "-l", "/x"]);
        assert_eq!(
            parsed("a|b||c&&d;e<f>g>>h").unwrap(),
            ["a", "Pipe", "b", "Or", "c", "And", "d", "Then", "e", "From", "f", "To", "g", "Append", "h"]
        );
        assert_eq!(parsed("a # b").unwrap(), ["a"]);
        assert_eq!(parsed("a#b").unwrap(), ["a#b"]);
        assert!(parsed("").unwrap().is_empty());
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(parsed("'a b'c \"d 'e\" f\\ g ''").unwrap(), ["a bc", "d 'e", "f g", ""]);
        assert_eq!(parsed(r#""a\"b" '\'"#).unwrap(), ["a\"b", "\\"]);
        assert_eq!(parsed("'a"), Err(Mistake::Quote));
        assert_eq!(parsed("a\\"), Err(Mistake::Quote));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(parsed("a & b"), Err(Mistake::Unknown));
        assert_eq!(parsed(&"a ".repeat(TOKENS + 1)), Err(Mistake::TooLong));
        assert_eq!(parsed(&"a".repeat(LINE_BYTES)), Err(Mistake::TooLong));
        assert_eq!(parsed(&"a".repeat(LINE_BYTES - 1)).unwrap().len(), 1);
    }
}
