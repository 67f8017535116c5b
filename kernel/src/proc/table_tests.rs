//! Tests of the process table.

use super::super::group::{Group, Start};
use super::super::signal::SIGTSTP;
use super::super::signal::action::{Action, SIG_IGN};
use super::*;

fn spawn(table: &mut Table, parent: Option<TaskRef>) -> TaskRef {
    let group = parent.map_or(Start::FIRST, |parent| parent.group.for_child(SIGCHLD));
    let task = TaskRef::leaked_with(Group::begin(group), None);
    // SAFETY: new, and alive for ever.
    unsafe { table.insert(task, parent) }.unwrap();
    task
}

fn reap(table: &mut Table, parent: TaskRef, which: Which) -> Option<u32> {
    let Found::Zombie(zombie) = table.find_child(parent, which, Changes::END) else { return None };
    table.remove(zombie);
    Some(zombie.pid().get())
}

#[test]
fn a_number_is_not_used_again_while_it_is_visible() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let stays = spawn(&mut table, Some(init));
    let zombie = spawn(&mut table, Some(init));
    assert_eq!((init.pid().get(), stays.pid().get(), zombie.pid().get()), (1, 2, 3));
    table.exit(zombie, init);
    for round in 0..2 * PID_MAX {
        let child = spawn(&mut table, Some(init));
        assert!(child.pid().get() > 3 && child.pid().get() < PID_MAX, "round {round}");
        table.exit(child, init);
        assert_eq!(reap(&mut table, init, Which::Pid(child.pid())), Some(child.pid().get()));
    }
    assert!(table.lookup(zombie.pid()) == Some(zombie) && table.count == 3);
}

#[test]
fn a_walk_meets_everybody_once_whoever_is_struck_off_meanwhile() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let children: Vec<_> = (0..3 * BUCKETS).map(|_| spawn(&mut table, Some(init))).collect();
    let even = |task: TaskRef| task.pid().get().is_multiple_of(2);
    let (mut after, mut met) = (0, Vec::new());
    while let Some(task) = table.following(after, even) {
        after = task.pid().get();
        met.push(after);
        // Every other one that it meets is gone before it goes on.
        if met.len().is_multiple_of(2) {
            table.exit(task, init);
            reap(&mut table, init, Which::Pid(task.pid())).unwrap();
        }
    }
    met.sort_unstable();
    let expected = children.iter().filter(|task| even(**task)).map(|task| task.pid().get());
    assert!(met.into_iter().eq(expected));
    assert!(Table::new().following(0, |_| true).is_none());
}

#[test]
fn thousands_of_children_then_eagain() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    for _ in 1..MAX_PROCESSES {
        spawn(&mut table, Some(init));
    }
    // SAFETY: new, and alive for ever.
    assert_eq!(unsafe { table.insert(TaskRef::leaked(), Some(init)) }, Err(Errno::EAGAIN));
    assert_eq!(table.iter().count(), MAX_PROCESSES as usize);
    table.exit(table.lookup(Pid::new(77).unwrap()).unwrap(), init);
    assert_eq!(reap(&mut table, init, Which::Any), Some(77));
    spawn(&mut table, Some(init));
}

#[test]
fn only_the_parent_s_zombies_are_found_oldest_first() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let shell = spawn(&mut table, Some(init));
    let (a, b) = (spawn(&mut table, Some(shell)), spawn(&mut table, Some(shell)));
    assert!(matches!(table.find_child(shell, Which::Any, Changes::END), Found::Alive));
    assert!(matches!(table.find_child(init, Which::Pid(a.pid()), Changes::END), Found::Nobody));
    table.exit(b, init);
    assert!(matches!(table.find_child(shell, Which::Pid(a.pid()), Changes::END), Found::Alive));
    table.exit(a, init);
    assert_eq!(reap(&mut table, shell, Which::Any), Some(b.pid().get()));
    assert_eq!(reap(&mut table, shell, Which::Any), Some(a.pid().get()));
    assert!(matches!(table.find_child(shell, Which::Any, Changes::END), Found::Nobody));
    assert!(matches!(table.find_child(shell, Which::Pid(a.pid()), Changes::END), Found::Nobody));
}

