//! Pythons inside of other programs, several interpreters in one process, threads that
//! Python did not make.

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use support::dump::{TrueThread, compare};
use support::*;

/// What the target says of its threads.
fn truth(target: &Target) -> Vec<TrueThread> {
    serde_json::from_value(target.ready["threads"].clone()).unwrap()
}

/// Takes the threads that stand in subinterpreters (whose stack ends in `leaf`) out of a
/// dump, and thread states that have no frames: those the truth says nothing of.
fn split(dump: Dump, leaf: &str) -> (Vec<Thread>, Vec<Thread>) {
    let dump: Dump = dump.into_iter().filter(|thread| !thread.frames.is_empty()).collect();
    dump.into_iter().partition(|thread| !thread.frames[0].name.starts_with(leaf))
}

/// The C program in tests/embed: its main interpreter, a thread of C's making, and a
/// subinterpreter are all there.
#[test]
fn an_embedding_program_with_c_threads_and_a_subinterpreter() {
    for host in hosts() {
        let target = start_host(&host, "embedded.py", &[]);
        target.wait_asleep();
        let (main, sub) = split(dump_json(target.pid(), &[]), "sub_leaf");
        eprintln!("{}", host.display());
        compare(&truth(&target), &main);
        assert!(main.iter().any(|thread| thread.stack().ends_with("stay;in_c_thread;park")));
        let [sub] = &sub[..] else { panic!("{}: {sub:?}", host.display()) };
        assert_eq!(sub.stack(), "<module>;sub_outer;sub_leaf");
        let lines: Vec<i64> = sub.frames.iter().map(|frame| frame.line).collect();
        assert_eq!(lines, [4, 6, 7], "{}", host.display());
        assert!(!sub.active && !sub.owns_gil);
        assert_eq!(
            sub.os_thread_id
                .map(|tid| Path::new(&format!("/proc/{}/task/{tid}", target.pid())).exists()),
            Some(true)
        );
    }
}

/// Subinterpreters made by Python code; from 3.12 on with a GIL of their own.
#[test]
fn subinterpreters_do_not_hide_each_other() {
    let able = interpreters().iter().filter(|one| one.at_least(3, 8));
    for_each(able, |interpreter| {
        let target = Target::start(interpreter, "subinterpreters.py", &[]);
        target.wait_asleep();
        for extra in [&[][..], &["--nonblocking"]] {
            let dump = dump_json(target.pid(), extra);
            let (main, subs) = split(dump, "leaf_");
            let mut stacks: Vec<String> = subs.iter().map(Thread::stack).collect();
            stacks.sort();
            let expected: Vec<String> =
                (0..3).map(|n| format!("<module>;outer;leaf_{n}")).collect();
            assert_eq!(stacks, expected);
            for sub in &subs {
                assert_eq!(
                    sub.frames.iter().map(|frame| frame.line).collect::<Vec<_>>(),
                    [4, 6, 7]
                );
                assert!(!sub.active && !sub.owns_gil, "{sub:?}");
            }
            // Below each, the thread of the main interpreter that runs it.
            let (runners, others): (Vec<Thread>, Vec<Thread>) =
                main.into_iter().partition(|thread| {
                    thread.thread_name.as_deref().unwrap_or("").starts_with("runs ")
                });
            compare(&truth(&target), &others);
            let tids = |threads: &[Thread]| {
                let mut tids: Vec<_> =
                    threads.iter().map(|thread| thread.os_thread_id.unwrap()).collect();
                tids.sort();
                tids
            };
            if interpreter.at_least(3, 13) {
                assert_eq!(tids(&subs), tids(&runners));
            } else {
                // Here CPython runs it on the thread state that it made together with the
                // interpreter, which says that it is the creator's.
                assert_eq!(tids(&subs), [others[0].os_thread_id.unwrap(); 3]);
            }
        }
    });
}

/// A program file of another name.
#[test]
fn an_executable_without_python_in_its_name() {
    let wanted = interpreters().iter().filter(|one| one.is("static"));
    for_each(wanted, |interpreter| {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("my-service");
        copy_program(&interpreter.path, &copy);
        let mut command = Command::new(&copy);
        command.arg(support::target::script_path("simple.py")).env("PYTHONHOME", home(interpreter));
        let mut target = Target::start_command(&interpreter.label, command);
        assert_true(&mut target, &[]);
    });
}

