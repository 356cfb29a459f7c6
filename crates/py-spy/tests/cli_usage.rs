//! The command line itself: help, abbreviations, and arguments that make no sense.

mod record_kit;
mod support;

use record_kit::{Folder, modern};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;
use support::{Target, run, run_py_spy, tool};

#[test]
fn help_and_version_are_results() {
    for args in [&["-h"][..], &["--help"], &["help"]] {
        let run = run_py_spy(args).ok();
        assert!(
            run.stdout.contains("record") && run.stdout.contains("dump"),
            "{args:?}: {}",
            run.stdout
        );
        assert_eq!(run.stderr, "", "{args:?}");
    }
    let version = format!("py-spy {}\n", env!("CARGO_PKG_VERSION"));
    for flag in ["-V", "--version"] {
        assert_eq!(run_py_spy([flag]).ok().stdout, version);
    }
    for args in [&["record", "-h"][..], &["record", "--help"], &["help", "record"]] {
        let text = run_py_spy(args).ok().stdout;
        for flag in [
            "--pid",
            "--output",
            "--format",
            "--duration",
            "--rate",
            "--subprocesses",
            "--function",
            "--nolineno",
            "--threads",
            "--gil",
            "--idle",
            "--native",
            "--nonblocking",
            "--full-filenames",
            "-p",
            "-o",
            "-f",
            "-d",
            "-r",
            "-s",
            "-F",
            "-t",
            "-g",
            "-i",
            "-n",
        ] {
            let found = text.split([' ', ',', '\n']).any(|word| word == flag);
            assert!(found, "{args:?}: no {flag}: {text}");
        }
    }
}

#[test]
fn nothing_asked_is_help_on_stderr() {
    let run = run_py_spy([""; 0]);
    assert_eq!((run.code(), run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("Usage:") && run.stderr.contains("record"), "{}", run.stderr);
}

/// Shell scripts that shells accept.
#[test]
fn completions_are_scripts() {
    let script = run_py_spy(["completions", "bash"]).ok().stdout;
    let mut command = Command::new(tool("bash"));
    let shown = run(command.args(["-c", &format!("{script}\ncomplete -p py-spy")])).ok().stdout;
    assert!(shown.contains("py-spy"), "{shown}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(run_py_spy(["completions", shell]).ok().stdout.contains("py-spy"), "{shell}");
    }
    let run = run_py_spy(["completions", "tcsh"]);
    assert_eq!(run.code(), Some(2), "{}", run.stderr);
    // It is hidden.
    assert!(!run_py_spy(["--help"]).stdout.contains("completions"));
}

/// Subcommands may be cut short, flags written in all the usual ways.
#[test]
fn what_is_clear_may_be_short() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let pid = target.pid();
    let (decimal, hex, attached) = (pid.to_string(), format!("0x{pid:x}"), format!("-p{pid}"));
    let (upper, equals) = (format!("0X{pid:X}"), format!("--pid={pid}"));
    for record in ["record", "recor", "rec", "r"] {
        run_py_spy([record, "-d", "0.05", "-o", "/dev/null", "-p", &decimal]).ok();
    }
    for args in [
        &["-p", &hex][..],
        &["-p", &upper],
        &[&attached],
        &[&equals],
        &["--pid", &decimal, "--rate", "1e2"],
        &["-p", &decimal, "-tiF"],
        &["-p", &decimal, "-r50", "-fraw"],
        &["-p", &decimal, "--function", "--threads", "--gil", "--idle", "--full-filenames"],
    ] {
        run_py_spy([&["record", "-d", "0.05", "-o", "/dev/null"], args].concat()).ok();
    }
    for dump in ["dump", "dum", "du", "d"] {
        let run = run_py_spy([dump, "-p", &decimal]).ok();
        assert!(run.stdout.contains("main (record_life.py"), "{}", run.stdout);
    }
}

