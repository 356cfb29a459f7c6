//! Core files of programs whose files are not where they were: each way to say where they are,
//! and what is said where others are in their place.

mod core_kit;
mod support;

use core_kit::{abort, command, dump, dump_json, stand_still, try_dump};
use std::fs;
use std::path::Path;
use std::process::Command;
use support::*;

/// The interpreter's program is all that a static one needs to be read.
#[test]
fn the_program_was_moved() {
    let original = interpreter(&["3.14.*-static-stripped", "3.13.*-static-stripped"]);
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("service");
    copy_program(&original.path, &program);
    let moved = Interpreter { path: program.clone(), ..original.clone() };
    let code = "import sys; sys.stdout.write(sys.prefix + ':' + sys.exec_prefix)";
    let home = run(Command::new(&original.path).args(["-S", "-c", code])).ok().stdout;
    let (mut command, folder) = command(&moved, "simple.py", &[]);
    command.env("PYTHONHOME", home);
    let mut target = Target::start_command(&original.label, command);
    let truth = stand_still(&mut target);
    let core = abort(target, folder);
    compare(&truth, &dump_json(&core.path, &[]));
    let whole = dump(&core.path, &["-l"]).stdout;

    let elsewhere = tempfile::tempdir().unwrap();
    let renamed = elsewhere.path().join("another name");
    fs::rename(&program, &renamed).unwrap();
    let without = try_dump(&core.path, &[]);
    let said = without.stdout + &without.stderr;
    assert!(said.contains(program.to_str().unwrap()) && said.contains("--executable"), "{said}");

    // By its place, by its name in a folder, and by its place in a copy of the root.
    let root = elsewhere.path().join("root");
    let inside = root.join(program.strip_prefix("/").unwrap());
    let libraries = elsewhere.path().join("libraries");
    fs::create_dir_all(inside.parent().unwrap()).unwrap();
    fs::create_dir_all(&libraries).unwrap();
    fs::hard_link(&renamed, &inside).unwrap();
    fs::hard_link(&renamed, libraries.join("service")).unwrap();
    for (option, value) in
        [("--executable", &renamed), ("--lib-path", &libraries), ("--sysroot", &root)]
    {
        let args = [option, value.to_str().unwrap()];
        compare(&truth, &dump_json(&core.path, &args));
        let text = dump(&core.path, &[&["-l"], &args[..]].concat()).stdout;
        let own = |text: &str| -> String {
            text.split_inclusive('\n').filter(|line| !line.starts_with("Note:")).collect()
        };
        assert_eq!(own(&text), own(&whole), "{option}");
    }
}

/// Another file in a library's place is named, with what tells it apart, and not used.
#[test]
fn another_file_is_in_its_place() {
    let interpreter = newest();
    let (mut target, folder) = core_kit::start(interpreter, "simple.py", &[]);
    let truth = stand_still(&mut target);
    let maps = fs::read_to_string(format!("/proc/{}/maps", target.pid())).unwrap();
    let is_libc = |line: &&str| line.rsplit('/').next().is_some_and(|name| name == "libc.so.6");
    let libc = maps.lines().find(is_libc).expect("it is linked to the C library");
    let libc = &libc[libc.find('/').unwrap()..];
    let core = abort(target, folder);
    let root = tempfile::tempdir().unwrap();
    let put = |from: &Path, at: &Path| {
        let to = root.path().join(at.strip_prefix("/").unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        copy_program(from, &to);
        to
    };
    let program = fs::canonicalize(&interpreter.path).unwrap();
    put(&program, &program);
    let other = put(Path::new(env!("CARGO_BIN_EXE_py-spy")), Path::new(libc));
    let args = ["--sysroot", root.path().to_str().unwrap()];
    let text = dump(&core.path, &args).stdout;
    let said = format!("Note: {} is not the {libc} that was mapped (", other.display());
    assert!(text.contains(&said) && text.contains("): it is not used\n"), "{said}\n{text}");
    assert!(text.contains("Note: not here (--executable, --lib-path, --sysroot): "), "{text}");
    compare(&truth, &dump_json(&core.path, &args));
    // With the right one where it was, the wrong one is passed over.
    let folder = other.parent().unwrap().to_str().unwrap();
    let text = dump(&core.path, &["--lib-path", folder]).stdout;
    assert!(!text.contains("Note:"), "{text}");
}
