//! No stack that never existed: programs that call all the time, whose function names
//! tell which callers are legal.
//!
//! Short here; the long run, per program and interpreter, one after the other with target
//! and profiler each on a processor of its own:
//! `PYSPY_ORACLE_SAMPLES=200000 cargo test --release --test truth_oracles default -- --nocapture`

mod record_kit;
mod support;

use record_kit::{Folded, counted, parts, record_told, total};
use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};
use serde_json::{Value, json};
use support::{Interpreter, Target, for_each, one_per_version};

const KINDS: [&str; 8] =
    ["siblings", "tree", "recursion", "generators", "coroutines", "exceptions", "sources", "down"];

/// How many samples the long run takes of each program and interpreter; `None` for the
/// short one.
fn long() -> Option<f64> {
    std::env::var("PYSPY_ORACLE_SAMPLES").ok().map(|text| text.parse().expect("a number"))
}

/// How many stacks there are to be of each program and interpreter, where the long run has
/// a `share` of its samples in this mode.
fn least(short: u64, share: f64) -> u64 {
    long().map_or(short, |samples| (samples * share) as u64)
}

/// Samples a second, and for how many seconds.
fn plan(share: f64) -> (f64, f64) {
    let rate = if long().is_some() { 10_000.0 } else { 2000.0 };
    // Some samples fall on moments without Python code.
    (rate, long().map_or(1200.0, |samples| samples * 1.1) * share / rate)
}

/// Keeps the thread (0 for this one, and what it starts) on one processor.
fn pin(thread: i32, processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    sched_setaffinity(Pid::from_raw(thread), &set).expect("two processors");
}

/// The part of the name that a program's author wrote.
fn short(frame: &str) -> &str {
    let name = parts(frame).0;
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether `name` may be called by `caller`.
fn legal(name: &str, caller: &str) -> bool {
    let number = |text: &str, prefix: &str| text.strip_prefix(prefix)?.parse::<i64>().ok();
    let follows = |prefix: &str| match number(name, prefix)? {
        0 => Some(caller == "main"),
        n => Some(number(caller, prefix) == Some(n - 1)),
    };
    if let Some(path) = name.strip_prefix('t').filter(|path| path.parse::<u64>().is_ok()) {
        let parent = &path[..path.len() - 1];
        return if parent.is_empty() {
            caller == "main"
        } else {
            caller.strip_prefix('t') == Some(parent)
        };
    }
    if let Some(verdict) = follows("r").or_else(|| follows("down")) {
        return verdict;
    }
    if let Some(n) = number(name, "h") {
        return number(caller, "r") == Some(n);
    }
    if let Some(n) = number(name, "g_") {
        return number(caller, "f_") == Some(n);
    }
    if number(name, "f_").is_some() {
        return caller == "main";
    }
    match name.split_at(name.len().saturating_sub(1)) {
        ("drive_", _) => return caller == "main",
        ("resume_", which) => return caller == format!("drive_{which}"),
        ("step_", _) => return caller == "run",
        ("co_top_", which) => return caller == "main" || caller == format!("step_{which}"),
        ("co_mid_", which) => return caller == format!("co_top_{which}"),
        _ => {}
    }
    match name {
        "even" => caller == "odd" || caller == "main",
        "odd" => caller == "even",
        "g_leaf" => caller == "gen",
        "gen" => caller.starts_with("resume_") || caller == "main" || caller == "<listcomp>",
        "co_leaf" => caller.starts_with("co_mid_"),
        "run" => caller == "main",
        "main" => caller == "<module>",
        _ => true,
    }
}

/// A frame of the source `<src-7>` is that source's own.
fn at_home(frame: &str) -> bool {
    let (name, file, _) = parts(frame);
    let Some(number) = file.strip_prefix("<src-").and_then(|rest| rest.strip_suffix('>')) else {
        return true;
    };
    name == "<module>" || name == format!("f_{number}") || name == format!("g_{number}")
}

/// The line of a frame is one that its function has, by the first and the last line of each
/// that the program told; in a source `<src-7>` they are always the same. No line is right
/// where the function's code has instructions without one.
fn lined(frame: &str, lines: &Value) -> bool {
    let (_, file, line) = parts(frame);
    let name = short(frame);
    if file.starts_with("<src-") {
        return match name.split_once('_') {
            Some(("g", _)) => (1..=2).contains(&line),
            Some(("f", _)) => (3..=5).contains(&line),
            _ => true,
        };
    }
    match (lines[name][0].as_u64(), lines[name][1].as_u64()) {
        (Some(_), Some(_)) if line == 0 => lines[name][2] == true,
        (Some(first), Some(last)) => (first..=last).contains(&u64::from(line)),
        _ => true,
    }
}

fn impossible<'a>(folded: &'a Folded, lines: &Value) -> Vec<(&'a [String], u64)> {
    let wrong = |stack: &[String]| {
        short(&stack[0]) != "<module>"
            || stack.windows(2).any(|pair| !legal(short(&pair[1]), short(&pair[0])))
            || stack.iter().any(|frame| !at_home(frame) || !lined(frame, lines))
    };
    folded.iter().filter(|(stack, _)| wrong(stack)).map(|(stack, n)| (&stack[..], *n)).collect()
}