/// Argument lists that are wrong: each is refused as wrong usage, with a text that shows
/// what was wrong. Those with a process give one that exists.
#[test]
fn wrong_usage_is_refused() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let own = target.pid().to_string();
    let pid = own.as_str();
    let wrong: &[(&[&str], &str)] = &[
        (&["record"], "--pid"),
        (&["record", "-p"], "--pid"),
        (&["record", "-p", ""], "--pid"),
        (&["record", "-p", "abc"], "abc"),
        (&["record", "-p", "0"], "'0'"),
        (&["record", "-p", "-1"], "-1"),
        (&["record", "-p", "1.5"], "1.5"),
        (&["record", "-p", "0x"], "0x"),
        (&["record", "-p", "0xfffffffff"], "0xfffffffff"),
        (&["record", "-p", "99999999999999999999"], "99999999999999999999"),
        (&["record", "-p", "1 2"], "1 2"),
        (&["record", "-p", "\u{1b}[31m"], "--pid"),
        (&["record", "-p", pid, "--", "/bin/true"], "cannot be used with"),
        (&["record", "-p", pid, "/bin/true"], "cannot be used with"),
        (&["record", "-p", pid, "-r", "0"], "'0'"),
        (&["record", "-p", pid, "-r", "-5"], "-5"),
        (&["record", "-p", pid, "-r", "NaN"], "NaN"),
        (&["record", "-p", pid, "-r", "inf"], "inf"),
        (&["record", "-p", pid, "-r", "-inf"], "--rate"),
        (&["record", "-p", pid, "-r", "1e300"], "1e300"),
        (&["record", "-p", pid, "-r", "99999999999999999999"], "99999999999999999999"),
        (&["record", "-p", pid, "-r", ""], "--rate"),
        (&["record", "-p", pid, "-r", "fast"], "fast"),
        (&["record", "-p", pid, "-r", "-0"], "-0"),
        (&["record", "-p", pid, "-d", "0"], "'0'"),
        (&["record", "-p", pid, "-d", "-1"], "-1"),
        (&["record", "-p", pid, "-d", "nan"], "nan"),
        (&["record", "-p", pid, "-d", "inf"], "inf"),
        (&["record", "-p", pid, "-d", "1e300"], "1e300"),
        (&["record", "-p", pid, "-d", ""], "--duration"),
        (&["record", "-p", pid, "-d", "5s"], "5s"),
        (&["record", "-p", pid, "-d", "-0.0"], "-0.0"),
        (&["record", "-p", pid, "-f", "pdf"], "pdf"),
        (&["record", "-p", pid, "-f", ""], "--format"),
        (&["record", "-p", pid, "-o"], "--output"),
        (&["record", "-p", pid, "-F", "--nolineno"], "--nolineno"),
        (&["record", "-p", pid, "-n", "--nonblocking"], "--nonblocking"),
        (&["top", "-p", pid, "-n", "--nonblocking"], "--nonblocking"),
        (&["record", "-p", pid, "--include", "("], "regular expression"),
        (&["record", "--name", "no such program"], "no such program"),
        (&["record", "-p", pid, "--blocking", "--nonblocking"], "--nonblocking"),
        (&["record", "-p", pid, "--no-such-flag"], "--no-such-flag"),
        (&["record", "-p", pid, "-z"], "-z"),
        (&["record", "-p", pid, "-\u{1f40d}"], "-"),
        (&["record", "--pid=", "-d", "1"], "--pid"),
        (&["no-such-command"], "no-such-command"),
        (&["-x"], "-x"),
        (&["--"], "Usage"),
        (&[""], "''"),
        (&["recordrecord"], "recordrecord"),
        (&["help", "nothing"], "nothing"),
        (&["completions"], "shell"),
        (&["completions", "nothing"], "nothing"),
        (&["dump"], "--pid"),
        (&["dump", "-p", "zero"], "zero"),
        (&["dump", "-p", pid, "-r", "5"], "-r"),
        (&["dump", "-p", pid, "program"], "program"),
        (&["dump", "-p", "-2"], "-2"),
    ];
    assert!(wrong.len() >= 55);
    let folder = Folder::new();
    let mut failures = Vec::new();
    for (args, told) in wrong {
        let mut command = support::py_spy(args.iter());
        let run = run(command.current_dir(folder.path()));
        let fine = run.code() == Some(2)
            && run.stdout.is_empty()
            && run.stderr.to_lowercase().contains(&told.to_lowercase())
            && !run.stderr.contains("panicked")
            && !run.stderr.contains('\u{1b}');
        if !fine {
            failures.push(format!(
                "{args:?} (should tell {told:?}): {}: {}{}",
                run.status, run.stdout, run.stderr
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(folder.names(), [""; 0], "nothing is written");
}

/// Odd arguments, right or wrong: always an end, never a panic.
#[test]
fn nothing_panics() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let own = target.pid().to_string();
    let pid = own.as_str();
    let long = "x".repeat(100_000);
    let deep = "a/".repeat(3000);
    let odd: &[&[&str]] = &[
        &["record", "-p", "1", "-d", "0.05"],
        &["record", "-p", "2147483647"],
        &["record", "-p", "2147483648"],
        &["record", "-p", "4194304"],
        &["record", "-p", &long],
        &["record", "-p", pid, "-o", &long, "-d", "0.05"],
        &["record", "-p", pid, "-o", &deep, "-d", "0.05"],
        &["record", "-p", pid, "-o", "a\nb\u{1b}[31m.svg", "-d", "0.05"],
        &["record", "-p", pid, "-o", ".", "-d", "0.05"],
        &["record", "-p", pid, "-o", "..", "-d", "0.05"],
        &["record", "-p", pid, "-o", "x/", "-d", "0.05"],
        &["record", "-p", pid, "-o", "/dev/full", "-d", "0.05"],
        &["record", "-p", pid, "-o", "same.svg", "-o", "same.svg", "-d", "0.05"],
        &["record", "-p", pid, "-o", "-", "-o", "-", "-d", "0.05"],
        &["record", "-p", pid, "-o", "/dev/stdout", "-f", "raw", "-d", "0.05"],
        &["record", "-p", pid, "-o", "/dev/stderr", "-f", "raw", "-d", "0.05"],
        &["record", "-p", pid, "-d", "1e-9"],
        &["record", "-p", pid, "-d", "1e-300"],
        &["record", "-p", pid, "-d", "0.05", "-r", "1000000"],
        &["record", "-p", pid, "-d", "0.05", "-r", "1e-300"],
        &["record", "-p", pid, "-d", "0.05", "-r", "0.0001"],
        &[
            "record",
            "-p",
            pid,
            "-d",
            "0.05",
            "-r",
            "100",
            "-tgiF",
            "--full-filenames",
            "--blocking",
        ],
        &["record", "-d", "0.05", "--", ""],
        &["record", "-d", "0.05", "--", "--"],
        &["record", "-d", "0.05", "--", "-p", "1"],
        &["record", "-d", "0.05", "--", "/bin/true", "--", "-x"],
        &["record", "-d", "0.05", "--", "/bin/false"],
        &["record", "-d", "0.05", "/bin/echo", "-n", "-p", "1"],
        &["record", "-d", "0.05", "--", "no\u{1b}[31msuch\nprogram"],
        &["record", "-d", "0.05", "--", &long],
        &[
            "record",
            "-d",
            "0.05",
            "--",
            "/proc/self/exe",
            "record",
            "-p",
            pid,
            "-d",
            "0.05",
            "-o",
            "/dev/null",
        ],
        &["dump", "-p", "1", "-p", "2147483647", "-p", pid],
        &["dump", "-p", pid, "-p", pid],
        &["dump", "-p", pid, "-jjj"],
        &["dump", "-c", "/etc/passwd"],
        &["dump", "-c", "/nonexistent"],
        &["dump", "-p", pid, "-lll"],
        &["dump", "-p", pid, "-s", "-n"],
        &["help", "help"],
        &["help", "record", "record"],
    ];
    let folder = Folder::new();
    let mut failures = Vec::new();
    let mut check = |args: &[OsString]| {
        let run = run(support::py_spy(args).current_dir(folder.path()));
        let text = run.stderr.replace("\r\n", "\n");
        let bad = run.code().is_none_or(|code| code == 101)
            || text.contains("panicked")
            || text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        if bad {
            let shown: String = format!("{args:?}").chars().take(200).collect();
            failures.push(format!(
                "{shown}: {}: {}",
                run.status,
                text.chars().take(600).collect::<String>()
            ));
        }
    };
    for args in odd {
        check(&args.iter().map(OsString::from).collect::<Vec<_>>());
    }
    // Bytes that are no UTF-8, wherever text is expected.
    let bytes = OsString::from_vec(b"\xff\xfe\x80".to_vec());
    for before in [
        &[][..],
        &["record", "-p"],
        &["record", "-p", pid, "-o"],
        &["record", "-p", pid, "-f"],
        &["record", "-p", pid, "-d"],
        &["record", "-p", pid, "-r"],
        &["record", "--"],
        &["dump", "-c"],
        &["completions"],
    ] {
        let mut args: Vec<OsString> = before.iter().map(OsString::from).collect();
        args.push(bytes.clone());
        if before.ends_with(&["-o"]) {
            args.extend(["-d", "0.05"].map(OsString::from));
        }
        check(&args);
    }
    assert!(failures.is_empty(), "{} bad:\n{}", failures.len(), failures.join("\n"));
}
