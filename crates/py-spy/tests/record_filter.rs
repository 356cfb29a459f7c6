//! Choosing what to see: `--include`, `--exclude`, `--thread` and `--hide-importlib` of `record`,
//! and that what is left out is counted.

mod record_kit;
mod support;

use record_kit::{Folded, counted, modern, parts, record_told, total, with};
use support::{Target, for_each, interpreter, one_per_version, run_py_spy};

/// The samples that were left out.
fn filtered(told: &str) -> u64 {
    counted(told, "filtered").unwrap_or(0)
}

/// Fails unless each stack has a frame of one of these functions, and each of them is there.
#[track_caller]
fn assert_functions(found: &Folded, functions: &[&str]) {
    let has = |frames: &[String], name: &&&str| frames.iter().any(|frame| parts(frame).0 == **name);
    for (frames, _) in found {
        assert!(functions.iter().any(|name| has(frames, &name)), "{frames:?}");
    }
    for name in functions {
        assert!(found.iter().any(|(frames, _)| has(frames, &name)), "no {name}: {found:?}");
    }
}

#[test]
fn stacks_are_chosen_by_their_frames() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "record_split.py", &[]);
        let record = |args: &[&str]| {
            record_told(target.pid(), &[&["-d", "0.5", "-r", "300"], args].concat())
        };
        let (found, told) = record(&["--include", "^sixty$"]);
        assert_functions(&found, &["sixty"]);
        assert!(filtered(&told) > 0, "{told}");

        // Each must fit some frame, of whichever it is.
        let (found, told) = record(&["--include", "thirty", "--include", "^work$"]);
        assert_functions(&found, &["thirty"]);
        assert_functions(&found, &["work"]);
        assert!(filtered(&told) > 0, "a part of a third: {told}");

        let (found, told) = record(&["--exclude", "^(thirty|ten)$"]);
        assert_eq!(with(&found, "thirty (") + with(&found, "ten ("), 0, "{found:?}");
        assert!(with(&found, "sixty (") > 0 && filtered(&told) > 0, "{told}");

        // By file, and by module.
        let (found, told) =
            record(&["--include", r"/record_split\.py$", "--include", "^record_split$"]);
        assert!(total(&found) > 0 && filtered(&told) == 0, "{told}");
        let (found, told) = record(&["--exclude", "targets/record_"]);
        assert!(found.is_empty() && filtered(&told) > 0, "{told}");
    });
}

#[test]
fn threads_are_chosen_by_name_or_id() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 8));
    for_each(versions, |python| {
        let target = Target::start(python, "record_threads.py", &["python", "sleeper", "waiter"]);
        let tid = |name: &str| target.ready["tids"][name].as_i64().unwrap();
        let record = |args: &[&str]| {
            record_told(target.pid(), &[&["-d", "0.4", "-r", "200", "-i", "-t"], args].concat())
        };
        let threads = |found: &Folded| {
            let mut roots: Vec<String> =
                found.iter().map(|(frames, _)| frames[0].clone()).collect();
            roots.sort();
            roots.dedup();
            roots
        };
        let root = |name: &str| format!("thread ({}): {name}", tid(name));
        let one = tid("sleeper").to_string();
        for chosen in ["^slee", &one] {
            let (found, told) = record(&["--thread", chosen]);
            assert_eq!(threads(&found), [root("sleeper")]);
            // Of four threads three are left out, at every instant.
            let (taken, left_out) = (total(&found), filtered(&told));
            let dropped = counted(&told, "dropped").unwrap_or(0);
            assert!(taken > 0 && left_out <= 3 * taken, "{told}");
            assert!(left_out + dropped >= 3 * taken, "{told}");
        }
        let (found, _) = record(&["--thread", "sleeper", "--thread", "MainThread"]);
        let mut two = [root("sleeper"), root("MainThread")];
        two.sort();
        assert_eq!(threads(&found), two);
        let (found, told) = record(&["--thread", "nobody"]);
        assert!(found.is_empty() && filtered(&told) > 0, "{told}");
        // What was never to be recorded is not left out because of its name.
        let (found, told) =
            record_told(target.pid(), &["-d", "0.3", "-r", "200", "--thread", "sleeper|waiter"]);
        let busy = filtered(&told) + counted(&told, "dropped").unwrap_or(0);
        assert!(found.is_empty() && (1..=61).contains(&busy), "{told}");
    });
}

