//! `dump --native`: libraries whose files are not where they were, or not where we would look:
//! replaced, deleted, in another mount namespace.

mod native_kit;
mod support;

use native_kit::*;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use support::*;

const FUNCTIONS: [&str; 4] = ["kit_call", "kit_aligned", "kit_middle", "kit_inner"];

/// A library that looks the same, but says other things about the same addresses.
#[track_caller]
fn impostor(to: &Path) {
    let wrong = FUNCTIONS[1..].iter().map(|name| format!("-D{name}={name}_wrong"));
    let flags: Vec<String> = ["-g".to_owned()].into_iter().chain(wrong).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    fs::copy(library(&flags), to).unwrap();
}

/// Fails unless the functions of the library that the target knows as `path` are there by
/// their names, and with `lines` by the lines of their source.
#[track_caller]
fn check(target: &Target, path: &Path, lines: bool) {
    let dump = native_dump(target, &[]);
    let [thread] = &dump[..] else { panic!("{dump:?}") };
    assert_in_order(&names(thread), &["outer", "by_call"]);
    let ours = |frame: &&Frame| frame.module.as_deref() == path.to_str();
    let frames: Vec<&Frame> = thread.frames.iter().rev().filter(ours).collect();
    let names: Vec<&str> = frames.iter().map(|frame| frame.name.as_str()).collect();
    assert_eq!(names, FUNCTIONS, "{thread:?}");
    for frame in frames {
        assert_eq!(frame.line > 0, lines, "{frame:?}");
        assert_eq!(Path::new(&frame.filename) == source("kit.c"), lines, "{frame:?}");
    }
    let plain = dump_json(target.pid(), &[]);
    assert_eq!(python(thread), plain[0].frames.iter().collect::<Vec<_>>());
}

/// As in an upgrade while the program runs. The file that is mapped can be opened by root alone;
/// without that the names that other libraries may use are still in memory.
#[test]
fn a_library_that_was_replaced_or_deleted_keeps_its_names() {
    let lines = rustix::process::geteuid().is_root();
    for_each(one_per_version(), |interpreter| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kit.so");
        fs::copy(library(&["-g"]), &path).unwrap();
        let target = Target::start(interpreter, "native.py", &["call", path.to_str().unwrap()]);
        check(&target, &path, true);
        let with = folder.path().join("new");
        impostor(&with);
        fs::rename(&with, &path).unwrap();
        check(&target, &path, lines);
        fs::remove_file(&path).unwrap();
        check(&target, &path, lines);
        // A folder of its name is no file to be read.
        fs::create_dir(&path).unwrap();
        check(&target, &path, lines);
    });
}

/// The library is on a file system that only the target sees, and at the same path we see
/// another one.
#[test]
fn a_library_in_another_mount_namespace_is_read_there() {
    for_each(one_per_version(), |interpreter| {
        let [from, inside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        fs::copy(library(&["-g"]), from.path().join("kit.so")).unwrap();
        let path = inside.path().join("kit.so");
        impostor(&path);
        let mut command = unshare(&["-m", "sh", "-ec"]);
        command.arg("mount -t tmpfs none \"$1\"; cp \"$0/kit.so\" \"$1\"; shift; exec \"$@\"");
        command.args([from.path(), inside.path(), &interpreter.path]);
        command.arg(support::target::script_path("native.py")).arg("call").arg(&path);
        let target = Target::start_command(&interpreter.label, command);
        let seen = format!("/proc/{}/root{}", target.pid(), path.display());
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        assert_ne!(device(Path::new(&seen)), device(&path), "not in a namespace of its own");
        check(&target, &path, true);
    });
}

/// Ours are those that we would show without looking: else these tests are about nothing.
#[test]
fn the_other_library_has_other_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kit.so");
    impostor(&path);
    let target = Target::start(newest(), "native.py", &["call", path.to_str().unwrap()]);
    let dump = native_dump(&target, &[]);
    let wrong = ["kit_call", "kit_aligned_wrong", "kit_middle_wrong", "kit_inner_wrong"];
    assert_in_order(&names(&dump[0]), &wrong);
    let original = Command::new(tool("cmp")).arg(library(&["-g"])).arg(&path).output().unwrap();
    assert_eq!(original.status.code(), Some(1));
}
