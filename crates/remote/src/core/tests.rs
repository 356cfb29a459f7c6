//! Core files made by hand, whole and damaged.

use super::testing::{Builder, files, note, status, written};
use super::*;
use crate::memory::Memory;

fn open(builder: &Builder) -> Core {
    Core::open(builder.write().path(), &Lookup::default()).expect("a core")
}

fn error(bytes: &[u8]) -> String {
    let file = written(bytes);
    Core::open(file.path(), &Lookup::default()).expect_err("no core").to_string()
}

#[test]
fn who_it_was_and_why_it_ended() {
    let core = open(&Builder::new());
    assert_eq!((core.process.pid, core.process.parent, core.process.user), (70, 1, Some(1000)));
    assert_eq!((core.process.name.as_str(), core.process.command.as_str()), ("prog", "prog a b"));
    let signal = core.signal.expect("a signal");
    assert_eq!((signal.number, signal.address), (11, Some(0xdead)));
    let tids: Vec<i32> = core.threads.iter().map(|thread| thread.tid).collect();
    assert_eq!(tids, [70, 71]);
    let first = &core.threads[0];
    assert_eq!(
        (first.instruction(), first.stack_pointer(), first.frame_pointer()),
        (1016, 1019, 1004)
    );
    assert_eq!((first.thread_pointer, first.system_call), (Some(1021), Some(1015)));
    let arguments = first.system_call_arguments().expect("in a call");
    assert_eq!(arguments, [1014, 1013, 1012, 1007, 1009, 1008]);
    assert_eq!(core.cut, 0);
}

#[test]
fn a_core_of_a_living_process_has_no_signal() {
    let mut builder = Builder::new();
    builder.notes = status(5, 0, 0, 27);
    let mut info = vec![0; 128];
    info[0] = 19;
    builder.notes.extend(note("CORE", 0x5349_4749, &info));
    assert_eq!(open(&builder).signal, None);
    // A signal without details, and details of another signal.
    builder.notes = [status(5, 6, 0, 27), note("CORE", 0x5349_4749, &info)].concat();
    assert_eq!(open(&builder).signal, Some(Signal::bare(6)));
}

#[test]
fn registers_of_aarch64() {
    let mut builder = Builder::new();
    builder.machine = 183;
    builder.notes = [
        status(9, 7, 100, 34),
        note("LINUX", 0x401, &0x7777u64.to_le_bytes()),
        note("LINUX", 0x404, &98i32.to_le_bytes()),
        status(10, 7, 200, 34),
        note("LINUX", 0x404, &(-1i32).to_le_bytes()),
    ]
    .concat();
    let core = open(&builder);
    assert_eq!(core.machine, Machine::Aarch64);
    let [one, two] = &core.threads[..] else { panic!("two threads") };
    assert_eq!((one.instruction(), one.stack_pointer(), one.frame_pointer()), (132, 131, 129));
    assert_eq!((one.link_register(), one.thread_pointer), (Some(130), Some(0x7777)));
    assert_eq!((one.system_call, two.system_call, two.thread_pointer), (Some(98), None, None));
    assert_eq!(one.system_call_arguments().expect("in a call")[0], 100);
}

#[test]
fn system_calls_that_the_kernel_of_aarch64_forgot() {
    let mut builder = Builder::new();
    builder.machine = 183;
    let mut code = vec![0; 4096];
    code[24..28].copy_from_slice(&0xd400_0001u32.to_le_bytes());
    builder.segments = vec![(0, code.clone(), 4096, 5), (8192 - 24, code, 4096, 5)];
    let none = || note("LINUX", 0x404, &(-1i32).to_le_bytes());
    builder.notes = [
        // Register 32 is the program counter.
        status(9, 0, 8192 - 32, 34),
        none(),
        status(10, 0, (-4i64) as u64, 34),
        none(),
        status(11, 0, 8192 - 28, 34),
        none(),
    ]
    .concat();
    let core = open(&builder);
    let [again, interrupted, behind] = &core.threads[..] else { panic!("three threads") };
    assert_eq!(again.system_call, Some(8192 - 32 + 8));
    assert_eq!(again.system_call_arguments().expect("in a call")[0], 8192 - 32);
    assert_eq!((interrupted.system_call, interrupted.system_call_arguments()), (Some(4), None));
    assert_eq!(behind.system_call, None, "it was done");
}

