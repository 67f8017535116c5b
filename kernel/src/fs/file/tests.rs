use super::*;
use crate::fs::channel::pipe::pipe;
use crate::fs::generated::ProcessFile;
use crate::fs::testing::{Memory, World, memory, store};
use crate::mm::block_policy::BlockSetting;
use crate::mm::policy::{self, Setting};
use linux::{O_NONBLOCK, O_PATH, O_RDONLY, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET};
use std::vec::Vec;

const NODE: Place = Place::permanent(Node::ROOT);

fn stored(data: &'static [u8], flags: u32) -> OpenFile {
    OpenFile::new(Target::File(NODE, Contents::new(store(), data).unwrap()), flags)
}

fn regular() -> OpenFile {
    stored(b"0123456789", O_RDONLY)
}

fn read(file: &OpenFile, world: &World, len: usize) -> Result<Vec<u8>> {
    let mut to = Memory::sized(len);
    let count = file.read(world, &mut to)?;
    assert_eq!(count, to.moved().len());
    Ok(to.moved().to_vec())
}

#[test]
fn reads_advance_and_end() {
    let (file, world) = (regular(), World::default());
    assert_eq!(read(&file, &world, 4).unwrap(), b"0123");
    assert_eq!(read(&file, &world, 100).unwrap(), b"456789");
    assert_eq!(read(&file, &world, 100).unwrap(), b"");
    assert_eq!(read(&file, &world, 0).unwrap(), b"");
    let mut to = Memory::sized(3);
    assert_eq!(file.read_at(&world, &mut to, 8), Ok(2));
    assert_eq!(to.moved(), b"89");
    assert_eq!(file.read_at(&world, &mut Memory::sized(3), u64::MAX), Ok(0));
    assert_eq!(file.write(&world, &mut Memory::of(b"x")), Err(Errno::EBADF));
}

#[test]
fn a_fault_leaves_the_position_behind_what_was_copied() {
    let (file, world) = (regular(), World::default());
    assert_eq!(file.read(&world, &mut Memory::sized(8).faulting(0)), Err(Errno::EFAULT));
    assert_eq!(file.read(&world, &mut Memory::sized(8).faulting(3)), Ok(3));
    assert_eq!(read(&file, &world, 2).unwrap(), b"34");
    assert_eq!(file.read_at(&world, &mut Memory::sized(8).faulting(0), 0), Err(Errno::EFAULT));
}

#[test]
fn only_stored_contents_are_mapped() {
    let backing = |file: OpenFile| match file.backing(PAGE_SIZE, 4096) {
        Ok(Backing::Object { object, page }) => {
            memory().object_put(object);
            Ok(page)
        }
        Ok(_) => Ok(0),
        Err(error) => Err(error),
    };
    assert_eq!(backing(regular()), Ok(1));
    let device = |device, flags| backing(OpenFile::new(Target::Device(NODE, device), flags));
    assert_eq!(device(Device::Null, O_RDWR), Err(Errno::ENODEV));
    assert_eq!(device(Device::Null, O_WRONLY), Err(Errno::EACCES));
    assert_eq!(
        (device(Device::Mem, O_RDONLY), device(Device::Mem, O_WRONLY)),
        (Err(Errno::EPERM), Err(Errno::EACCES))
    );
    assert_eq!(device(Device::Zero, O_RDWR), Ok(0));
    assert_eq!(backing(OpenFile::new(Target::Place(NODE), O_PATH)), Err(Errno::EBADF));
}

