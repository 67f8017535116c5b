//! System calls on sockets: streams within this machine (`fs::channel::socket`).

use linux_raw_sys::general as linux;
use linux_raw_sys::net;

use super::event::insert;
use super::file::start;
use super::file::user::{UserBuffers, vector};
use super::user_ptr::UserPtr;
use crate::arch::uaccess::{copy_from_user, copy_to_user};
use crate::errno::{Errno, Result};
use crate::fs;
use crate::fs::channel::pipe;
use crate::fs::channel::socket::address::{Address, Family};
use crate::fs::channel::socket::{Shutdown, Socket};
use crate::fs::environment::Environment;
use crate::fs::file::{OpenFile, Target};
use crate::fs::kernel::Kernel;
use crate::fs::span::Span;
use crate::fs::transfer::Transfer;
use crate::fs::tree::{Inode, Kind};
use crate::proc::current_files;
use crate::util::Ref;

/// Linux: include/uapi/linux/in.h.
const IPPROTO_IP: u32 = 0;
/// As above.
const IPPROTO_TCP: u32 = 6;
/// Bytes of any address at most.
const ADDRESS_BYTES: usize = 110;
/// The type's bits of the argument `type` of socket(2).
const TYPE_MASK: u32 = 0xf;

fn file(arg: u64) -> Result<Ref<OpenFile>> {
    current_files().lock().get(arg as u32 as usize)
}

fn socket_of(file: &OpenFile) -> Result<&Socket> {
    match file.target() {
        Target::Socket(socket, _) => Ok(socket),
        _ => Err(Errno::ENOTSOCK),
    }
}

fn insert_socket(socket: Socket, flags: u32) -> Result<usize> {
    let kept = linux::O_RDWR | flags & linux::O_NONBLOCK;
    let target = Target::Socket(socket, pipe::next_inode_number());
    insert(target, kept, flags & linux::O_CLOEXEC != 0)
}

/// Family and flags of the arguments of socket(2).
fn kind(family: u64, kind: u64, protocol: u64) -> Result<(Family, u32)> {
    let (kind, flags) = (kind as u32 & TYPE_MASK, kind as u32 & !TYPE_MASK);
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let family = match family as u32 {
        net::AF_UNIX => Family::Unix,
        net::AF_INET => Family::Inet,
        _ => return Err(Errno::EAFNOSUPPORT),
    };
    if kind != net::SOCK_STREAM {
        return Err(Errno::ESOCKTNOSUPPORT);
    }
    match (family, protocol as u32) {
        (_, 0) | (Family::Unix, 1) | (Family::Inet, IPPROTO_TCP) => Ok((family, flags)),
        _ => Err(Errno::EPROTONOSUPPORT),
    }
}

/// socket(family, type, protocol).
pub fn socket(args: &[u64; 6]) -> Result<usize> {
    let (family, flags) = kind(args[0], args[1], args[2])?;
    insert_socket(Socket::new(family), flags)
}

/// socketpair(family, type, protocol, descriptors).
pub fn socketpair(args: &[u64; 6]) -> Result<usize> {
    let (family, flags) = kind(args[0], args[1], args[2])?;
    if family != Family::Unix {
        return Err(Errno::EOPNOTSUPP);
    }
    let (one, other) = Socket::pair()?;
    let one = insert_socket(one, flags)?;
    let close = |fd| {
        let closed = current_files().lock().close(fd);
        drop(closed); // not under the lock
    };
    let other = insert_socket(other, flags).inspect_err(|_| close(one))?;
    UserPtr::new(args[3]).write([one as u32, other as u32]).inspect_err(|_| {
        close(one);
        close(other);
    })?;
    Ok(0)
}

/// Reads an address that a program gives.
fn address(at: u64, len: u64, family: Family) -> Result<Address> {
    let mut bytes = [0; ADDRESS_BYTES];
    let len = usize::try_from(len as i32).map_err(|_| Errno::EINVAL)?.min(bytes.len());
    copy_from_user(&mut bytes[..len], at as usize)?;
    Address::parse(&bytes[..len], family)
}

/// Writes an address where a program has room for `len` bytes of it, and how long it is.
fn put_address(address: &Address, at: u64, len: u64) -> Result<()> {
    if at == 0 {
        return Ok(());
    }
    let len = UserPtr::<u32>::new(len);
    let room = usize::try_from(len.read()? as i32).map_err(|_| Errno::EINVAL)?;
    let mut bytes = [0; ADDRESS_BYTES];
    let count = address.write(&mut bytes);
    copy_to_user(at as usize, &bytes[..count.min(room)])?;
    len.write(count as u32)
}