/// Without `threading` no thread has a name, but the main one is found by the name it would have.
#[test]
fn the_main_thread_is_chosen_by_name() {
    for_each([modern(), interpreter(&["3.8.*-shared", "*"])], |python| {
        let script = tempfile::NamedTempFile::new().unwrap();
        let text = "print('READY', flush=True)\nimport sys\nwhile True:\n    assert 'threading' not in sys.modules\n";
        std::fs::write(script.path(), text).unwrap();
        let mut target = Target::start(python, script.path().to_str().unwrap(), &[]);
        let record = |name: &str| record_told(target.pid(), &["-d", "0.3", "--thread", name]);
        let (found, told) = record("^MainThread$");
        assert!(total(&found) > 0 && filtered(&told) == 0, "{told}");
        let (found, told) = record("sleeper");
        assert!(found.is_empty() && filtered(&told) > 0, "{told}");
        assert!(target.is_alive(), "{}", target.stderr());
    });
}

#[test]
fn the_import_machinery_is_one_frame() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 6));
    for_each(versions, |python| {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        write(
            "busy.py",
            "def burn():\n    print('READY', flush=True)\n    while True:\n        pass\nburn()\n",
        );
        write("between.py", "import importlib\nimportlib.import_module('busy')\n");
        let main = write("main.py", "import between\n");
        let target = Target::start(python, &main, &[]);
        let names = |args: &[&str]| {
            let (found, told) =
                record_told(target.pid(), &[&["-d", "0.5", "-r", "100"], args].concat());
            assert!(!found.is_empty(), "{told}");
            let stack = |(frames, _): &(Vec<String>, u64)| -> Vec<(String, String)> {
                let own = |frame: &String| {
                    let (name, file, _) = parts(frame);
                    (name.to_owned(), file.to_owned())
                };
                frames.iter().map(own).collect()
            };
            found.iter().map(stack).collect::<Vec<_>>()
        };
        let machinery = ("import", "<frozen importlib>");
        let expected = [
            ("<module>", "main.py"),
            machinery,
            ("<module>", "between.py"),
            machinery,
            ("<module>", "busy.py"),
            ("burn", "busy.py"),
        ];
        for args in [&[][..], &["--hide-importlib"], &["--hide-importlib=true"]] {
            for stack in names(args) {
                let shown: Vec<(&str, &str)> =
                    stack.iter().map(|(name, file)| (name.as_str(), file.as_str())).collect();
                assert_eq!(shown, expected, "{args:?}");
            }
        }
        for stack in names(&["--hide-importlib=false"]) {
            let whole =
                stack.iter().filter(|(_, file)| file.contains("importlib._bootstrap")).count();
            assert!(whole > 6 && stack.iter().all(|(name, _)| name != "import"), "{stack:?}");
        }
    });
}

#[test]
fn what_is_no_expression_is_refused() {
    let pid = std::process::id().to_string();
    for flag in ["--include", "--exclude", "--thread"] {
        let run = run_py_spy(["record", "-p", &pid, "-d", "1", flag, "("]);
        assert_eq!(run.code(), Some(2), "{flag}: {}", run.stderr);
        assert!(run.stderr.contains("is no regular expression"), "{flag}: {}", run.stderr);
    }
    // Found by the first thing that is looked at.
    let target = Target::start(modern(), "record_split.py", &[]);
    let (found, _) = record_told(target.pid(), &["-d", "0.2", "--include", "sixty|thirty|ten"]);
    assert!(!found.is_empty());
}
