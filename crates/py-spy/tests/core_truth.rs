//! Core files of programs that stand still and say what is true of them, on every
//! interpreter: `dump --core` must see exactly that.

mod core_kit;
mod support;

use core_kit::{abort, dump, dump_json, gcore, stand_still, start};
use support::*;

/// Every kind of frame, thread name, file name and line table, in the kernel's core files.
#[test]
fn stacks_in_the_kernels_core_files() {
    for_each(interpreters(), |interpreter| {
        let (mut target, folder) = start(interpreter, "stacks.py", &[]);
        let truth = stand_still(&mut target);
        let (pid, threads) = (target.pid(), truth.len());
        let core = abort(target, folder);
        let dump = dump_json(&core.path, &[]);
        compare(&truth, &dump);
        assert!(threads > 30 && dump.iter().all(|thread| thread.pid == pid), "{pid}");
    });
}

/// The same of `gcore`, of one interpreter of each version; the program goes on.
#[test]
fn stacks_in_gdbs_core_files() {
    for_each(one_per_version(), |interpreter| {
        let (mut target, folder) = start(interpreter, "simple.py", &[]);
        let truth = stand_still(&mut target);
        let core = gcore(&target, folder);
        let seen = dump_json(&core.path, &[]);
        compare(&truth[..1], &seen[..1]);
        let text = dump(&core.path, &[]).stdout;
        assert!(text.contains("written while the process was alive, no signal ended it"), "{text}");
        assert!(!text.contains("crashed"), "{text}");
        let note = "Note: the stacks of 2 threads end early: memory is missing or damaged";
        assert_eq!(text.contains("Note:"), !core.whole, "{text}");
        assert_eq!(text.contains(note), !core.whole, "{text}");
        if core.whole {
            compare(&truth, &seen);
        }
        assert!(target.is_alive());
    });
}

/// Text, frames and variables are those that the living process showed.
#[test]
fn a_core_shows_what_the_living_process_showed() {
    for_each(one_per_version(), |interpreter| {
        let (mut target, folder) = start(interpreter, "stacks.py", &[]);
        stand_still(&mut target);
        let living = dump_text(target.pid(), &["-l"]);
        let core = abort(target, folder);
        let text = dump(&core.path, &["-l"]).stdout;
        // A core file does not say what descriptors led to.
        assert!(text.contains("\n    waits for: read on descriptor 0\n"), "{text}");
        let own = |line: &&str| {
            !line.starts_with("Core file ") && !line.starts_with("    waits for: read on ")
        };
        let text: Vec<&str> = text.lines().filter(own).collect();
        let text: Vec<String> = text.iter().map(|line| line.replace(", crashed", "")).collect();
        let differ =
            |(one, other): (&String, &str)| (one != other).then(|| format!("{one}\n{other}"));
        let differences: Vec<String> =
            text.iter().zip(living.lines().filter(own)).filter_map(differ).collect();
        assert!(differences.is_empty(), "{}", differences.join("\n"));
        assert_eq!(text.len(), living.lines().filter(own).count());
    });
}

/// Compressed core files read the same.
#[test]
fn compressed_core_files() {
    let (mut target, folder) = start(newest(), "simple.py", &[]);
    let truth = stand_still(&mut target);
    let core = abort(target, folder);
    let plain = dump(&core.path, &["--locals"]).stdout;
    for (program, ending, args) in [
        ("gzip", "gz", &["--keep"][..]),
        ("zstd", "zst", &["-q"]),
        ("zstd", "zst", &["-q", "-1", "--no-check", "--force"]),
    ] {
        run(std::process::Command::new(tool(program)).args(args).arg(&core.path)).ok();
        let packed = core.path.with_extension(ending);
        compare(&truth, &dump_json(&packed, &[]));
        let text = dump(&packed, &["--locals"]).stdout;
        let name = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        assert_eq!(text.replace(&name(&packed), &name(&core.path)), plain);
    }
}

/// What threads waited for is told from their registers.
#[test]
fn a_deadlock_in_a_core_file() {
    for_each(one_per_version(), |interpreter| {
        let (target, folder) = start(interpreter, "dump_waits.py", &["joined"]);
        target.wait_asleep();
        let living = dump_text(target.pid(), &[]);
        let core = abort(target, folder);
        let text = dump(&core.path, &[]).stdout;
        if !core.whole {
            assert!(text.contains("Note: the stacks of "), "{text}");
            return;
        }
        let end = |text: &str| text.split("\nDeadlock").nth(1).map(str::to_owned);
        assert!(end(&text).is_some() && end(&text) == end(&living), "{text}\n{living}");
        let joins = dump_json(&core.path, &[]);
        let joins = joins.iter().find(|one| one.thread_name.as_deref() == Some("joins")).unwrap();
        assert_eq!(joins.waits_for["kind"], "join");
        assert_eq!(joins.waits_for["owner"]["thread_name"], "one");
        assert_eq!(joins.deadlock["member"], false);
    });
}