/// bind(fd, address, len): a path becomes a file.
pub fn bind(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let socket = socket_of(&file)?;
    let address = match address(args[1], args[2], socket.family())? {
        Address::Path(path, _) => {
            let start = start::Start::new(linux::AT_FDCWD as u64, &path)?;
            let spot = start::spot(&start, &path)?;
            let mode = 0o777 & !current_files().lock().umask();
            let now = Kernel.now();
            let mut tree = fs::root()?.lock();
            let inode = Inode::new(linux::S_IFSOCK | mode, Kind::Special(0, 0)).at(now);
            let id = tree.create(spot, inode).map_err(|error| match error {
                Errno::EEXIST => Errno::EADDRINUSE,
                other => other,
            })?;
            let path = tree.inode_path(id)?.ok_or(Errno::ENOENT)?;
            Address::Path(path, tree.inode(id).ino)
        }
        other => other,
    };
    socket.bind(address)?;
    Ok(0)
}

/// listen(fd, backlog).
pub fn listen(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    socket_of(&file)?.listen(args[1] as i32 as usize)?;
    Ok(0)
}

/// accept(fd, address, len).
pub fn accept(args: &[u64; 6]) -> Result<usize> {
    accept4(&[args[0], args[1], args[2], 0, 0, 0])
}

/// accept4(fd, address, len, flags).
pub fn accept4(args: &[u64; 6]) -> Result<usize> {
    let flags = args[3] as u32;
    if flags & !(linux::O_CLOEXEC | linux::O_NONBLOCK) != 0 {
        return Err(Errno::EINVAL);
    }
    let file = file(args[0])?;
    let accepted = socket_of(&file)?.accept(file.flags() & linux::O_NONBLOCK != 0)?;
    put_address(&accepted.peer()?, args[1], args[2])?;
    insert_socket(accepted, flags)
}

/// connect(fd, address, len).
pub fn connect(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let socket = socket_of(&file)?;
    let address = match address(args[1], args[2], socket.family())? {
        Address::Path(path, _) => {
            let place = start::place_of(linux::AT_FDCWD as u64, &path, 0)?;
            let id = place.id().ok_or(Errno::ECONNREFUSED)?;
            let tree = fs::root()?.lock();
            let path = tree.inode_path(id)?.ok_or(Errno::ECONNREFUSED)?;
            Address::Path(path, tree.inode(id).ino)
        }
        other => other,
    };
    socket.connect(&address, file.flags() & linux::O_NONBLOCK != 0)?;
    Ok(0)
}

/// getsockname(fd, address, len).
pub fn getsockname(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    put_address(&socket_of(&file)?.local(), args[1], args[2])?;
    Ok(0)
}

/// getpeername(fd, address, len).
pub fn getpeername(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    put_address(&socket_of(&file)?.peer()?, args[1], args[2])?;
    Ok(0)
}

/// shutdown(fd, how).
pub fn shutdown(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let how = match args[1] {
        0 => Shutdown::Read,
        1 => Shutdown::Write,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL),
    };
    socket_of(&file)?.shutdown(how)?;
    Ok(0)
}

fn waits(file: &OpenFile, flags: u32) -> bool {
    file.flags() & linux::O_NONBLOCK == 0 && flags & net::MSG_DONTWAIT == 0
}

fn send(file: &OpenFile, io: &mut dyn Transfer, flags: u32) -> Result<usize> {
    socket_of(file)?.send(&Kernel, io, !waits(file, flags), flags & net::MSG_NOSIGNAL == 0)
}

fn receive(file: &OpenFile, io: &mut dyn Transfer, flags: u32) -> Result<usize> {
    let socket = socket_of(file)?;
    let nonblocking = !waits(file, flags);
    if flags & net::MSG_PEEK != 0 {
        let mut bytes = [0; 1024];
        let len = io.remaining().min(bytes.len());
        let seen = socket.peek(&mut bytes[..len], nonblocking)?;
        return crate::fs::transfer::moved(io.put(&bytes[..seen]), seen);
    }
    let wanted = io.remaining();
    let mut done = socket.receive(io, nonblocking)?;
    while flags & net::MSG_WAITALL != 0 && !nonblocking && done > 0 && done < wanted {
        match socket.receive(io, false) {
            Ok(0) | Err(_) => break,
            Ok(count) => done += count,
        }
    }
    Ok(done)
}