/// An ELF file with a build id, two pages.
fn library(id: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
    bytes[20] = 1;
    bytes[32] = 64;
    bytes[52] = 64;
    bytes[54] = 56;
    bytes[56] = 2;
    let mut program = |kind: u32, at: u64, size: u64| {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(4u32.to_le_bytes());
        for number in [at, at, at, size, size, 4] {
            bytes.extend(number.to_le_bytes());
        }
    };
    program(1, 0, 8192);
    program(4, 0x200, 36);
    bytes.resize(0x200, 0);
    bytes.extend(note("GNU", 3, &[id; 20]));
    bytes.resize(4096, 0);
    bytes.extend([b'x'; 4000]);
    bytes
}

/// The core of a program that had `path` mapped, of which the core has the first page.
fn with_library(path: &str, has: &[u8]) -> Builder {
    Builder::new()
        .segment(0x10_0000, &has[..4096], 4096, 4)
        .segment(0x10_1000, &[], 4096, 5)
        .segment(0x10_2000, &[7; 100], 4096, 6)
        .notes(&files(&[(0x10_0000, 0x10_1000, 0, path), (0x10_1000, 0x10_2000, 4096, path)]))
}

#[test]
fn pages_come_from_the_core_then_from_the_file() {
    let file = written(&library(1));
    let path = file.path().to_str().expect("unicode");
    let core = open(&with_library(path, &library(1)));
    assert_eq!(core.files[0].verdict, Verdict::Same(file.path().to_owned()));
    assert_eq!(core.modules[0].path, path);
    assert_eq!(core.modules[0].file.as_deref(), Some(file.path()));
    assert_eq!(core.modules[0].mappings.len(), 3, "with the anonymous one behind it");
    let memory = &core.memory;
    // Across the border from one to the other, and past the end of the file.
    let bytes = memory.bytes(0x10_0ffe, 4002).expect("readable");
    assert_eq!((&bytes[..3], bytes[4001]), (&[0, 0, b'x'][..], b'x'));
    assert_eq!(memory.bytes(0x10_1f9f, 4), Ok(vec![b'x', 0, 0, 0]));
    // On into memory that the core has, and not beyond what it has.
    assert_eq!(memory.bytes(0x10_1fff, 3), Ok(vec![0, 7, 7]));
    assert_eq!(memory.read_some(0x10_2000, &mut [0; 200]), Ok(100));
    assert!(memory.bytes(0x10_2064, 1).is_err());
    assert!(memory.bytes(0xf_ffff, 1).is_err() && memory.bytes(u64::MAX, 4).is_err());
    let mut batch = crate::Batch::default();
    batch.push(0x10_2000, 4);
    batch.push(0x50_0000, 4);
    memory.read_batch(&mut batch).expect("a batch");
    assert_eq!(batch.get(0x10_2000, 4), Some(&[7; 4][..]));
    assert_eq!(batch.get(0x50_0000, 4), None);
}

#[test]
fn another_file_of_that_name_is_not_taken() {
    let file = written(&library(2));
    let path = file.path().to_str().expect("unicode");
    let core = open(&with_library(path, &library(1)));
    let found = &core.files[0];
    assert_eq!(found.verdict, Verdict::Missing);
    let ids = format!("build id {}, not {}", "02".repeat(20), "01".repeat(20));
    assert_eq!(found.rejected, [(file.path().to_owned(), ids)]);
    assert!(core.memory.bytes(0x10_1000, 1).is_err());
    assert_eq!(core.modules[0].file, None);
    // Of a file that is too short it is not even asked for.
    let mut short = library(1);
    short.truncate(4096);
    let file = written(&short);
    let core = open(&with_library(file.path().to_str().expect("unicode"), &library(1)));
    assert!(core.files[0].rejected[0].1.contains("4096 bytes"), "{:?}", core.files);
}

#[test]
fn the_last_of_the_kernels_large_pages_may_reach_beyond_the_file() {
    let file = written(&library(1));
    let path = file.path().to_str().expect("unicode");
    let builder = |auxiliary: &[u8]| {
        Builder::new()
            .segment(0x10_0000, &library(1)[..4096], 0x1_0000, 5)
            .notes(&files(&[(0x10_0000, 0x11_0000, 0, path)]))
            .notes(auxiliary)
    };
    let page = note("CORE", 6, &[6u64, 0x1_0000, 0, 0].map(u64::to_le_bytes).concat());
    let core = open(&builder(&page));
    assert_eq!(core.files[0].verdict, Verdict::Same(file.path().to_owned()));
    assert_eq!(core.memory.bytes(0x10_1f9f, 4), Ok(vec![b'x', 0, 0, 0]));
    assert_eq!(open(&builder(&[])).files[0].verdict, Verdict::Missing);
}