#[test]
fn writes_go_where_they_should() {
    let world = World::default();
    let file = stored(b"0123456789", O_RDWR);
    file.seek(8, SEEK_SET).unwrap();
    assert_eq!(file.write(&world, &mut Memory::of(b"abc")), Ok(3));
    assert_eq!(file.write_at(&world, &mut Memory::of(b"xy"), 1), Ok(2));
    assert_eq!(file.seek(0, SEEK_CUR), Ok(11));
    file.set_flags(linux::O_APPEND);
    assert_eq!(file.write_at(&world, &mut Memory::of(b"!"), 1), Ok(1));
    file.seek(0, SEEK_SET).unwrap();
    assert_eq!(file.write(&world, &mut Memory::of(b"?")), Ok(1));
    assert_eq!(file.seek(0, SEEK_CUR), Ok(13), "behind what was appended");
    file.seek(0, SEEK_SET).unwrap();
    assert_eq!(read(&file, &world, 99).unwrap(), b"0xy34567abc!?");
    assert_eq!(file.write(&world, &mut Memory::of(b"12345").faulting(2)), Ok(2));
    assert_eq!(file.write(&world, &mut Memory::of(b"12345").faulting(0)), Err(Errno::EFAULT));
    assert_eq!(file.write(&world, &mut Memory::of(b"")), Ok(0));
    let long = vec![7; 300_000];
    assert_eq!(file.write(&world, &mut Memory::of(&long)), Ok(300_000));
    assert_eq!(file.seek(0, SEEK_END), Ok(300_015));
    assert_eq!(file.seek(1, linux::SEEK_HOLE), Ok(300_015));
    assert_eq!(file.seek(300_015, linux::SEEK_DATA), Err(Errno::ENXIO));
}

#[test]
fn memory_that_is_full_cuts_a_write_short() {
    let world = World::default();
    let free = memory().free_pages();
    let file = stored(b"", O_RDWR);
    let all = vec![1; (memory().object_limit() * PAGE_SIZE) as usize + 300_000];
    let written = file.write(&world, &mut Memory::of(&all)).unwrap();
    assert!(written < all.len() && written as u64 >= memory().object_limit() * PAGE_SIZE, "{written}");
    assert_eq!(file.write(&world, &mut Memory::of(&all)), Err(Errno::ENOSPC));
    drop(file);
    assert_eq!(memory().free_pages(), free);
}

#[test]
fn sizes_are_set_and_mappings_told() {
    let world = World::default();
    let file = stored(b"0123456789", O_RDWR);
    let (place, contents) = file.regular().unwrap();
    regular::resize(&world, place, contents, 4).unwrap();
    assert_eq!(*world.unmapped.lock(), [], "nobody has it mapped");
    memory().object_put(contents.to_map());
    regular::resize(&world, place, contents, 2).unwrap();
    let told = world.unmapped.lock();
    assert!(told.len() == 1 && told[0] == (1..u64::MAX));
    drop(told);
    regular::resize(&world, place, contents, 3 * PAGE_SIZE).unwrap();
    regular::allocate(&world, place, contents, 0, (4 * PAGE_SIZE, 1)).unwrap();
    assert_eq!(contents.len(), 4 * PAGE_SIZE + 1);
    let keep = linux::FALLOC_FL_KEEP_SIZE;
    regular::allocate(&world, place, contents, keep, (6 * PAGE_SIZE, 1)).unwrap();
    assert_eq!(contents.len(), 4 * PAGE_SIZE + 1);
    let punch = linux::FALLOC_FL_PUNCH_HOLE | keep;
    regular::allocate(&world, place, contents, punch, (0, 5)).unwrap();
    assert_eq!(read(&file, &world, 3).unwrap(), [0; 3]);
    let outcome = |mode, range| regular::allocate(&world, place, contents, mode, range);
    assert_eq!(outcome(0, (0, 0)), Err(Errno::EINVAL));
    assert_eq!(outcome(0, (i64::MAX as u64, 1)), Err(Errno::EFBIG));
    assert_eq!(outcome(linux::FALLOC_FL_COLLAPSE_RANGE, (0, PAGE_SIZE)), Err(Errno::EOPNOTSUPP));
}