/// sendto(fd, buffer, len, flags, address, address_len): an address means nothing to a stream.
pub fn sendto(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    send(&file, &mut UserBuffers::new(&[Span::new(args[1], args[2])?]), args[3] as u32)
}

/// recvfrom(fd, buffer, len, flags, address, address_len).
pub fn recvfrom(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let count = receive(&file, &mut UserBuffers::new(&[Span::new(args[1], args[2])?]), args[3] as u32)?;
    put_address(&Address::Unnamed(socket_of(&file)?.family()), args[4], args[5])?;
    Ok(count)
}

/// `struct msghdr` in words: name and its length, vector and its length, control data and its length, flags.
type Message = [u64; 7];

/// sendmsg(fd, message, flags). Control data cannot be sent.
pub fn sendmsg(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let [_, _, array, count, _, control, _] = UserPtr::<Message>::new(args[1]).read()?;
    if control != 0 {
        return Err(Errno::EOPNOTSUPP);
    }
    send(&file, &mut UserBuffers::new(&vector(array, count)?), args[2] as u32)
}

/// recvmsg(fd, message, flags).
pub fn recvmsg(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let pointer = UserPtr::<Message>::new(args[1]);
    let mut message = pointer.read()?;
    let received = receive(&file, &mut UserBuffers::new(&vector(message[2], message[3])?), args[2] as u32)?;
    // No name, no control data, no flags.
    for word in [1, 5, 6] {
        message[word] = 0;
    }
    pointer.write(message)?;
    Ok(received)
}

/// setsockopt(fd, level, option, value, len): what may be wished of a stream is so already, or makes no difference.
pub fn setsockopt(args: &[u64; 6]) -> Result<usize> {
    socket_of(&*file(args[0])?)?;
    match args[1] as u32 {
        net::SOL_SOCKET | IPPROTO_TCP | IPPROTO_IP if args[4] as u32 >= 4 => {
            UserPtr::<u32>::new(args[3]).read()?;
            Ok(0)
        }
        net::SOL_SOCKET | IPPROTO_TCP | IPPROTO_IP => Err(Errno::EINVAL),
        _ => Err(Errno::ENOPROTOOPT),
    }
}

/// getsockopt(fd, level, option, value, len).
pub fn getsockopt(args: &[u64; 6]) -> Result<usize> {
    let file = file(args[0])?;
    let socket = socket_of(&file)?;
    let unix = socket.family() == Family::Unix;
    let value: [u32; 3] = match (args[1] as u32, args[2] as u32) {
        (net::SOL_SOCKET, net::SO_ERROR) => [0; 3],
        (net::SOL_SOCKET, net::SO_TYPE) => [net::SOCK_STREAM, 0, 0],
        (net::SOL_SOCKET, net::SO_DOMAIN) => [if unix { net::AF_UNIX } else { net::AF_INET }, 0, 0],
        (net::SOL_SOCKET, net::SO_PROTOCOL) => [if unix { 0 } else { IPPROTO_TCP }, 0, 0],
        (net::SOL_SOCKET, net::SO_ACCEPTCONN) => [u32::from(socket.is_listening()), 0, 0],
        (net::SOL_SOCKET, net::SO_SNDBUF | net::SO_RCVBUF) => [pipe::PIPE_BYTES as u32, 0, 0],
        // Everybody is root; who the other side was is not kept.
        (net::SOL_SOCKET, net::SO_PEERCRED) if unix => [crate::proc::current_pid(), 0, 0],
        (net::SOL_SOCKET | IPPROTO_TCP | IPPROTO_IP, _) => [0; 3],
        _ => return Err(Errno::ENOPROTOOPT),
    };
    let credentials = args[1] as u32 == net::SOL_SOCKET && args[2] as u32 == net::SO_PEERCRED;
    let len = UserPtr::<u32>::new(args[4]);
    let room = usize::try_from(len.read()? as i32).map_err(|_| Errno::EINVAL)?;
    let count = room.min(if credentials { 12 } else { 4 });
    let mut bytes = [0; 12];
    for (to, word) in bytes.chunks_exact_mut(4).zip(value) {
        to.copy_from_slice(&word.to_ne_bytes());
    }
    copy_to_user(args[3] as usize, &bytes[..count])?;
    len.write(count as u32)?;
    Ok(0)
}
