//! Programs that stand still and say what is true of them, on every interpreter: `dump`
//! must see exactly that.

mod support;

use support::interpreters::missing;
use support::*;

#[test]
fn required_interpreters_are_there() {
    let missing = missing();
    assert!(missing.is_empty(), "no interpreter here is a {missing:?}: run scripts/setup-tests");
}

/// Every kind of frame, thread name, file name and line table, paused and not.
#[test]
fn stacks_are_what_the_program_says() {
    for_each(interpreters(), |interpreter| {
        let mut target = Target::start(interpreter, "stacks.py", &[]);
        let dump = assert_true(&mut target, &[]);
        assert!(dump.len() > 30, "{} threads", dump.len());
        let columns =
            dump.iter().flat_map(|thread| &thread.frames).filter(|frame| frame.column.is_some());
        assert_eq!(columns.count() > 1000, interpreter.at_least(3, 11), "columns from 3.11 on");
        if one_per_version().contains(&interpreter) {
            assert_true(&mut target, &["--nonblocking"]);
        }
    });
}

/// The text says what the JSON says; with file names cut to their package, or whole.
#[test]
fn text_is_what_json_is() {
    for_each(one_per_version(), |interpreter| {
        let mut target = Target::start(interpreter, "simple.py", &[]);
        let dump = assert_true(&mut target, &[]);
        target.wait_asleep();
        for full in [false, true] {
            let text = dump_text(target.pid(), if full { &["--full-filenames"] } else { &[] });
            let mut lines = text.lines();
            let first = lines.next().unwrap();
            assert!(
                first.starts_with(&format!(
                    "Process {}: {}",
                    target.pid(),
                    interpreter.path.display()
                )),
                "{text}"
            );
            let (major, minor, patch) = interpreter.version;
            assert!(
                lines.next().unwrap().starts_with(&format!("Python v{major}.{minor}.{patch}")),
                "{text}"
            );
            let mut expected = Vec::new();
            for thread in &dump {
                let name = thread.thread_name.as_deref().unwrap();
                expected.push(String::new());
                expected
                    .push(format!("Thread {} (idle): \"{name}\"", thread.os_thread_id.unwrap()));
                if let Some(wait) = thread.waits_for["text"].as_str() {
                    expected.push(format!("    waits for: {wait}"));
                }
                for frame in &thread.frames {
                    let file =
                        if full { &frame.filename } else { frame.short_filename.as_ref().unwrap() };
                    expected.push(format!("    {} ({file}:{})", frame.name, frame.line));
                }
            }
            // Who has the other end of stdin changes while other tests start programs.
            let cut = |line: &str| line.split(" with process").next().unwrap_or("").to_owned();
            let lines: Vec<String> = lines.map(cut).collect();
            assert_eq!(lines, expected.iter().map(|line| cut(line)).collect::<Vec<_>>());
        }
    });
}

/// Names from the program do not reach the terminal as they are, and short file names
/// begin at the outermost package.
#[test]
fn odd_names_in_text() {
    for interpreter in [newest(), &interpreters()[0]] {
        let target = Target::start(interpreter, "stacks.py", &[]);
        let text = dump_text(target.pid(), &[]);
        let control: Vec<char> = text.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert!(control.is_empty(), "{control:?}");
        for part in
            ["\"Zoë 日本 🐍\"", "package/inner/leaf.py:5)", "über.py:", "файл.py:", "🐍.py:"]
        {
            assert!(text.contains(part), "{}: no {part}\n{text}", target.label);
        }
        // A line for each thread, whatever is in its name.
        let threads = text.lines().filter(|line| line.starts_with("Thread ")).count();
        assert_eq!(threads, target.ready["threads"].as_array().unwrap().len());
    }
}

/// Where the program was told not to keep columns, there are lines only.
#[test]
fn without_columns() {
    let wanted: Vec<_> = one_per_version().into_iter().filter(|one| one.at_least(3, 11)).collect();
    for_each(wanted, |interpreter| {
        let mut command = std::process::Command::new(&interpreter.path);
        command.args(["-X", "no_debug_ranges"]).arg(support::target::script_path("simple.py"));
        // What was compiled before has them.
        let folder = tempfile::tempdir().unwrap();
        command.env("PYTHONPYCACHEPREFIX", folder.path());
        let mut target = Target::start_command(&interpreter.label, command);
        let dump = assert_true(&mut target, &[]);
        let park = &dump[1].frames[0];
        assert_eq!((park.name.as_str(), park.column, park.end_column), ("park", None, None));
        assert!(park.line > 0);
    });
}

/// File names that are no Unicode, which Python has as lone surrogates.
#[test]
fn file_names_that_are_not_unicode() {
    let wanted: Vec<_> = one_per_version().into_iter().filter(|one| one.at_least(3, 6)).collect();
    for_each(wanted, |interpreter| {
        let code = "import sys, time; exec(compile('print(\"READY\", flush=True); time.sleep(1000)', '/srv/\\udcff\\ud800.py', 'exec'))";
        let mut command = std::process::Command::new(&interpreter.path);
        command.args(["-c", code]);
        let target = Target::start_command(&interpreter.label, command);
        let dump = dump_json(target.pid(), &[]);
        let frame = &dump[0].frames[0];
        assert!(
            frame.filename.starts_with("/srv/")
                && frame.filename.ends_with(".py")
                && frame.line == 1,
            "{frame:?}"
        );
        assert!(dump_text(target.pid(), &[]).contains(".py:1)"));
    });
}