#[test]
fn orphans_go_to_init_dead_or_alive() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let parent = spawn(&mut table, Some(init));
    let (alive, dead) = (spawn(&mut table, Some(parent)), spawn(&mut table, Some(parent)));
    alive.group.exit_signal.set(9);
    assert!(!table.exit(dead, init));
    assert!(table.exit(parent, init), "init must be told of the zombie it inherits");
    assert_eq!(alive.group.exit_signal.get(), SIGCHLD, "init gets no signal that it does not expect");
    assert!(alive.parent.get() == Some(init) && dead.parent.get() == Some(init));
    assert_eq!(reap(&mut table, init, Which::Pid(dead.pid())), Some(dead.pid().get()));
    assert_eq!(reap(&mut table, init, Which::Any), Some(parent.pid().get()));
    assert!(matches!(table.find_child(init, Which::Any, Changes::END), Found::Alive));
}

#[test]
fn no_zombie_for_a_parent_that_ignores_sigchld() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let parent = spawn(&mut table, Some(init));
    let child = spawn(&mut table, Some(parent));
    let ignore = Action { handler: SIG_IGN, ..Action::default() };
    parent.group.actions.lock().set(SIGCHLD, ignore).unwrap();
    table.exit(child, init);
    assert!(table.lookup(child.pid()).is_none());
    assert!(matches!(table.find_child(parent, Which::Any, Changes::END), Found::Nobody));
    assert_eq!(child.state.load(Relaxed), DETACHED);
}

#[test]
fn threads_have_numbers_but_are_nobody_s_children() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let process = spawn(&mut table, Some(init));
    let thread = TaskRef::leaked_with(Group::new(), Some(process));
    // SAFETY: new, and alive for ever.
    let number = unsafe { table.insert_thread(thread) }.unwrap();
    assert!(table.lookup(number) == Some(thread) && table.process(number).is_none());
    assert!(table.threads(process).eq([process, thread]));
    assert!(matches!(table.find_child(init, Which::Pid(number), Changes::END), Found::Nobody));
    assert_eq!((table.processes().count(), table.iter().count()), (2, 3));
    table.remove_thread(thread);
    assert!(table.lookup(number).is_none() && table.threads(process).eq([process]));
    assert_eq!(process.group.live.load(SeqCst), 1);
}

#[test]
fn stops_are_found_by_those_who_ask() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let (other, child) = (spawn(&mut table, Some(init)), spawn(&mut table, Some(init)));
    table.move_to(child, child.pid(), Pid::NONE);
    child.group.report.set(Report::Stopped(SIGTSTP));
    let stops = Changes { stopped: true, ..Changes::END };
    let find = |which, changes| table.find_child(init, which, changes);
    assert!(matches!(find(Which::Any, Changes::END), Found::Alive));
    assert!(matches!(find(Which::Any, stops), Found::Changed(found) if found == child));
    assert!(matches!(find(Which::Group(child.pid()), stops), Found::Changed(found) if found == child));
    assert!(matches!(find(Which::Group(other.pid()), stops), Found::Nobody));
    assert!(matches!(find(Which::Pid(other.pid()), stops), Found::Alive));
}

#[test]
fn a_number_is_not_used_again_while_a_group_has_it() {
    let mut table = Table::new();
    let init = spawn(&mut table, None);
    let (leader, member) = (spawn(&mut table, Some(init)), spawn(&mut table, Some(init)));
    let number = leader.pid();
    table.move_to(leader, number, number);
    table.move_to(member, number, number);
    table.exit(leader, init);
    reap(&mut table, init, Which::Pid(number)).unwrap();
    for _ in 0..PID_MAX {
        let child = spawn(&mut table, Some(init));
        assert!(child.pid() != number);
        table.exit(child, init);
        reap(&mut table, init, Which::Any).unwrap();
    }
    table.exit(member, init);
    reap(&mut table, init, Which::Any).unwrap();
    let all = (0..PID_MAX).map(|_| {
        let child = spawn(&mut table, Some(init));
        table.exit(child, init);
        reap(&mut table, init, Which::Any).unwrap()
    });
    assert!(all.into_iter().any(|pid| pid == number.get()));
}