/// `PYTHONHOME` for a copy of an interpreter.
fn home(interpreter: &Interpreter) -> String {
    let code = "import sys; sys.stdout.write(sys.prefix + ':' + sys.exec_prefix)";
    run(Command::new(&interpreter.path).args(["-S", "-c", code])).ok().stdout
}

/// Virtual environments, by symbolic link and by copy.
#[test]
fn virtual_environments() {
    let wanted: Vec<_> = one_per_version().into_iter().filter(|one| one.at_least(3, 6)).collect();
    for_each(wanted, |interpreter| {
        let folder = tempfile::tempdir().unwrap();
        for kind in ["--symlinks", "--copies"] {
            let venv = folder.path().join(kind);
            run(Command::new(&interpreter.path)
                .args(["-m", "venv", "--without-pip", kind])
                .arg(&venv))
            .ok();
            let mut command = Command::new(venv.join("bin/python"));
            command.arg(support::target::script_path("simple.py"));
            let mut target =
                Target::start_command(&format!("{} {kind}", interpreter.label), command);
            assert_true(&mut target, &[]);
        }
    });
}

/// A uWSGI server's worker.
#[test]
fn uwsgi() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(need("targets/bin/uwsgi"));
    command.args([
        "--lazy-apps",
        "--master",
        "--processes",
        "1",
        "--enable-threads",
        "--die-on-term",
    ]);
    command.arg("--socket").arg(folder.path().join("socket"));
    command.arg("--home").arg(need("targets")).arg("--pythonpath").arg(targets_dir());
    command.arg("--wsgi-file").arg(support::target::script_path("uwsgi_app.py"));
    let target = Target::start_command("uwsgi", command);
    let background = truth(&target)
        .into_iter()
        .filter(|thread| thread.thread_name.as_deref() == Some("background"));
    let background: Vec<_> = background.collect();
    assert_eq!(background.len(), 1);
    target.wait_asleep();
    let dump = dump_json(target.pid(), &[]);
    let seen: Vec<Thread> = dump
        .into_iter()
        .filter(|thread| thread.thread_name.as_deref() == Some("background"))
        .collect();
    compare(&background, &seen);
    // The master has loaded no application, but a Python is in it too.
    let master = run_py_spy(["dump", "-p", &target.child_pid().to_string()]).ok();
    assert!(master.stdout.contains("Python v3."), "{}", master.stdout);
}

/// Makes an application with PyInstaller, once.
fn pyinstaller(kind: &str) -> PathBuf {
    let program = need("targets/bin/pyinstaller");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("pyinstaller{kind}"));
    let done = folder.join("made-from");
    let script = support::target::script_path("simple.py");
    let source: String = [&script, &targets_dir().join("truth.py")]
        .map(|path| std::fs::read_to_string(path).unwrap())
        .concat();
    if std::fs::read_to_string(&done).is_ok_and(|from| from == source) {
        return folder;
    }
    let mut command = Command::new(program);
    command.args([kind, "--name", "my-app", "--noconfirm", "--log-level", "WARN"]);
    for (option, name) in [("--distpath", "dist"), ("--workpath", "work"), ("--specpath", "spec")] {
        command.arg(option).arg(folder.join(name));
    }
    run(command.arg("--paths").arg(targets_dir()).arg(&script)).ok();
    std::fs::write(done, source).unwrap();
    folder
}

#[test]
fn pyinstaller_one_folder() {
    let app = pyinstaller("--onedir").join("dist/my-app/my-app");
    let mut target = Target::start_command("pyinstaller --onedir", Command::new(app));
    assert_true(&mut target, &[]);
}

/// The file unpacks itself, and a child process of it runs the Python.
#[test]
fn pyinstaller_one_file() {
    let app = pyinstaller("--onefile").join("dist/my-app");
    let mut target = Target::start_command("pyinstaller --onefile", Command::new(app));
    assert_ne!(target.pid(), target.child_pid());
    assert_true(&mut target, &[]);
}
