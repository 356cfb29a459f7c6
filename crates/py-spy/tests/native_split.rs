//! `dump --native`: names and lines that were split off from a library, wherever they were put;
//! and none that belong to another one.

mod native_kit;
mod support;

use native_kit::*;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::*;

/// The functions of the library that are on the stack, and what stands in their lines.
const FUNCTIONS: [(&str, &str); 4] = [
    ("kit_call", "kit_aligned(callable"),
    ("kit_aligned", "kit_middle(callable"),
    ("kit_middle", "kit_inner(callable"),
    ("kit_inner", "PyObject_CallObject"),
];

/// What is known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// Their names, and the lines that they are in.
    Lines,
    /// Their names.
    Names,
    /// The name of the one that other libraries may call.
    Exported,
}

/// A folder with a library that was made with `flags`, whole.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    #[track_caller]
    fn new(flags: &[&str]) -> Place {
        let script = format!("-Wl,--version-script={}", source("kit.map").display());
        let whole = library(&[&["-g", &script], flags].concat());
        let place = Place { folder: tempfile::tempdir().unwrap() };
        std::fs::copy(whole, place.path("whole.so")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// In this folder.
    #[track_caller]
    fn objcopy(&self, args: &[&str]) {
        let mut command = Command::new(tool("objcopy"));
        run(command.args(args).current_dir(self.folder.path())).ok();
    }

    /// Makes `kit.so`, without names and lines, and `kit.debug` with them.
    #[track_caller]
    fn split(&self) {
        self.objcopy(&["--only-keep-debug", "whole.so", "kit.debug"]);
        self.objcopy(&["--strip-all", "whole.so", "kit.so"]);
    }

    /// The same, and the one tells the name and the checksum of the other.
    #[track_caller]
    fn link(&self) {
        self.split();
        self.objcopy(&["--add-gnu-debuglink=kit.debug", "kit.so"]);
    }

    /// Moves `kit.debug` to another place in this folder.
    #[track_caller]
    fn move_debug(&self, to: &str) {
        let to = self.path(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::rename(self.path("kit.debug"), to).unwrap();
    }

    /// Changes what is behind the end of `kit.debug`'s contents: all is as it was but the checksum.
    #[track_caller]
    fn spoil(&self) {
        let mut bytes = std::fs::read(self.path("kit.debug")).unwrap();
        bytes.push(0);
        std::fs::write(self.path("kit.debug"), bytes).unwrap();
    }

    /// Fails unless `kit.so`, as a target maps it, shows what is known and nothing else.
    #[track_caller]
    fn check(&self, known: Known) {
        for_each([one_per_version()[0], newest()], |interpreter| {
            self.check_command(Command::new(&interpreter.path), known);
        });
    }

    /// The same, of a target that `command` starts when it is given a script.
    #[track_caller]
    fn check_command(&self, mut command: Command, known: Known) {
        let path = self.path("kit.so");
        command.arg(support::target::script_path("native.py")).arg("call").arg(&path);
        let target = Target::start_command(&format!("{known:?}"), command);
        let dump = native_dump(&target, &[]);
        let [thread] = &dump[..] else { panic!("{dump:?}") };
        let ours = |frame: &&Frame| frame.module.as_deref() == path.to_str();
        let frames: Vec<&Frame> = thread.frames.iter().rev().filter(ours).collect();
        assert_eq!(frames.len(), FUNCTIONS.len(), "{thread:?}");
        let text = std::fs::read_to_string(source("kit.c")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (frame, (name, part)) in frames.into_iter().zip(FUNCTIONS) {
            match known == Known::Exported && name != "kit_call" {
                true => assert!(frame.name.starts_with("0x"), "{frame:?}"),
                false => assert_eq!(frame.name, name, "{thread:?}"),
            }
            if known == Known::Lines {
                assert_eq!(Path::new(&frame.filename), source("kit.c"));
                let line = lines.get(frame.line as usize - 1).unwrap_or(&"");
                assert!(line.contains(part), "{frame:?}: {line}");
            } else {
                assert_eq!((frame.filename.as_str(), frame.line), (path.to_str().unwrap(), 0));
            }
        }
    }
}

const NO_ID: &str = "-Wl,--build-id=none";

#[test]
fn without_what_was_split_off_only_exported_names_are_known() {
    let place = Place::new(&[NO_ID]);
    place.split();
    place.check(Known::Exported);
    // Nothing tells that this is its debug file.
    std::fs::copy(place.path("whole.so"), place.path("kit.so")).unwrap();
    place.check(Known::Lines);
}

#[test]
fn a_debug_link_is_followed_to_the_file_beside_and_in_debug() {
    for flags in [&[NO_ID][..], &["-Wl,--build-id"], &["-gz", NO_ID]] {
        let place = Place::new(flags);
        place.link();
        place.check(Known::Lines);
        place.move_debug(".debug/kit.debug");
        place.check(Known::Lines);
        place.objcopy(&["--only-keep-debug", "whole.so", "kit.debug"]);
        place.move_debug("elsewhere/kit.debug");
        std::fs::remove_file(place.path(".debug/kit.debug")).unwrap();
        place.check(Known::Exported);
    }
}

/// A build id may have any length; one that is too short for the name of a file is no reason
/// not to look at the link.
#[test]
fn a_debug_link_is_followed_whatever_the_build_id() {
    let place = Place::new(&["-Wl,--build-id=0xab"]);
    place.link();
    place.check(Known::Lines);
}

#[test]
fn a_debug_file_with_another_checksum_is_refused() {
    let place = Place::new(&[NO_ID]);
    place.link();
    place.spoil();
    place.check(Known::Exported);
}

/// Whose checksum is as it should be: who links tells any.
#[test]
fn a_debug_file_of_another_build_is_refused() {
    let [place, other] = ["0x0123456789abcdef", "0xfedcba9876543210"]
        .map(|id| Place::new(&[&format!("-Wl,--build-id={id}")]));
    other.split();
    place.split();
    std::fs::copy(other.path("kit.debug"), place.path("kit.debug")).unwrap();
    place.objcopy(&["--add-gnu-debuglink=kit.debug", "kit.so"]);
    place.check(Known::Exported);
    // What is of the same build is not refused for its checksum: tools that make debug files
    // smaller change that.
    place.objcopy(&["--only-keep-debug", "whole.so", "kit.debug"]);
    place.spoil();
    place.check(Known::Lines);
}

/// As Fedora ships all its libraries.
#[test]
fn a_compressed_symbol_table_gives_names() {
    let place = Place::new(&[NO_ID]);
    place.split();
    place.objcopy(&["--strip-debug", "kit.debug", "small"]);
    let mut xz = Command::new(tool("xz"));
    run(xz.arg(place.path("small"))).ok();
    place.objcopy(&["--add-section", ".gnu_debugdata=small.xz", "kit.so"]);
    place.check(Known::Names);
    // Lines that were split off come on top.
    place.objcopy(&["--add-gnu-debuglink=kit.debug", "kit.so"]);
    place.check(Known::Lines);
    // What cannot be unpacked is as good as none.
    std::fs::write(place.path("small.xz"), b"\xfd7zXZ\0 and no more").unwrap();
    place.split();
    place.objcopy(&["--add-section", ".gnu_debugdata=small.xz", "kit.so"]);
    place.check(Known::Exported);
}

/// In `/usr/lib/debug`, where Debian and others put them: of the target's own file system, to
/// which a folder of ours is added there.
#[test]
fn debug_files_are_found_where_distributions_put_them() {
    let by_id = Place::new(&["-Wl,--build-id=0x0123456789abcdef"]);
    by_id.split();
    by_id.check(Known::Exported);
    by_id.move_debug("lib/debug/.build-id/01/23456789abcdef.debug");
    let by_link = Place::new(&[NO_ID]);
    by_link.link();
    let folder = by_link.folder.path().strip_prefix("/").unwrap().to_str().unwrap();
    by_link.move_debug(&format!("lib/debug/{folder}/kit.debug"));
    by_link.check(Known::Exported);
    let other = Place::new(&["-Wl,--build-id=0x0123456789abcdee"]);
    other.split();
    other.move_debug("lib/debug/.build-id/01/23456789abcdee.debug");
    // The name is that of the build id, but the file is another one's.
    std::fs::copy(
        by_id.path("whole.so"),
        other.path("lib/debug/.build-id/01/23456789abcdee.debug"),
    )
    .unwrap();
    for (place, known) in [(by_id, Known::Lines), (by_link, Known::Lines), (other, Known::Exported)]
    {
        for_each([interpreter(&["*-static-stripped"])], |interpreter| {
            let mut command = unshare(&["-m", "sh", "-ec"]);
            command.arg("mount -t overlay -o \"lowerdir=$0:/usr/lib\" none /usr/lib; exec \"$@\"");
            command.arg(place.path("lib")).arg(&interpreter.path);
            place.check_command(command, known);
        });
    }
}
