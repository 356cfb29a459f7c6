//! How `dump --locals` looks in a pipe, on a terminal, and under cron.

mod support;

use std::process::Command;
use support::{
    Target, dump_text, for_each, newest, one_per_version, py_spy, run, run_py_spy, tool,
};

/// Any character that a terminal would obey.
fn control(text: &str) -> Option<char> {
    text.chars().find(|c| c.is_control() && *c != '\n')
}

/// `text` without colours, which must be all the control sequences that it has.
#[track_caller]
fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    for (i, part) in text.split("\x1b[").enumerate() {
        let rest = match i {
            0 => part,
            _ => {
                let (codes, rest) = part.split_once('m').expect("a colour");
                assert!(codes.chars().all(|c| c.is_ascii_digit() || c == ';'), "{codes:?}");
                rest
            }
        };
        plain += rest;
    }
    assert_eq!(control(&plain), None, "{plain:?}");
    plain
}

/// A dump but for what is waited for: who else has the pipe open may change with the children
/// that other tests have just forked.
fn but_waits(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.contains("waits for:")).collect()
}

#[test]
fn control_characters_of_the_target_stay_text() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "hostile.py", &[]);
        // It says that it is ready just before it waits.
        let take = || dump_text(target.pid(), &["-lll", "--full-filenames"]);
        let waits = |text: &String| text.contains("waits for: read");
        let text = (0..500).map(|_| take()).find(waits).expect("it waits for input");
        assert_eq!(control(&text), None, "{text:?}");
        for part in [r"\x1b[31m", r"\x1b]0;title\x07", r"\r\n", "Arguments:", "Locals:"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(text.contains(r"instance: <m\x1b[31m.N\x1b[31m object at 0x"), "{text}");
        let pid = target.pid().to_string();
        let mut coloured = py_spy(["dump", "-lll", "--full-filenames", "-p", &pid]);
        let coloured = run(coloured.env("CLICOLOR_FORCE", "1")).ok().stdout;
        assert_eq!(but_waits(&without_colours(&coloured)), but_waits(&text));
        // JSON has its own escapes, and the text itself behind them.
        let json = run_py_spy(["dump", "-lll", "--json", "-p", &pid]).ok().stdout;
        assert_eq!(control(&json), None, "{json:?}");
        assert!(json.contains(r"\u001b") || json.contains(r"\\x1b"), "{json}");
    });
}

/// Runs `py-spy dump` behind a terminal of so many columns.
fn on_terminal(pid: i32, columns: u32, environment: &[(&str, &str)]) -> String {
    let program = env!("CARGO_BIN_EXE_py-spy");
    let line = format!("stty cols {columns} && '{program}' dump -ll -p {pid}");
    let mut command = Command::new(tool("script"));
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm-256color");
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    run(&mut command).ok().stdout.replace("\r\n", "\n")
}

#[test]
fn colours_are_for_those_who_want_them() {
    let target = Target::start(newest(), "attributes.py", &[]);
    target.wait_asleep();
    let pid = target.pid();
    let plain = dump_text(pid, &["-ll"]);
    assert_eq!(control(&plain), None, "{plain:?}");
    for (environment, coloured) in [
        (&[][..], true),
        (&[("CLICOLOR", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("TERM", "dumb")], true),
        (&[("NO_COLOR", "1")], false),
        (&[("CLICOLOR", "0")], false),
        (&[("TERM", "dumb")], false),
    ] {
        let text = on_terminal(pid, 80, environment);
        assert_eq!(text.contains('\x1b'), coloured, "{environment:?}: {text}");
        assert_eq!(but_waits(&without_colours(&text)), but_waits(&plain), "{environment:?}");
    }
    for (environment, coloured) in
        [(&[][..], false), (&[("CLICOLOR", "1")], false), (&[("CLICOLOR_FORCE", "1")], true)]
    {
        let mut command = py_spy(["dump", "-ll", "-p", &pid.to_string()]);
        let text = run(command.envs(environment.iter().copied())).ok().stdout;
        assert_eq!(text.contains('\x1b'), coloured, "{environment:?}: {text}");
    }
}

#[test]
fn a_narrow_terminal_loses_nothing() {
    let target = Target::start(newest(), "attributes.py", &[]);
    target.wait_asleep();
    let text = on_terminal(target.pid(), 20, &[]);
    let plain = dump_text(target.pid(), &["-ll"]);
    assert_eq!(but_waits(&without_colours(&text)), but_waits(&plain));
}

/// No terminal, no environment, no stdin, and a reader that has seen enough.
#[test]
fn from_cron_and_into_head() {
    let target = Target::start(newest(), "attributes.py", &[]);
    target.wait_asleep();
    let program = env!("CARGO_BIN_EXE_py-spy");
    let whole = dump_text(target.pid(), &["-l"]);
    let shell = |script: String| {
        let mut command = Command::new("/bin/sh");
        run(command.env_clear().args(["-c", &script])).ok()
    };
    let bare = shell(format!("exec '{program}' dump -l -p {} <&-", target.pid()));
    assert_eq!((but_waits(&bare.stdout), bare.stderr.as_str()), (but_waits(&whole), ""));
    let head = shell(format!("'{program}' dump -lllll -p {} | /usr/bin/head -1", target.pid()));
    assert_eq!((head.stdout.lines().count(), head.stderr.as_str()), (1, ""));
}
