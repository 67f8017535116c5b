//! Running what a line says.

use core::ffi::{CStr, c_char};
use core::ptr;

use user::println;
use user::sys::file::{self, Fd};
use user::sys::process::{self, Pid};
use user::sys::{Errno, tree};
use user::text::Text;
use user::words::{Line, Operator, Token};

/// Words of one command at most.
const MAX_WORDS: usize = 128;
/// What a shell reports for a program that cannot be started.
const NOT_FOUND: i32 = 127;

/// What goes on from line to line.
pub struct Shell {
    /// The last command's status.
    pub status: i32,
    /// `exit` was called.
    pub done: bool,
}

/// One command of a pipeline.
struct Command<'a> {
    line: &'a Line,
    tokens: &'a [Token],
}

impl Shell {
    /// Nothing has happened yet.
    pub fn new() -> Self {
        Shell { status: 0, done: false }
    }

    /// Runs a line's pipelines, those that their operators let run.
    pub fn run(&mut self, line: &Line) {
        let mut before = Operator::Then;
        let ends =
            |token: &Token| matches!(token, Token::Operator(Operator::And | Operator::Or | Operator::Then));
        let mut rest = line.tokens();
        while !rest.is_empty() && !self.done {
            let end = rest.iter().position(ends).unwrap_or(rest.len());
            let wanted = match before {
                Operator::And => self.status == 0,
                Operator::Or => self.status != 0,
                _ => true,
            };
            if wanted && end > 0 {
                self.pipeline(line, &rest[..end]);
            }
            if let Some(Token::Operator(operator)) = rest.get(end) {
                before = *operator;
            }
            rest = rest.get(end + 1..).unwrap_or(&[]);
        }
    }

    fn pipeline(&mut self, line: &Line, tokens: &[Token]) {
        let is_pipe = |token: &Token| *token == Token::Operator(Operator::Pipe);
        let last = tokens.split(is_pipe).count() - 1;
        if last == 0 && self.builtin(&Command { line, tokens }) {
            return;
        }
        let (mut input, mut child) = (None, None);
        for (index, tokens) in tokens.split(is_pipe).enumerate() {
            let pipe = if index < last { file::pipe(file::CLOSE_ON_EXEC).ok() } else { None };
            let output = pipe.map(|pipe| pipe.write);
            match process::fork() {
                Ok(0) => Command { line, tokens }.exec(input, output),
                Ok(pid) => child = Some(pid),
                Err(errno) => println!("sh: cannot fork: {errno}"),
            }
            for fd in [input, output].into_iter().flatten() {
                let _ = file::close(fd);
            }
            input = pipe.map(|pipe| pipe.read);
        }
        self.status = child.map_or(NOT_FOUND, wait);
    }

    /// Does what the shell itself has to do; returns whether that was it.
    fn builtin(&mut self, command: &Command<'_>) -> bool {
        let mut words = command.words();
        let name = words.next().unwrap_or(b"");
        let argument = words.next();
        match name {
            b"exit" => {
                let code = argument.and_then(|word| core::str::from_utf8(word).ok()?.parse().ok());
                self.status = code.unwrap_or(self.status);
                self.done = true;
            }
            b"cd" => {
                let text = argument.and_then(|word| core::str::from_utf8(word).ok()).unwrap_or("/");
                let path: Text<256> = Text::format(format_args!("{text}\0"));
                let went = CStr::from_bytes_with_nul(path.as_bytes())
                    .map_err(|_| Errno::ENAMETOOLONG)
                    .and_then(tree::chdir);
                self.status = i32::from(went.is_err());
                if let Err(errno) = went {
                    println!("sh: cd {text}: {errno}");
                }
            }
            b"exec" if argument.is_some() => command.exec(None, None),
            _ => return false,
        }
        true
    }
}

/// Waits for `pid`, and whatever else ends meanwhile; returns its status.
fn wait(pid: Pid) -> i32 {
    loop {
        match process::wait_for(-1, 0) {
            Ok(Some((ended, status))) if ended == pid => return status.as_code(),
            Ok(_) => {}
            Err(_) => return NOT_FOUND,
        }
    }
}

impl Command<'_> {
    /// Its words, without what redirections name.
    fn words(&self) -> impl Iterator<Item = &[u8]> {
        self.starts().map(|start| self.line.word(start))
    }

    fn starts(&self) -> impl Iterator<Item = usize> {
        let mut names_file = false;
        self.tokens.iter().filter_map(move |token| match token {
            Token::Word(start) => (!core::mem::replace(&mut names_file, false)).then_some(*start),
            Token::Operator(_) => {
                names_file = true;
                None
            }
        })
    }

    /// Becomes the program, with these ends of pipes as input and output unless the command says otherwise.
    fn exec(&self, input: Option<Fd>, output: Option<Fd>) -> ! {
        for (fd, target) in [(input, 0), (output, 1)] {
            if let Some(fd) = fd
                && let Err(errno) = file::duplicate(fd, target)
            {
                fail(b"pipe", errno);
            }
        }
        self.redirect();
        let mut argv = [ptr::null::<c_char>(); MAX_WORDS + 1];
        let mut count = 0;
        let skip = usize::from(self.words().next() == Some(b"exec"));
        for start in self.starts().skip(skip).take(MAX_WORDS) {
            argv[count] = self.line.word(start).as_ptr().cast();
            count += 1;
        }
        let name = self.words().nth(skip).unwrap_or(b"");
        if name.is_empty() {
            process::exit(0);
        }
        let envp = [c"PATH=/bin:/usr/bin".as_ptr(), c"HOME=/".as_ptr(), ptr::null()];
        let text = core::str::from_utf8(name).unwrap_or("?");
        let mut errno = Errno::ENOENT;
        for directory in if name.contains(&b'/') { &[""][..] } else { &["/bin/", "/usr/bin/"] } {
            let path: Text<256> = Text::format(format_args!("{directory}{text}\0"));
            if let Ok(path) = CStr::from_bytes_with_nul(path.as_bytes()) {
                errno = process::execve(path, &argv[..=count], &envp);
            }
        }
        fail(name, errno)
    }

    fn redirect(&self) {
        for pair in self.tokens.windows(2) {
            let [Token::Operator(operator), Token::Word(start)] = *pair else { continue };
            let name = self.line.word(start);
            let text: Text<256> =
                Text::format(format_args!("{}\0", core::str::from_utf8(name).unwrap_or("?")));
            let path = CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or(c"");
            let (opened, target) = match operator {
                Operator::From => (file::open(path, file::READ_ONLY), 0),
                Operator::To => (tree::create(path, tree::TRUNCATE), 1),
                Operator::Append => (tree::create(path, tree::APPEND), 1),
                _ => continue,
            };
            if let Err(errno) = opened.and_then(|fd| file::duplicate(fd, target)) {
                fail(name, errno);
            }
        }
    }
}

fn fail(name: &[u8], errno: Errno) -> ! {
    println!("sh: {}: {errno}", core::str::from_utf8(name).unwrap_or("?"));
    process::exit(NOT_FOUND)
}
