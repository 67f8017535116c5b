//! Stream sockets within this machine: Unix sockets by path or abstract name, and TCP to 127.0.0.1 over the same machinery.
//!
//! A connection is two pipes, one for each direction. A listener has a queue of connections that were made and not
//! accepted; it is found by its address in a table of all listeners.
//!
//! ```text
//!   client: Stream { in: Reader <--- pipe --- Writer :out } server
//!                  { out: Writer --- pipe ---> Reader :in }
//! ```
//!
//! Locks: a socket's state, then the table of listeners, then a listener's queue; none is held while bytes move or a call
//! waits. Dropping a connection's ends wakes the other side.

pub mod address;
mod listener;

use linux_raw_sys::general as linux;
use spin::Mutex;

use crate::errno::{Errno, Result};
use crate::fs::channel::pipe::{Reader, Writer, pipe};
use crate::fs::environment::Environment;
use crate::fs::transfer::Transfer;
use crate::util::Ref;
use address::{Address, Family};
use listener::Listener;

/// What a socket is now.
enum State {
    /// Nothing yet but perhaps a name.
    New,
    /// It waits for connections.
    Listening(Ref<Listener>),
    /// It is one side of a connection.
    Connected(Stream),
}

/// One side of a connection. A direction that was shut down is gone.
struct Stream {
    input: Option<Ref<Reader>>,
    output: Option<Ref<Writer>>,
    peer: Address,
}

/// A socket.
pub struct Socket {
    family: Family,
    inner: Mutex<Inner>,
}

struct Inner {
    state: State,
    local: Address,
}

/// The directions that shutdown(2) ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// SHUT_RD.
    Read,
    /// SHUT_WR.
    Write,
    /// SHUT_RDWR.
    Both,
}

