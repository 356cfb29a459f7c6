//! Choosing what to see: `--include`, `--exclude`, `--thread` and `--hide-importlib` of `record`,
//! and that what is left out is counted.

mod record_kit;
mod support;

use record_kit::{Folded, counted, modern, parts, record_until, samples, total, with};
use support::{Target, for_each, interpreter, one_per_version, run_py_spy};

/// The samples that were left out.
fn filtered(told: &str) -> u64 {
    counted(told, "filtered").unwrap_or(0)
}

/// Whether there are stacks. Fails unless each has a frame of this function.
#[track_caller]
fn only_with(found: &Folded, function: &str) -> bool {
    for (frames, _) in found {
        assert!(frames.iter().any(|frame| parts(frame).0 == function), "{frames:?}");
    }
    !found.is_empty()
}

#[test]
fn stacks_are_chosen_by_their_frames() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "record_split.py", &[]);
        let record = |args: &[&str], check: &dyn Fn(&Folded, &str) -> bool| {
            let args = [&["-d", "0.5", "-r", "300"], args].concat();
            record_until(target.pid(), &args, check);
        };
        record(&["--include", "^sixty$"], &|found, told| {
            only_with(found, "sixty") && filtered(told) > 0
        });
        // Each must fit some frame, of whichever it is.
        record(&["--include", "thirty", "--include", "^work$"], &|found, told| {
            only_with(found, "thirty") && only_with(found, "work") && filtered(told) > 0
        });
        record(&["--exclude", "^(thirty|ten)$"], &|found, told| {
            assert_eq!(with(found, "thirty (") + with(found, "ten ("), 0, "{found:?}");
            with(found, "sixty (") > 0 && filtered(told) > 0
        });

        // By file, and by module.
        let fits = ["--include", r"/record_split\.py$", "--include", "^record_split$"];
        record(&fits, &|found, told| {
            assert_eq!(filtered(told), 0, "{told}");
            total(found) > 0
        });
        record(&["--exclude", "targets/record_"], &|found, told| {
            assert!(found.is_empty(), "{found:?}");
            filtered(told) > 0
        });
    });
}

#[test]
fn threads_are_chosen_by_name_or_id() {
    let versions = one_per_version().into_iter().filter(|python| python.at_least(3, 8));
    for_each(versions, |python| {
        let target = Target::start(python, "record_threads.py", &["python", "sleeper", "waiter"]);
        let tid = |name: &str| target.ready["tids"][name].as_i64().unwrap();
        target.wait_asleep_but("python");
        let record = |args: &[&str], check: &dyn Fn(&Folded, &str) -> bool| {
            let args = [&["-d", "0.4", "-r", "200", "-i", "-t"], args].concat();
            record_until(target.pid(), &args, check);
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
            record(&["--thread", chosen], &|found, told| {
                // Of four threads three are left out, at every instant.
                let (taken, left_out) = (samples(told), filtered(told));
                let dropped = counted(told, "dropped").unwrap_or(0);
                assert!(left_out <= 3 * taken && left_out + dropped >= 3 * taken, "{told}");
                let threads = threads(found);
                assert!(threads.is_empty() || threads == [root("sleeper")], "{threads:?}");
                taken > 0
            });
        }
        let mut two = [root("sleeper"), root("MainThread")];
        two.sort();
        record(&["--thread", "sleeper", "--thread", "MainThread"], &|found, _| {
            let threads = threads(found);
            assert!(threads.is_empty() || threads == two, "{threads:?}");
            !threads.is_empty()
        });
        record(&["--thread", "nobody"], &|found, told| {
            assert!(found.is_empty(), "{found:?}");
            filtered(told) > 0
        });
        // What was never to be recorded is not left out because of its name: only the busy one
        // is, once at an instant.
        let args = ["-d", "0.3", "-r", "200", "--thread", "sleeper|waiter"];
        record_until(target.pid(), &args, |found, told| {
            assert!(found.is_empty(), "{found:?}");
            let [missed, dropped] = ["missed", "dropped"].map(|what| counted(told, what));
            let busy = filtered(told) + dropped.unwrap_or(0);
            assert!(busy + missed.unwrap_or(0) <= 60, "{told}");
            filtered(told) > 0
        });
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
        record_until(target.pid(), &["-d", "0.3", "--thread", "^MainThread$"], |found, told| {
            assert_eq!(filtered(told), 0, "{told}");
            total(found) > 0
        });
        record_until(target.pid(), &["-d", "0.3", "--thread", "sleeper"], |found, told| {
            assert!(found.is_empty(), "{found:?}");
            filtered(told) > 0
        });
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
            let args = [&["-d", "0.5", "-r", "100"], args].concat();
            let found = record_until(target.pid(), &args, |found, _| total(found) > 0);
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
    let args = ["-d", "0.2", "--include", "sixty|thirty|ten"];
    record_until(target.pid(), &args, |found, _| total(found) > 0);
}