/// Libraries of aarch64 leave 64 KiB between their segments, mapped from the file but not to
/// be used.
#[test]
fn holes_between_segments_may_reach_beyond_the_file() {
    let file = written(&library(1));
    let path = file.path().to_str().expect("unicode");
    let builder = || {
        Builder::new()
            .segment(0x10_0000, &library(1)[..4096], 0x2000, 5)
            .notes(&files(&[(0x10_0000, 0x10_2000, 0, path), (0x10_2000, 0x12_0000, 0x2000, path)]))
    };
    let same = Verdict::Same(file.path().to_owned());
    assert_eq!(open(&builder()).files[0].verdict, same, "gdb's files do not have it");
    let hole = builder().segment(0x10_2000, &[], 0x1_e000, 0);
    assert_eq!(open(&hole).files[0].verdict, same, "the kernel's do");
    let used = builder().segment(0x10_2000, &[], 0x1_e000, 4);
    assert_eq!(open(&used).files[0].verdict, Verdict::Missing);
}

#[test]
fn files_are_looked_for_where_one_is_told_to() {
    let folder = tempfile::tempdir().expect("a folder");
    let names = ["root/opt/app/prog", "libs/prog", "other"];
    for (id, name) in names.iter().enumerate() {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        std::fs::write(path, library(id as u8)).expect("a file");
    }
    let at = |name: &str| folder.path().join(name);
    let entry = [9u64, 0x10_1234, 0, 0].map(u64::to_le_bytes).concat();
    let everywhere = Lookup {
        executable: Some(at("other")),
        lib_paths: vec![at("nowhere"), at("libs")],
        sysroot: Some(at("root")),
    };
    for (id, name) in names.iter().enumerate() {
        let file =
            with_library("/opt/app/prog", &library(id as u8)).notes(&note("CORE", 6, &entry));
        let core = Core::open(file.write().path(), &everywhere).expect("a core");
        assert_eq!(core.executable(), Some("/opt/app/prog"));
        assert_eq!(core.files[0].verdict, Verdict::Same(at(name)));
    }
    let file = with_library("/opt/app/prog", &library(9)).write();
    let core = Core::open(file.path(), &everywhere).expect("a core");
    assert_eq!(core.files[0].rejected.len(), 2, "without AT_ENTRY it is not the executable");
    let file = with_library("/../libs/prog", &library(1)).write();
    let lookup = Lookup { sysroot: Some(at("root")), ..Lookup::default() };
    let core = Core::open(file.path(), &lookup).expect("a core");
    assert_eq!(core.files[0].rejected, [], "not outside of the folder");
}

#[test]
fn files_that_cannot_be_compared() {
    let file = written(&library(1));
    let path = file.path().to_str().expect("unicode");
    let ranges = [(0x10_0000, 0x10_2000, 0, path)];
    let builder = Builder::new().segment(0x10_0000, &[], 0x2000, 5).notes(&files(&ranges));
    let core = open(&builder);
    assert_eq!(core.files[0].verdict, Verdict::Unverified(file.path().to_owned()));
    assert_eq!(core.memory.bytes(0x10_0000, 4).expect("its start"), b"\x7fELF");
    let gone = format!("{path} (deleted)");
    let builder = Builder::new()
        .segment(0x10_0000, &[], 0x2000, 5)
        .notes(&files(&[(0x10_0000, 0x10_2000, 0, &gone)]));
    let core = open(&builder);
    assert_eq!((&core.files[0].verdict, core.files[0].rejected.len()), (&Verdict::Missing, 1));
    assert!(core.modules[0].deleted && core.modules[0].path == path);
    // Data is not looked for.
    let data = written(b"no program");
    let path = data.path().to_str().expect("unicode");
    let builder = Builder::new()
        .segment(0x10_0000, &[], 0x1000, 4)
        .notes(&files(&[(0x10_0000, 0x10_1000, 0, path), (0x20_0000, 0x20_1000, 0, "/nowhere")]));
    let core = open(&builder);
    assert_eq!((core.files.len(), core.modules.len(), core.mappings.len()), (0, 0, 2));
}

#[test]
fn what_is_no_core_says_what_it_is() {
    assert!(error(b"").contains("empty"));
    assert!(error(b"#!/bin/sh\n").contains("no ELF file"));
    assert!(error(&library(1)).contains("an executable or a library, not a core file"));
    let mut builder = Builder::new();
    builder.machine = 21;
    assert!(error(&builder.bytes()).contains("ELF machine 21"));
    builder.machine = 62;
    builder.notes.clear();
    assert!(error(&builder.bytes()).contains("no threads"));
    assert!(error(&Builder::new().bytes()[..70]).contains("cut off"));
}

