//! Programs whose files are not where they were, or not where we would look: deleted,
//! replaced, in a chroot, in other mount and pid namespaces.

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::dump::{TrueThread, compare};
use support::*;

/// A copy of an interpreter's program, and of the libpython beside it if that is shared.
struct Copy {
    folder: tempfile::TempDir,
    files: Vec<PathBuf>,
}

impl Copy {
    fn new(interpreter: &Interpreter) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        let mut copy = Copy { folder, files: Vec::new() };
        let from = interpreter.path.ancestors().nth(2).unwrap();
        copy.add(&interpreter.path, "bin");
        if interpreter.is("shared") {
            // shared-stripped looks for it in $ORIGIN/../lib.
            for entry in fs::read_dir(from.join("lib")).unwrap().flatten() {
                if entry.file_name().to_str().unwrap().starts_with("libpython") {
                    copy.add(&entry.path(), "lib");
                }
            }
            assert!(copy.files.len() > 1, "no libpython in {}", from.display());
        }
        copy
    }

    fn add(&mut self, from: &Path, to: &str) {
        let to = self.folder.path().join(to);
        fs::create_dir_all(&to).unwrap();
        let to = to.join(from.file_name().unwrap());
        copy_program(from, &to);
        self.files.push(to);
    }

    fn program(&self) -> &Path {
        &self.files[0]
    }
}

/// `PYTHONHOME` for a copy of an interpreter.
fn home(interpreter: &Interpreter) -> String {
    let code = "import sys; sys.stdout.write(sys.prefix + ':' + sys.exec_prefix)";
    run(Command::new(&interpreter.path).args(["-S", "-c", code])).ok().stdout
}

/// Interpreters of which a copy runs.
fn movable() -> impl Iterator<Item = &'static Interpreter> {
    interpreters().iter().filter(|one| one.is("static") || one.label.contains("shared-stripped"))
}

/// As in an upgrade while the program runs: first other files come to be there, by
/// rename, then none at all.
#[test]
fn files_replaced_and_deleted() {
    let other = newest();
    for_each(movable(), |interpreter| {
        let copy = Copy::new(interpreter);
        let mut command = Command::new(copy.program());
        command.arg(support::target::script_path("simple.py")).env("PYTHONHOME", home(interpreter));
        let mut target = Target::start_command(&interpreter.label, command);
        for (file, new) in copy
            .files
            .iter()
            .zip([other.path.as_path(), Path::new(env!("CARGO_BIN_EXE_py-spy"))].iter().cycle())
        {
            let with = file.with_extension("new");
            fs::copy(new, &with).unwrap();
            fs::rename(&with, file).unwrap();
        }
        assert_true(&mut target, &[]);
        for file in &copy.files {
            fs::remove_file(file).unwrap();
        }
        assert_true(&mut target, &[]);
        fs::remove_dir_all(copy.folder.path()).unwrap();
        assert_true(&mut target, &[]);
    });
}

/// The program's file is on a file system that only it sees, and at the same path we see
/// another file.
#[test]
fn another_mount_namespace() {
    for_each(movable(), |interpreter| {
        let copy = Copy::new(interpreter);
        let inside = tempfile::tempdir().unwrap();
        let (from, to) = (quoted(copy.folder.path()), quoted(inside.path()));
        let program = inside.path().join("bin").join(copy.program().file_name().unwrap());
        // What we would take it for by its path.
        fs::create_dir(inside.path().join("bin")).unwrap();
        fs::copy("/bin/sh", &program).unwrap();
        let script = support::target::script_path("simple.py");
        let mut command = unshare(&["-m", "sh", "-ec"]);
        command.arg(format!(
            "mount -t tmpfs none {to}; cp -r {from}/. {to}; exec {} {}",
            quoted(&program),
            quoted(&script)
        ));
        command.env("PYTHONHOME", home(interpreter));
        let mut target = Target::start_command(&interpreter.label, command);
        assert_ne!(
            fs::metadata(format!("/proc/{}/exe", target.pid())).unwrap().dev(),
            fs::metadata(&program).unwrap().dev(),
            "not in a namespace of its own"
        );
        assert_true(&mut target, &[]);
    });
}

/// In its own pid namespace: it knows itself as 1, and its threads by small numbers.
#[test]
fn another_pid_namespace() {
    for_each(one_per_version(), |interpreter| {
        let mut command = unshare(&["-p", "-f", "--kill-child", "--mount-proc"]);
        command.arg(&interpreter.path).arg(support::target::script_path("simple.py"));
        let target = Target::start_command(&interpreter.label, command);
        assert_eq!(target.pid(), 1);
        let parent = target.child_pid();
        let children =
            fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let pid: i32 = children.trim().parse().unwrap();
        let mut truth: Vec<TrueThread> =
            serde_json::from_value(target.ready["threads"].clone()).unwrap();
        let outer = |inner: i32| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
            tasks.map(|task| task.path()).find_map(|task| {
                let status = fs::read_to_string(task.join("status")).unwrap();
                let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
                let last: i32 = ids.split_whitespace().last()?.parse().ok()?;
                (last == inner)
                    .then(|| task.file_name().unwrap().to_str().unwrap().parse::<i32>().unwrap())
            })
        };
        for thread in &mut truth {
            thread.os_thread_id = outer(thread.os_thread_id).expect("a thread of this id");
        }
        support::target::wait_asleep(pid);
        compare(&truth, &dump_json(pid, &[]));
    });
}

/// The libraries that a program is linked to, and its interpreter.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let list = run(Command::new("ldd").arg(program)).ok().stdout;
    let words =
        list.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')));
    words.map(PathBuf::from).collect()
}

/// In a chroot with nothing but the program, its libraries and the standard library.
#[test]
fn a_chroot() {
    for_each(
        [interpreter(&["3.15.*-static-stripped"]), interpreter(&["3.13t-static"])],
        |interpreter| {
            let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
            let inside = |path: &Path| root.path().join(path.strip_prefix("/").unwrap());
            let copy = |from: &Path, to: &Path| {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, to).unwrap();
            };
            copy(&interpreter.path, &root.path().join("app/bin/service"));
            for library in libraries(&interpreter.path) {
                copy(&library, &inside(&library));
            }
            for script in ["simple.py", "truth.py"] {
                copy(&support::target::script_path(script), &root.path().join("app").join(script));
            }
            let code = "import os; print(os.path.dirname(os.__file__))";
            let library = run(Command::new(&interpreter.path).args(["-c", code])).ok().stdout;
            let library = Path::new(library.trim());
            let to = root.path().join("app/lib").join(library.file_name().unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            // Links where they can be: a standard library has thousands of files.
            let linked = run(Command::new("cp").args(["-al"]).arg(library).arg(&to));
            if linked.code() != Some(0) {
                let _ = fs::remove_dir_all(&to);
                run(Command::new("cp").arg("-a").arg(library).arg(&to)).ok();
            }
            let mut command = unshare(&["--root"]);
            command
                .arg(root.path())
                .args(["/app/bin/service", "/app/simple.py"])
                .env("PYTHONHOME", "/app");
            let mut target = Target::start_command(&interpreter.label, command);
            assert_eq!(
                fs::read_link(format!("/proc/{}/root", target.pid())).unwrap(),
                root.path().canonicalize().unwrap()
            );
            let dump = assert_true(&mut target, &[]);
            assert!(
                dump[0].frames.iter().any(|frame| frame.filename == "/app/simple.py"),
                "{dump:?}"
            );
        },
    );
}