#[test]
fn seeking_is_checked() {
    let (file, world) = (regular(), World::default());
    assert_eq!(file.seek(-3, SEEK_END), Ok(7));
    assert_eq!(file.seek(1, SEEK_CUR), Ok(8));
    assert_eq!(read(&file, &world, 9).unwrap(), b"89");
    assert_eq!(file.seek(-1, SEEK_SET), Err(Errno::EINVAL));
    assert_eq!(file.seek(i64::MAX, SEEK_SET), Ok(i64::MAX as u64));
    assert_eq!(file.seek(1, SEEK_CUR), Err(Errno::EINVAL));
    assert_eq!(read(&file, &world, 9).unwrap(), b"");
    assert_eq!(file.seek(0, 9), Err(Errno::EINVAL));
    let (reader, _writer) = pipe().unwrap();
    let pipe = OpenFile::new(Target::PipeReader(reader, 1), O_RDONLY);
    assert_eq!(pipe.seek(0, SEEK_SET), Err(Errno::ESPIPE));
    assert_eq!(pipe.read_at(&world, &mut Memory::sized(1), 0), Err(Errno::ESPIPE));
}

#[test]
fn generated_text_is_kept_until_it_is_read_from_the_start_again() {
    let world = World { pids: vec![4], ..World::default() };
    let file = OpenFile::new(Target::Generated(NODE, Generated::Vmstat), O_RDONLY);
    assert_eq!(read(&file, &world, 3).unwrap(), b"Vms");
    assert_eq!(read(&file, &world, 99).unwrap(), b"tat 0\n");
    assert_eq!(read(&file, &world, 99).unwrap(), b"");
    file.seek(0, SEEK_SET).unwrap();
    assert_eq!(read(&file, &world, 99).unwrap(), b"Vmstat 1\n");
    let mut to = Memory::sized(99);
    assert_eq!(file.read_at(&world, &mut to, 0), Ok(9));
    assert_eq!(to.moved(), b"Vmstat 2\n");
    assert_eq!(file.seek(0, SEEK_END), Err(Errno::EINVAL));
    let gone = Target::Generated(NODE, Generated::Process(5, ProcessFile::Maps));
    assert_eq!(read(&OpenFile::new(gone, O_RDONLY), &world, 9), Err(Errno::ESRCH));
}

#[test]
fn settings_take_exactly_one_word() {
    let world = World::default();
    let size =
        OpenFile::new(Target::Generated(NODE, Generated::FolioSizePolicy(policy::Memory::Anon, 4)), O_WRONLY);
    assert_eq!(size.write(&world, &mut Memory::of(b"inherit\n")), Ok(8));
    assert_eq!(*world.policy.lock(), Some((policy::Memory::Anon, Some(4), Setting::Inherit)));
    let all = OpenFile::new(Target::Generated(NODE, Generated::FolioPolicy(policy::Memory::Shared)), O_RDWR);
    assert_eq!(all.write(&world, &mut Memory::of(b"never")), Ok(5));
    assert_eq!(*world.policy.lock(), Some((policy::Memory::Shared, None, Setting::Never)));
    let cow = OpenFile::new(Target::Generated(NODE, Generated::BlockPolicy(BlockSetting::Cow)), O_WRONLY);
    assert_eq!(cow.write(&world, &mut Memory::of(b"page\n")), Ok(5));
    assert_eq!(world.blocks.cow_order(), 0);
    assert_eq!(cow.write(&world, &mut Memory::of(b"never")), Err(Errno::EINVAL));
    assert_eq!(all.write(&world, &mut Memory::of(b"inherit")), Err(Errno::EINVAL));
    let swap = OpenFile::new(Target::Generated(NODE, Generated::SwapSize), O_WRONLY);
    assert_eq!(swap.write(&world, &mut Memory::of(b"4M\n")), Ok(3));
    assert_eq!(swap.write(&world, &mut Memory::of(b"4M\n\n")), Err(Errno::EINVAL));
    assert_eq!(all.write(&world, &mut Memory::of(&[b'a'; 5000])), Err(Errno::EINVAL));
    assert_eq!(all.write(&world, &mut Memory::of(b"never").faulting(3)), Err(Errno::EFAULT));
    assert_eq!(*world.policy.lock(), Some((policy::Memory::Shared, None, Setting::Never)));
}