#[test]
fn a_core_that_was_cut_off_says_by_how_much() {
    let builder = Builder::new().segment(0x1000, &[5; 4096], 4096, 6);
    let mut bytes = builder.bytes();
    bytes.truncate(bytes.len() - 1000);
    let core = Core::open(written(&bytes).path(), &Lookup::default()).expect("a core");
    assert_eq!(core.cut, 1000);
    assert_eq!(core.memory.read_some(0x1000, &mut [0; 4096]), Ok(3096));
    assert!(core.memory.bytes(0x1000 + 3096, 1).is_err());
}

#[test]
fn more_segments_than_fit_into_the_header() {
    let mut builder = Builder::new();
    for i in 0..70_000u64 {
        builder.segments.push((0x10_0000 + 0x2000 * i, vec![i as u8], 1, 6));
    }
    let mut bytes = builder.bytes();
    bytes[56..58].copy_from_slice(&[0xff, 0xff]);
    let at = bytes.len() as u64;
    bytes[40..48].copy_from_slice(&at.to_le_bytes());
    bytes.resize(bytes.len() + 64, 0);
    let count = at as usize + 44;
    bytes[count..count + 4].copy_from_slice(&70_001u32.to_le_bytes());
    let core = Core::open(written(&bytes).path(), &Lookup::default()).expect("a core");
    assert_eq!(core.mappings.len(), 70_000);
    assert_eq!(core.memory.bytes(0x10_0000 + 0x2000 * 69_999, 1), Ok(vec![(69_999 % 256) as u8]));
}

/// Nothing that a file holds makes the reader panic, loop or take memory without bounds.
#[test]
fn damaged_files() {
    let library_file = written(&library(1));
    let path = library_file.path().to_str().expect("unicode");
    let bytes = with_library(path, &library(1)).notes(&note("CORE", 6, &[9; 64])).bytes();
    let try_out = |bytes: &[u8]| {
        let file = written(bytes);
        let Ok(core) = Core::open(file.path(), &Lookup::default()) else { return 0 };
        let mut readable = 0;
        for mapping in core.mappings.iter().take(64) {
            let mut buffer = [0; 9000];
            for at in [mapping.start, mapping.end.wrapping_sub(10)] {
                readable += core.memory.read_some(at, &mut buffer).unwrap_or(0);
            }
        }
        readable
    };
    assert!(try_out(&bytes) > 0);
    for length in (0..bytes.len()).step_by(61) {
        try_out(&bytes[..length]);
    }
    // The headers and notes bit by bit, then with all sorts of numbers everywhere.
    let head = 64 + 56 * 4 + 1800;
    let mut damaged = bytes.clone();
    let mut seed = 1u64;
    for byte in 0..head.min(bytes.len()) {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        damaged[byte] ^= 1 << (seed >> 61);
        try_out(&damaged);
        damaged[byte] = bytes[byte];
    }
    for at in (0..head.min(bytes.len() - 8)).step_by(4) {
        for number in [u64::MAX, 1 << 63, u64::MAX - 4095, 0x7fff_ffff] {
            damaged[at..at + 8].copy_from_slice(&number.to_le_bytes());
            try_out(&damaged);
        }
        damaged[at..at + 8].copy_from_slice(&bytes[at..at + 8]);
    }
}

#[test]
fn memory_that_is_named_often_is_read_once() {
    const OFTEN: u64 = 20_000;
    let mut builder = Builder::new();
    for i in 0..OFTEN {
        builder = builder.segment(0x10000 + i * 0x1000, &[], 0x1000, 6);
    }
    let range = |i| (0x1000 + i, 0x7fff_0000_0000, 0, "/nowhere/lib.so");
    let ranges: Vec<_> = (0..OFTEN).map(range).collect();
    // As many notes that say nothing.
    let empty = [0; 12].repeat(OFTEN as usize);
    let mut bytes = builder.notes(&files(&ranges)).notes(&empty).bytes();
    // All segments but the last ones are parts with notes, and the same.
    let notes = bytes[64..64 + 56].to_vec();
    for entry in bytes[64..].chunks_exact_mut(56).take(OFTEN as usize / 2) {
        entry.copy_from_slice(&notes);
    }
    let core = Core::open(written(&bytes).path(), &Lookup::default()).expect("a core");
    // Those of one part: each time it was read there would be as many more.
    assert_eq!(core.threads.len(), 2);
    let ends: Vec<u64> = core.mappings.iter().map(|mapping| mapping.end).collect();
    assert!(core.mappings.len() as u64 >= OFTEN, "{}", ends.len());
    assert!(core.mappings.iter().skip(1).zip(&ends).all(|(next, end)| *end <= next.start));
}
