//! Tests of the timers of processes.

use super::super::signal::SIGALRM;
use super::*;

const MS: u64 = 1_000_000;
const ALARM: Notify = Notify { signal: SIGALRM, value: None, thread: None };
const SILENT: Notify = Notify { signal: 0, ..ALARM };

/// The numbers of those that go off by `now`, of which none waits, or all do.
fn ring(timers: &mut Timers, now: u64, waits: bool) -> Vec<u64> {
    let mut values = Vec::new();
    timers.ring(now, |due| {
        values.push(due.info.rest[1]);
        waits
    });
    values
}

#[test]
fn they_go_off_once_or_again_and_again() {
    let (mut timers, me) = (Timers::new(), TaskRef::leaked());
    let once = timers.create(me, Notify { value: Some(7), ..ALARM }).unwrap();
    let often = timers.create(me, ALARM).unwrap();
    assert_eq!((once, often, timers.next()), (0, 1, NEVER));
    assert_eq!(timers.set(me, once, [50 * MS, 0], 0).unwrap().0, [0, 0]);
    timers.set(me, often, [40 * MS, 10 * MS], 0).unwrap();
    assert_eq!(timers.next(), 40 * MS);
    assert_eq!(ring(&mut timers, 39 * MS, false), []);
    assert_eq!(timers.left(me, often, 39 * MS), Ok([MS, 10 * MS]));
    assert_eq!(ring(&mut timers, 55 * MS, false), [7, 1]);
    assert_eq!(timers.next(), 60 * MS, "in step");
    assert_eq!(timers.left(me, once, 55 * MS), Ok([0, 0]));
    assert_eq!(timers.set(me, often, [NEVER, 5], 56 * MS).unwrap().0, [4 * MS, 10 * MS]);
    assert_eq!((timers.next(), timers.left(me, often, 99)), (NEVER, Ok([0, 0])));
}

#[test]
fn overruns_are_counted_until_the_signal_is_taken() {
    let (mut timers, me) = (Timers::new(), TaskRef::leaked());
    let id = timers.create(me, ALARM).unwrap();
    let key = timers.set(me, id, [10 * MS, MS], 0).unwrap().1;
    assert_eq!(ring(&mut timers, 12 * MS, false), [0], "at 10, and overruns at 11 and 12");
    assert_eq!(ring(&mut timers, 13 * MS, true), [0]);
    assert_eq!(timers.next(), 13 * MS + WAITING_NS, "it is left alone while its signal waits");
    assert_eq!(timers.overruns(me, id), Ok(0), "nothing has been told");
    assert_eq!(timers.taken(key, 15 * MS + 1), 5);
    assert_eq!((timers.overruns(me, id), timers.next()), (Ok(5), 16 * MS));
    assert_eq!(ring(&mut timers, 16 * MS, false), [0]);
    assert_eq!(timers.taken(key, 16 * MS), 0, "they are told once");
}

#[test]
fn one_that_is_always_due_lets_others_run() {
    let (mut timers, me) = (Timers::new(), TaskRef::leaked());
    let id = timers.create(me, ALARM).unwrap();
    let key = timers.set(me, id, [7, 1], 0).unwrap().1;
    assert_eq!(ring(&mut timers, MS, false), [0]);
    assert_eq!(timers.next(), MS + SLACK_NS);
    assert_eq!(timers.taken(key, MS + 10), (MS + 10 - 7) as u32);
    timers.set(me, id, [7, 1], 0).unwrap();
    assert_eq!(ring(&mut timers, u64::from(u32::MAX), false), [0]);
    assert_eq!(timers.taken(key, u64::from(u32::MAX)), i32::MAX as u32, "as many as can be told");
}

#[test]
fn one_without_a_signal_only_shows_its_time() {
    let (mut timers, me) = (Timers::new(), TaskRef::leaked());
    let id = timers.create(me, SILENT).unwrap();
    timers.set(me, id, [100, 30], 0).unwrap();
    assert_eq!(timers.next(), NEVER);
    assert_eq!(ring(&mut timers, 1000, false), []);
    assert_eq!([99, 100, 135].map(|now| timers.left(me, id, now).unwrap()[0]), [1, 30, 25]);
    timers.set(me, id, [100, 0], 0).unwrap();
    assert_eq!(timers.left(me, id, 100), Ok([0, 0]));
    let told = timers.create(me, ALARM).unwrap();
    timers.set(me, told, [100, 0], 0).unwrap();
    assert_eq!(timers.left(me, told, 100), Ok([1, 0]), "about to go off");
}

#[test]
fn each_process_has_its_own() {
    let (mut timers, [me, other]) = (Timers::new(), [TaskRef::leaked(), TaskRef::leaked()]);
    let ids = [me, me, other].map(|owner| timers.create(owner, ALARM).unwrap());
    assert_eq!(ids, [0, 1, 0]);
    assert_eq!(timers.left(other, 1, 0), Err(Errno::EINVAL));
    assert!(timers.delete(me, 0).is_ok() && timers.delete(me, 0) == Err(Errno::EINVAL));
    assert_eq!(timers.create(me, ALARM), Ok(2));
    timers.delete_all(me);
    assert_eq!((timers.count(), timers.left(other, 0, 0)), (1, Ok([0, 0])));
    while timers.count() < LIMIT {
        timers.create(me, ALARM).unwrap();
    }
    assert_eq!(timers.create(other, ALARM), Err(Errno::EAGAIN));
    assert_eq!(timers.taken(u64::MAX, 0), 0, "a signal of one that is gone");
}