#[test]
fn devices_do_what_their_names_say() {
    let world = World { typed: spin::Mutex::new(b"ls\n".to_vec()), ..World::default() };
    let open = |device, flags| OpenFile::new(Target::Device(NODE, device), flags);
    let null = open(Device::Null, O_RDWR);
    assert_eq!(read(&null, &world, 5).unwrap(), b"");
    assert_eq!(null.write(&world, &mut Memory::of(b"abc").faulting(0)), Ok(3));
    assert_eq!(null.seek(77, SEEK_SET), Ok(0));
    let zero = open(Device::Zero, O_RDWR);
    assert!(read(&zero, &world, 9000).unwrap() == [0; 9000]);
    assert_eq!(zero.read(&world, &mut Memory::sized(9000).faulting(4100)), Ok(4100));
    assert_eq!(zero.read(&world, &mut Memory::sized(1).faulting(0)), Err(Errno::EFAULT));
    assert!(read(&open(Device::Random, O_RDONLY), &world, 300).unwrap() == [0xa5; 300]);

    let mem = open(Device::Mem, O_RDWR);
    assert_eq!(read(&mem, &world, 5), Err(Errno::EFAULT));
    assert_eq!(mem.write(&world, &mut Memory::of(b"abc")), Err(Errno::EFAULT));

    let console = open(Device::Console, O_RDWR | O_NONBLOCK);
    assert_eq!(console.write(&world, &mut Memory::of(&[b'x'; 600])), Ok(600));
    assert_eq!(console.write(&world, &mut Memory::of(b"yyz").faulting(2)), Ok(2));
    assert_eq!(world.console.lock().len(), 602);
    assert_eq!(read(&console, &world, 99).unwrap(), b"ls\n");
    assert_eq!(read(&console, &world, 99), Err(Errno::EAGAIN));
    assert_eq!(console.seek(0, SEEK_SET), Err(Errno::ESPIPE));
}

#[test]
fn long_transfers_let_others_run_and_can_be_killed() {
    let zero = OpenFile::new(Target::Device(NODE, Device::Zero), O_RDONLY);
    let (patient, killed) = (World::default(), World { killed: true, ..World::default() });
    assert_eq!(zero.read(&patient, &mut Memory::sized(300_000)), Ok(300_000));
    assert_eq!(patient.breaths.load(core::sync::atomic::Ordering::Relaxed), 4);
    assert_eq!(zero.read(&killed, &mut Memory::sized(300_000)), Ok(BREATH_BYTES));
    let console = OpenFile::new(Target::Device(NODE, Device::Console), O_WRONLY);
    assert_eq!(console.write(&killed, &mut Memory::sized(300_000)), Ok(BREATH_BYTES));
}

#[test]
fn access_modes_are_kept_and_status_flags_change() {
    let (reader, writer) = pipe().unwrap();
    let (reader, writer) = (
        OpenFile::new(Target::PipeReader(reader, 9), O_RDONLY),
        OpenFile::new(Target::PipeWriter(writer, 9), O_WRONLY),
    );
    let world = World::default();
    assert_eq!(writer.write(&world, &mut Memory::of(b"abc")), Ok(3));
    assert_eq!(reader.write(&world, &mut Memory::of(b"abc")), Err(Errno::EBADF));
    assert_eq!(read(&writer, &world, 3), Err(Errno::EBADF));
    assert_eq!(read(&reader, &world, 3).unwrap(), b"abc");
    reader.set_flags(O_NONBLOCK | O_RDWR);
    assert_eq!(reader.flags() & (O_NONBLOCK | linux::O_ACCMODE), O_NONBLOCK | O_RDONLY);
    assert_eq!(read(&reader, &world, 3), Err(Errno::EAGAIN));

    let place = OpenFile::new(Target::Place(NODE), O_PATH);
    assert_eq!(read(&place, &world, 1), Err(Errno::EBADF));
    assert_eq!(place.seek(0, SEEK_SET), Err(Errno::EBADF));
    assert_eq!(read(&OpenFile::new(Target::Dir(NODE), O_RDONLY), &world, 1), Err(Errno::EISDIR));
}
