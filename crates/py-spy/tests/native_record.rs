//! `record --native`: where the time goes in C code.

mod native_kit;
mod record_kit;
mod support;

use native_kit::{assert_in_order, library};
use record_kit::*;
use support::*;

/// Whether a name is one of those that are looked for.
type IsName = fn(&str) -> bool;

/// One of each version whose symbols are there.
fn with_symbols() -> Vec<&'static Interpreter> {
    let mut found: Vec<&Interpreter> = Vec::new();
    for one in interpreters().iter().filter(|one| !one.is("stripped")) {
        let key = |of: &Interpreter| (of.version.0, of.version.1, of.free_threaded());
        if found.last().is_none_or(|last| key(last) != key(one)) {
            found.push(one);
        }
    }
    found
}

/// The names in each stack in which `function` is, outermost first, with its count.
fn below(folded: &Folded, function: &str) -> Vec<(Vec<String>, u64)> {
    let names = |frames: &[String]| -> Vec<String> {
        frames.iter().map(|frame| frame.split(" (").next().unwrap_or_default().to_owned()).collect()
    };
    let all = folded.iter().map(|(frames, count)| (names(frames), *count));
    all.filter(|(names, _)| names.iter().any(|name| name == function)).collect()
}

fn count(stacks: &[(Vec<String>, u64)], wanted: impl Fn(&str) -> bool) -> u64 {
    let has = |names: &[String]| names.iter().any(|name| wanted(name));
    stacks.iter().filter(|(names, _)| has(names)).map(|(_, count)| count).sum()
}

/// On a busy machine threads may not get a processor to stop on, and are not merged then.
#[track_caller]
fn record_merged(target: &Target) -> Folded {
    let mut told = String::new();
    for _ in 0..8 {
        let args = ["--native", "-d", "1.2", "-r", "200"];
        let (found, now) = record_told(target.pid(), &args);
        let (all, unmerged) = (total(&found), counted(&now, "unmerged").unwrap_or(0));
        if all > 20 && unmerged * 10 <= all {
            return found;
        }
        told += &now;
    }
    panic!("too many are unmerged each time: {told}");
}

#[test]
fn busy_c_code_is_named_below_the_function_that_calls_it() {
    let library = library(&["-g"]);
    for_each(with_symbols(), |interpreter| {
        let target = Target::start(interpreter, "native_busy.py", &[library.to_str().unwrap()]);
        let found = record_merged(&target);
        let spin = below(&found, "by_spin");
        for (names, _) in spin.iter().filter(|(names, _)| names.iter().any(|n| n == "kit_hot")) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert_in_order(&names, &["<module>", "repeat", "by_spin", "kit_spin", "kit_hot"]);
        }
        let kinds: [(&str, IsName); 4] = [
            ("by_spin", |name| name == "kit_hot"),
            ("by_zlib", |name| name.contains("deflate") || name.contains("compress")),
            ("by_json", |name| name.starts_with("encoder_")),
            ("by_re", |name| name.contains("sre_") || name.contains("pattern_")),
        ];
        for (function, wanted) in kinds {
            let stacks = below(&found, function);
            let (of, named) = (count(&stacks, |_| true), count(&stacks, wanted));
            assert!(of > 0 && named * 2 > of, "{function}: {named} of {of}: {stacks:?}");
        }
    });
}

/// Threads that wait are shown with what they wait in, and are not disturbed.
#[test]
fn waiting_threads_show_their_native_stack() {
    let library = library(&["-g"]);
    for_each([newest()], |interpreter| {
        let target = Target::start(interpreter, "native.py", &["call", library.to_str().unwrap()]);
        target.wait_asleep();
        let (found, told) = record_told(target.pid(), &["--native", "-i", "-d", "0.5", "-r", "50"]);
        assert_eq!(counted(&told, "unmerged").unwrap_or(0), 0, "{told}");
        let [(frames, _)] = &found[..] else { panic!("{found:?}") };
        let names: Vec<&str> = frames.iter().map(|frame| parts(frame).0).collect();
        assert_in_order(&names, &["outer", "by_call", "kit_call", "kit_inner", "inner", "wait"]);
    });
}

/// Threads without Python are there with --native-all, and are nothing that -i or --thread
/// would not know.
#[test]
fn threads_without_python_are_shown_with_all_functions() {
    let library = library(&["-g"]);
    for_each([one_per_version()[0], newest()], |interpreter| {
        let args = [library.to_str().unwrap()];
        let target = Target::start(interpreter, "native_strangers.py", &args);
        let tid = |name: &str| target.ready[name].as_u64().unwrap();
        let record = |more: &[&str]| {
            let args = ["-t", "-d", "0.7", "-r", "100", "-F"];
            record_raw(target.pid(), &[&args, more].concat())
        };
        let of = |found: &Folded, tid: u64| -> u64 {
            let root = format!("thread ({tid})");
            let stacks = found.iter().filter(|(frames, _)| frames[0].starts_with(&root));
            stacks.map(|(_, count)| count).sum()
        };
        let (busy, waiting) = (tid("busy"), tid("waiting"));
        let seen = |args: &[&str], wanted: &[u64]| {
            until("samples of each thread", || {
                let found = record(args);
                wanted.iter().all(|tid| of(&found, *tid) > 0).then_some(found)
            })
        };
        let computing = seen(&["--native-all"], &[busy]);
        assert_eq!(of(&computing, busy), with(&computing, "kit_hot"), "{computing:?}");
        assert_eq!(of(&computing, waiting), 0, "{computing:?}");
        let all = seen(&["--native-all", "-i"], &[busy, waiting]);
        assert_eq!(of(&all, busy), with(&all, "kit_hot"), "{all:?}");
        assert!(with(&all, "sleep") >= of(&all, waiting), "{all:?}");
        let thread = waiting.to_string();
        let chosen = seen(&["--native-all", "-i", "--thread", &thread], &[waiting]);
        assert_eq!(of(&chosen, waiting), total(&chosen), "{chosen:?}");
        for args in [&["--native", "-i"][..], &["--native-all", "-i", "-g"]] {
            let without = record(args);
            assert_eq!(of(&without, busy) + of(&without, waiting), 0, "{without:?}");
        }
    });
}