/// Impossible stacks, all stacks, and those dropped, of one program in one mode: of as many
/// recordings as it takes for `short` stacks, or for the long run's share.
fn watch(
    interpreter: &Interpreter,
    kind: &str,
    mode: &[&str],
    share: f64,
    short: u64,
) -> (u64, u64, u64) {
    let target = Target::start(interpreter, "oracle.py", &[kind]);
    assert!(target.ready["main"].is_array(), "it tells no lines: {}", target.ready);
    let (rate, seconds) = plan(share);
    if long().is_some() {
        pin(target.pid(), 0);
        pin(0, 1);
    }
    let (rate, seconds) = (rate.to_string(), seconds.to_string());
    let mut args = vec!["--full-filenames", "-r", &rate, "-d", &seconds];
    args.extend(mode);
    let mut sums = (0, 0, 0);
    // Each recording of the long run takes about half a minute, which is no sign of a hang.
    for _ in 0..100 {
        let (folded, told) = record_told(target.pid(), &args);
        let wrong = impossible(&folded, &target.ready);
        if !wrong.is_empty() {
            eprintln!("{} {kind} {mode:?}: {:?}", interpreter.label, wrong[0]);
        }
        sums.0 += wrong.iter().map(|(_, n)| n).sum::<u64>();
        sums.1 += total(&folded);
        sums.2 += counted(&told, "dropped").unwrap_or(0);
        println!(
            "{} {kind} {}: {} impossible of {}; {}",
            interpreter.label,
            mode.join(" "),
            sums.0,
            sums.1,
            told.lines().last().unwrap_or("")
        );
        // Without pauses it may be that nothing is kept.
        let counted = if mode.contains(&"--nonblocking") { sums.1 + sums.2 } else { sums.1 };
        if counted >= least(short, share) {
            return sums;
        }
    }
    panic!("{} {kind} {mode:?}: {sums:?} in 100 recordings", interpreter.label)
}

fn each(test: impl Fn(&Interpreter, &str) + Sync) {
    let all = |interpreter: &Interpreter| {
        for kind in KINDS {
            // Coroutines came with 3.5.
            if kind != "coroutines" || interpreter.at_least(3, 5) {
                test(interpreter, kind);
            }
        }
    };
    match long() {
        Some(_) => one_per_version().into_iter().for_each(all),
        None => for_each(one_per_version(), all),
    }
}

#[test]
fn no_impossible_stack_by_default() {
    each(|interpreter, kind| {
        let (wrong, all, dropped) = watch(interpreter, kind, &[], 1.0, 100);
        assert_eq!(wrong, 0, "{kind}: impossible, of {all}");
        // A short run is mostly its start, when nothing is known yet and the time that the
        // program may be paused is soon used up, the sooner the busier the machine: how many
        // are dropped then says nothing, and only the long run tests it.
        assert!(all < 20_000 || dropped <= all / 200, "{kind}: {dropped} dropped, {all} kept");
    });
}

#[test]
fn no_impossible_stack_when_blocking() {
    each(|interpreter, kind| {
        let (wrong, all, _) = watch(interpreter, kind, &["--blocking"], 0.3, 20);
        assert_eq!(wrong, 0, "{kind}: impossible, of {all}");
    });
}

#[test]
fn hardly_any_impossible_stack_without_pausing() {
    each(|interpreter, kind| {
        let (wrong, all, _) = watch(interpreter, kind, &["--nonblocking"], 0.5, 50);
        // One in a thousand; a short run may meet the one that comes later.
        assert!(wrong <= 1 + all / 1000, "{kind}: {wrong} impossible, of {all}");
    });
}

#[test]
fn the_oracle_tells_what_is_impossible() {
    let stack = |names: &[&str]| {
        vec![(names.iter().map(|name| format!("{name} (x.py:1)")).collect::<Vec<_>>(), 1)]
    };
    for good in [
        &["<module>", "main", "t1", "t12", "t120"][..],
        &["<module>", "main", "even", "odd", "even"],
        &["<module>", "generators.<locals>.main", "drive_a", "resume_a", "gen", "g_leaf"],
        &["<module>", "main", "r0", "r1", "h1"],
    ] {
        assert!(impossible(&stack(good), &Value::Null).is_empty(), "{good:?}");
    }
    for bad in [
        &["main", "t1"][..],
        &["<module>", "main", "t1", "t20"],
        &["<module>", "main", "odd"],
        &["<module>", "main", "drive_a", "resume_b"],
        &["<module>", "main", "r0", "r2"],
        &["<module>", "main", "f_1", "g_2"],
        &["<module>", "main", "down1"],
        &["<module>", "main", "run", "step_a", "co_top_b"],
    ] {
        assert_eq!(impossible(&stack(bad), &Value::Null).len(), 1, "{bad:?}");
    }
    assert!(!at_home("f_1 (<src-2>:3)") && at_home("f_2 (<src-2>:3)"));
    let lines = json!({"even": [5, 7, false], "odd": [8, 9, true]});
    for (frame, right) in [
        ("even (x.py:5)", true),
        ("even (x.py:7)", true),
        ("even (x.py:4)", false),
        ("even (x.py:8)", false),
        ("even (x.py)", false),
        ("odd (x.py)", true),
        ("f_2 (<src-2>:5)", true),
        ("g_2 (<src-2>:3)", false),
    ] {
        assert_eq!(lined(frame, &lines), right, "{frame}");
    }
    let main = stack(&["<module>", "main", "even"]);
    assert_eq!(impossible(&main, &lines).len(), 1);
}
