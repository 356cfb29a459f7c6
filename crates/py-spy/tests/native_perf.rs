//! `dump --native`: code that the target has generated, and CPython's trampolines for perf.

mod native_kit;
mod record_kit;
mod support;

use native_kit::*;
use record_kit::native::*;
use std::process::Command;
use support::*;

/// What the target leaves in `/tmp` for perf.
struct Left(i32);

impl Drop for Left {
    fn drop(&mut self) {
        for name in [format!("perf-{}.map", self.0), format!("jit-{}.dump", self.0)] {
            let _ = std::fs::remove_file(std::path::Path::new("/tmp").join(name));
        }
    }
}

fn start(interpreter: &Interpreter, options: &[&str], script: &str, args: &[&str]) -> Target {
    let library = library(&["-g"]);
    let mut command = Command::new(&interpreter.path);
    command.args(options).arg(targets_dir().join(script)).arg(library).args(args);
    Target::start_command(&interpreter.label, command)
}

/// The names of the one thread's frames. Its Python frames are those without --native, and
/// the note is there if the stack is not `whole`.
#[track_caller]
fn look(target: &Target, whole: bool) -> Vec<String> {
    let dump = native_dump(target, &[]);
    let [thread] = &dump[..] else { panic!("{dump:?}") };
    let plain = dump_json(target.pid(), &[]);
    assert_eq!(python(thread), plain[0].frames.iter().collect::<Vec<_>>());
    let text = dump_text(target.pid(), &["--native"]);
    assert_eq!(!text.contains("Note: not all native functions"), whole, "{text}");
    assert!(!text.contains("()"), "nothing in parentheses: {text}");
    names(thread).into_iter().map(str::to_owned).collect()
}

#[track_caller]
fn assert_ordered(names: &[String], expected: &[&str]) {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_in_order(&names, expected);
}

/// Those with trampolines for perf: CPython has them since 3.12, on some processors.
fn with_trampolines() -> Vec<(&'static Interpreter, &'static str)> {
    let all = one_per_version().into_iter().filter(|one| one.at_least(3, 12));
    // perf_jit, since 3.13, writes no map: the trampolines have no names.
    let ways = |one: &'static Interpreter| match one.at_least(3, 13) {
        true => vec![(one, "perf"), (one, "perf_jit")],
        false => vec![(one, "perf")],
    };
    all.flat_map(ways).collect()
}

#[test]
fn trampolines_for_perf_change_nothing() {
    let ways = with_trampolines();
    for_each(one_per_version().into_iter().filter(|one| one.at_least(3, 12)), |interpreter| {
        let target = start(interpreter, &[], "native_perf.py", &["called"]);
        let without = look(&target, true);
        let expected = ["outer", "called", "<lambda>", "kit_call", "kit_inner", "inner", "wait"];
        assert_ordered(&without, &expected);
        for (_, way) in ways.iter().filter(|(one, _)| *one == interpreter) {
            let args = ["called", "trampolines"];
            let target = start(interpreter, &["-X", way], "native_perf.py", &args);
            let _left = Left(target.pid());
            assert_eq!(look(&target, true), without, "{way}");
        }
    });
}

#[test]
fn trampolines_for_perf_are_merged_while_they_compute() {
    let merged = std::sync::Mutex::new(Vec::new());
    let with_gil = |one: &&Interpreter| one.at_least(3, 12) && !one.free_threaded();
    for_each(one_per_version().into_iter().filter(with_gil), |interpreter| {
        let target = start(interpreter, &["-X", "perf"], "native_busy.py", &["spin,json"]);
        let _left = Left(target.child_pid());
        let found = record_merged(&target, &["by_spin", "by_json"]);
        let order = ["<module>", "repeat", "by_spin", "kit_spin"];
        found.assert_below(&order, |name| name == "kit_hot");
        let trampoline = |name: &String| name.starts_with("py::") || name.contains("generated");
        let shown = found.stacks.iter().find(|(names, _)| names.iter().any(trampoline));
        assert_eq!(shown, None);
        merged.lock().unwrap().push(found);
    });
    assert_merged(&merged.into_inner().unwrap());
}

/// Those that were built with CPython's own JIT compiler, which is asked for with PYTHON_JIT.
fn with_jit() -> Vec<&'static Interpreter> {
    let available = "import sys; sys.exit(not sys._jit.is_enabled())";
    let has = |one: &&Interpreter| {
        let mut command = Command::new(&one.path);
        command.args(["-c", available]).env("PYTHON_JIT", "1");
        command.status().unwrap().success()
    };
    let found: Vec<_> =
        one_per_version().into_iter().filter(|one| one.at_least(3, 14)).filter(has).collect();
    assert!(
        !found.is_empty(),
        "none of the interpreters has CPython's JIT: run scripts/setup-tests"
    );
    found
}

#[test]
fn code_of_cpythons_own_jit_is_walked() {
    let merged = std::sync::Mutex::new(Vec::new());
    for_each(with_jit(), |interpreter| {
        let mut command = Command::new(&interpreter.path);
        command.arg(targets_dir().join("native_busy.py")).arg(library(&["-g"])).arg("jit");
        command.env("PYTHON_JIT", "1");
        let target = Target::start_command(&interpreter.label, command);
        record_kit::until("code that the JIT has compiled", || {
            let args = ["--native-all", "-d", "0.5", "-r", "100"];
            let found = record_kit::record_raw(target.pid(), &args);
            (record_kit::with(&found, "[generated code]") > 0).then_some(())
        });
        let found = record_merged(&target, &["by_jit", "by_key"]);
        found.assert_below(&["<module>", "repeat", "by_jit", "by_key"], |name| {
            name.starts_with("adler32")
        });
        let counted = |names: &[String]| names.iter().any(|name| name.starts_with("crc32"));
        assert!(found.count(counted) > 0, "{:?}", found.stacks);
        found.assert_below(&["<module>", "repeat", "by_jit"], |name| {
            name.starts_with("crc32") || name.starts_with("adler32")
        });
        merged.lock().unwrap().push(found);
    });
    assert_merged(&merged.into_inner().unwrap());
}

/// Code that has neither unwind information nor a name.
#[test]
fn generated_code_is_walked_named_or_said_to_be_in_the_way() {
    for_each([one_per_version()[0], interpreter(&["3.11.*"]), newest()], |interpreter| {
        let look = |way: &[&str], whole| {
            let target = start(interpreter, &[], "native_perf.py", way);
            let _left = Left(target.pid());
            look(&target, whole)
        };
        let order = |between| ["outer", "run", "ffi_call", between, "inner", "wait"];
        assert_ordered(&look(&["named"], true), &order("generated_here"));
        assert_ordered(&look(&["named", "shared"], true), &order("generated_here"));
        assert_ordered(&look(&["plain"], true), &order("[generated code]"));
        assert_ordered(&look(&["plain", "shared"], true), &order("[generated code]"));
        assert_ordered(&look(&["lost"], false), &["outer", "lost", "run", "inner", "wait"]);
    });
}