impl Socket {
    /// A socket that is connected to nothing.
    pub fn new(family: Family) -> Self {
        Socket { family, inner: Mutex::new(Inner { state: State::New, local: Address::Unnamed(family) }) }
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn pair() -> Result<(Socket, Socket)> {
        let unnamed = Address::Unnamed(Family::Unix);
        let (one, other) = streams(unnamed.clone(), unnamed.clone())?;
        let socket = |stream| Self::connected(Family::Unix, stream, Address::Unnamed(Family::Unix));
        Ok((socket(one), socket(other)))
    }

    fn connected(family: Family, stream: Stream, local: Address) -> Self {
        Socket { family, inner: Mutex::new(Inner { state: State::Connected(stream), local }) }
    }

    /// Which kind it is.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Its own name.
    pub fn local(&self) -> Address {
        self.inner.lock().local.clone()
    }

    /// The name of the other side.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn peer(&self) -> Result<Address> {
        match &self.inner.lock().state {
            State::Connected(stream) => Ok(stream.peer.clone()),
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// Whether it waits for connections.
    pub fn is_listening(&self) -> bool {
        matches!(self.inner.lock().state, State::Listening(_))
    }

    /// Gives it a name. That of port 0 is any that is free.
    ///
    /// # Errors
    /// `EINVAL`: it has one; `EADDRINUSE`: somebody listens there.
    pub fn bind(&self, address: Address) -> Result<()> {
        let mut inner = self.inner.lock();
        if !matches!((&inner.state, &inner.local), (State::New, Address::Unnamed(_))) {
            return Err(Errno::EINVAL);
        }
        inner.local = match address {
            Address::Port(0) => Address::Port(listener::free_port()?),
            address if listener::find(&address).is_some() => return Err(Errno::EADDRINUSE),
            address => address,
        };
        Ok(())
    }

    /// Lets others connect; up to `backlog` of them wait to be accepted.
    ///
    /// # Errors
    /// `EINVAL`: a Unix socket without a name, or one that is connected; `EADDRINUSE`; `ENOMEM`.
    pub fn listen(&self, backlog: usize) -> Result<()> {
        let mut inner = self.inner.lock();
        match &inner.state {
            State::Connected(_) => return Err(Errno::EINVAL),
            State::Listening(listener) => {
                listener.set_backlog(backlog);
                return Ok(());
            }
            State::New => {}
        }
        match &inner.local {
            Address::Unnamed(Family::Unix) => return Err(Errno::EINVAL),
            Address::Unnamed(Family::Inet) => inner.local = Address::Port(listener::free_port()?),
            _ => {}
        }
        inner.state = State::Listening(listener::listen(inner.local.clone(), backlog)?);
        Ok(())
    }

    /// Takes a connection that was made, and waits for one unless `nonblocking`.
    ///
    /// # Errors
    /// `EINVAL`: it does not listen; `EAGAIN`; `EINTR`.
    pub fn accept(&self, nonblocking: bool) -> Result<Socket> {
        let listener = match &self.inner.lock().state {
            State::Listening(listener) => listener.clone(),
            _ => return Err(Errno::EINVAL),
        };
        let stream = listener.accept(nonblocking)?;
        Ok(Self::connected(self.family, stream, self.local()))
    }

    /// Connects to who listens at `address`, and waits for room in its queue unless `nonblocking`.
    ///
    /// # Errors
    /// `ECONNREFUSED`: nobody listens there; `EISCONN`; `EINVAL`: it listens itself; `EAGAIN`; `EINTR`; `ENOMEM`.
    pub fn connect(&self, address: &Address, nonblocking: bool) -> Result<()> {
        let local = {
            let mut inner = self.inner.lock();
            match (&inner.state, &inner.local) {
                (State::Connected(_), _) => return Err(Errno::EISCONN),
                (State::Listening(_), _) => return Err(Errno::EINVAL),
                (State::New, Address::Unnamed(Family::Inet)) => {
                    inner.local = Address::Port(listener::free_port()?);
                }
                _ => {}
            }
            inner.local.clone()
        };
        let listener = listener::find(address).ok_or(Errno::ECONNREFUSED)?;
        let (ours, theirs) = streams(address.clone(), local)?;
        listener.connect(theirs, nonblocking)?;
        let mut inner = self.inner.lock();
        if matches!(inner.state, State::Connected(_)) {
            return Err(Errno::EISCONN); // another thread was faster
        }
        inner.state = State::Connected(ours);
        Ok(())
    }

    fn input(&self) -> Result<Option<Ref<Reader>>> {
        match &self.inner.lock().state {
            State::Connected(stream) => Ok(stream.input.clone()),
            _ => Err(Errno::ENOTCONN),
        }
    }

    /// Receives bytes; 0 at the end of what the other side sends.
    ///
    /// # Errors
    /// `ENOTCONN`; `EAGAIN`, `EINTR`, `EFAULT`, `ENOMEM`, as from a pipe.
    pub fn receive(&self, io: &mut dyn Transfer, nonblocking: bool) -> Result<usize> {
        self.input()?.map_or(Ok(0), |input| input.read(io, nonblocking))
    }

    /// Copies bytes that have come and leaves them there (MSG_PEEK).
    ///
    /// # Errors
    /// As [`receive`](Self::receive).
    pub fn peek(&self, to: &mut [u8], nonblocking: bool) -> Result<usize> {
        self.input()?.map_or(Ok(0), |input| input.peek(to, nonblocking))
    }

    /// Sends bytes. `signal` says that SIGPIPE is sent if nobody receives them any more.
    ///
    /// # Errors
    /// `ENOTCONN`; `EPIPE`: the other side is closed; `EAGAIN`, `EINTR`, `EFAULT`, `ENOMEM`, as to a pipe.
    pub fn send(
        &self,
        env: &dyn Environment,
        io: &mut dyn Transfer,
        nonblocking: bool,
        signal: bool,
    ) -> Result<usize> {
        let output = match &self.inner.lock().state {
            State::Connected(stream) => stream.output.clone(),
            _ => return Err(Errno::ENOTCONN),
        };
        let sent = output.map_or(Err(Errno::EPIPE), |output| output.write_quietly(io, nonblocking));
        if signal && sent == Err(Errno::EPIPE) {
            env.raise_sigpipe();
        }
        sent
    }

    /// Ends a direction, or both.
    ///
    /// # Errors
    /// `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> Result<()> {
        let mut inner = self.inner.lock();
        let State::Connected(stream) = &mut inner.state else { return Err(Errno::ENOTCONN) };
        let input = if how == Shutdown::Write { None } else { stream.input.take() };
        let output = if how == Shutdown::Read { None } else { stream.output.take() };
        drop(inner);
        drop((input, output)); // wakes the other side
        Ok(())
    }

    /// How many bytes have come.
    pub fn waiting(&self) -> usize {
        self.input().ok().flatten().map_or(0, |input| input.waiting())
    }

    /// What poll finds.
    pub fn readiness(&self) -> u32 {
        const IN: u32 = linux::POLLIN | linux::POLLRDNORM;
        const OUT: u32 = linux::POLLOUT | linux::POLLWRNORM;
        match &self.inner.lock().state {
            State::New => OUT | linux::POLLHUP,
            State::Listening(listener) => {
                if listener.is_empty() {
                    0
                } else {
                    IN
                }
            }
            State::Connected(stream) => {
                let input = stream.input.as_ref().map_or(linux::POLLHUP, |input| input.readiness());
                let ended = input & linux::POLLHUP != 0;
                let output = stream.output.as_ref().map_or(OUT, |output| output.readiness());
                let closed = output & linux::POLLERR != 0 || stream.output.is_none();
                // At the end of the input a read returns at once, and if nobody receives a write does.
                let input = if ended { IN | linux::POLLRDHUP } else { input };
                let output = if output & linux::POLLERR != 0 { OUT } else { output };
                input | output | if ended && closed { linux::POLLHUP } else { 0 }
            }
        }
    }

    /// How often its readiness may have changed.
    pub fn generation(&self) -> u64 {
        match &self.inner.lock().state {
            State::New => 0,
            State::Listening(listener) => listener.generation(),
            State::Connected(stream) => {
                let input = stream.input.as_ref().map_or(0, |input| input.generation());
                let output = stream.output.as_ref().map_or(0, |output| output.generation());
                input.wrapping_add(output).wrapping_add(1)
            }
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let State::Listening(listener) = &self.inner.get_mut().state {
            listener::close(listener);
        }
    }
}

/// The two sides of a connection: of who connects, from `local` to `remote`, and of who accepts.
fn streams(remote: Address, local: Address) -> Result<(Stream, Stream)> {
    let ((here, to_here), (there, to_there)) = (pipe()?, pipe()?);
    let ours =
        Stream { input: Some(Ref::try_new(here)?), output: Some(Ref::try_new(to_there)?), peer: remote };
    let theirs =
        Stream { input: Some(Ref::try_new(there)?), output: Some(Ref::try_new(to_here)?), peer: local };
    Ok((ours, theirs))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
