use super::*;
use crate::fs::testing::{Memory, World};
use linux::{POLLHUP, POLLIN, POLLOUT, POLLRDHUP};

const EVENTS: u32 = POLLIN | POLLOUT | POLLHUP | POLLRDHUP;

fn send(socket: &Socket, bytes: &[u8]) -> Result<usize> {
    socket.send(&World::default(), &mut Memory::of(bytes), true, false)
}

fn receive(socket: &Socket) -> Result<std::vec::Vec<u8>> {
    let mut to = Memory::sized(99);
    socket.receive(&mut to, true)?;
    Ok(to.moved().to_vec())
}

/// A socket that listens at a name of the test's own.
fn listening(name: &str, backlog: usize) -> (Socket, Address) {
    let (socket, address) = (Socket::new(Family::Unix), Address::Abstract(name.as_bytes().to_vec()));
    socket.bind(address.clone()).unwrap();
    socket.listen(backlog).unwrap();
    (socket, address)
}

#[test]
fn a_pair_talks_both_ways() {
    let (a, b) = Socket::pair().unwrap();
    assert_eq!(receive(&a), Err(Errno::EAGAIN));
    assert_eq!((send(&a, b"ping"), send(&b, b"pong!")), (Ok(4), Ok(5)));
    assert_eq!((a.waiting(), a.readiness() & EVENTS), (5, POLLIN | POLLOUT));
    let mut peeked = [0; 2];
    assert_eq!((b.peek(&mut peeked, true), &peeked), (Ok(2), b"pi"));
    assert_eq!((receive(&a).unwrap(), receive(&b).unwrap()), (b"pong!".to_vec(), b"ping".to_vec()));
}

#[test]
fn a_side_that_is_gone_ends_the_input_and_breaks_the_output() {
    let (a, b) = Socket::pair().unwrap();
    send(&b, b"last").unwrap();
    b.shutdown(Shutdown::Write).unwrap();
    assert_eq!(a.readiness() & EVENTS, POLLIN | POLLOUT | POLLRDHUP);
    assert_eq!((receive(&a).unwrap(), receive(&a).unwrap()), (b"last".to_vec(), vec![]));
    assert_eq!(send(&b, b"x"), Err(Errno::EPIPE));
    assert_eq!(send(&a, b"x"), Ok(1), "one direction goes on");
    drop(b);
    let world = World::default();
    assert_eq!(a.send(&world, &mut Memory::of(b"x"), true, true), Err(Errno::EPIPE));
    assert_eq!(world.sigpipes.load(core::sync::atomic::Ordering::Relaxed), 1);
    assert_eq!(a.readiness() & EVENTS, EVENTS);
}

#[test]
fn connections_are_accepted_in_order() {
    let (server, address) = listening("order", 2);
    assert_eq!(server.accept(true).err(), Some(Errno::EAGAIN));
    let clients = [(); 3].map(|()| Socket::new(Family::Unix));
    assert_eq!(clients[0].connect(&address, true), Ok(()));
    send(&clients[0], b"first").unwrap();
    assert_eq!(clients[1].connect(&address, true), Ok(()));
    assert_eq!(clients[2].connect(&address, true), Err(Errno::EAGAIN), "the queue is full");
    assert_eq!(clients[0].connect(&address, true), Err(Errno::EISCONN));
    assert_eq!((server.readiness() & EVENTS, server.generation()), (POLLIN, 2));
    let first = server.accept(true).unwrap();
    assert_eq!(receive(&first).unwrap(), b"first");
    assert_eq!((first.local(), clients[0].peer()), (address.clone(), Ok(address.clone())));
    assert_eq!(clients[2].connect(&address, true), Ok(()));
    drop(server);
    assert_eq!(receive(&clients[1]).unwrap(), b"", "who was not accepted is cut off");
    assert_eq!(Socket::new(Family::Unix).connect(&address, true), Err(Errno::ECONNREFUSED));
}

#[test]
fn names_are_one_socket_s_at_a_time() {
    let (_server, address) = listening("name", 1);
    let other = Socket::new(Family::Unix);
    assert_eq!(other.listen(1), Err(Errno::EINVAL));
    assert_eq!(other.bind(address), Err(Errno::EADDRINUSE));
    assert_eq!(other.bind(Address::Abstract(b"other".to_vec())), Ok(()));
    assert_eq!(other.bind(Address::Abstract(b"third".to_vec())), Err(Errno::EINVAL));
    assert_eq!(
        (other.peer(), send(&other, b"x"), receive(&other)),
        (Err(Errno::ENOTCONN), Err(Errno::ENOTCONN), Err(Errno::ENOTCONN))
    );
}

#[test]
fn ports_are_given_out() {
    let server = Socket::new(Family::Inet);
    server.bind(Address::Port(0)).unwrap();
    server.listen(5).unwrap();
    let Address::Port(port) = server.local() else { panic!() };
    let client = Socket::new(Family::Inet);
    client.connect(&Address::Port(port), true).unwrap();
    let accepted = server.accept(true).unwrap();
    assert_eq!((accepted.peer(), accepted.local()), (Ok(client.local()), Address::Port(port)));
    assert_ne!(client.local(), server.local());
}

#[test]
fn an_accept_waits_for_a_connect() {
    let (server, address) = listening("wait", 1);
    std::thread::scope(|scope| {
        let accepted = scope.spawn(|| server.accept(false).unwrap());
        let client = Socket::new(Family::Unix);
        client.connect(&address, false).unwrap();
        send(&client, b"hi").unwrap();
        assert_eq!(receive(&accepted.join().unwrap()).unwrap(), b"hi");
    });
}
