//! `top` from its start to its end, and what it leaves behind: on a terminal and without one,
//! whoever ends first.

mod record_kit;
mod support;
mod top_kit;

use record_kit::{Running, send};
use rustix::process::Signal;
use support::{Target, for_each, interpreter, one_per_version, run_py_spy, until};
use top_kit::Terminal;

fn modern() -> &'static support::Interpreter {
    interpreter(&["3.13.*", "3.14.*", "3.12.*", "3.11.*"])
}

/// The percentages of a row, own and total.
fn shares(lines: &[String], label: &str) -> Option<(f64, f64)> {
    let line = lines.iter().find(|line| line.ends_with(label))?;
    let mut fields = line.split_whitespace();
    let mut number = || fields.next()?.strip_suffix('%')?.parse().ok();
    Some((number()?, number()?))
}

/// The time of a row in all, with what it calls, in seconds.
fn total_time(lines: &[String], label: &str) -> Option<f64> {
    let line = lines.iter().find(|line| line.ends_with(label))?;
    line.split_whitespace().nth(3)?.strip_suffix('s')?.parse().ok()
}

/// The shares of a program whose shares are known, on every version; the terminal is given
/// back at the end.
#[test]
fn known_shares() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "record_split.py", &[]);
        let pid = target.pid().to_string();
        let mut screen = Terminal::top(&["-r", "500", "-p", &pid]);
        screen.wait_for("work (record_split.py)");
        // In the long run, however busy the machine is.
        screen.until("the shares", |lines| {
            let all = ["sixty", "thirty", "ten"]
                .map(|name| total_time(lines, &format!(" {name} (record_split.py)")));
            let sum: f64 = all.iter().flatten().sum();
            let is_near = |(found, expected): (&Option<f64>, f64)| {
                found.is_some_and(|found| (found / sum - expected).abs() < 0.12)
            };
            (sum > 0.5 && all.iter().zip([0.6, 0.3, 0.1]).all(is_near)).then_some(())
        });
        // The module is in every stack. (A screen may be seen half drawn.)
        screen.until("the module's share", |lines| {
            let module = shares(lines, "<module> (record_split.py)")?;
            let mut others = 0.0;
            for name in ["sixty", "thirty", "ten"] {
                others += shares(lines, &format!(" {name} (record_split.py)"))?.1;
            }
            (module.1 >= others - 0.1).then_some(())
        });
        screen.keys("q");
        assert_eq!(screen.wait().code(), Some(0));
        screen.assert_restored();
    });
}

/// The process that a program has started.
fn child(parent: i32) -> Option<i32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    std::fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}

/// What was seen of a program that has ended stays, to be looked at and saved.
#[test]
fn the_target_ends() {
    let mut target = Target::start(modern(), "record_life.py", &["exit"]);
    let pid = target.pid().to_string();
    let mut screen = Terminal::top(&["-p", &pid]);
    screen.wait_for("compute (record_life.py)");
    target.signal(Signal::USR1);
    target.wait();
    screen.wait_for("The process has ended; q to quit, s to save");
    screen.wait_for(" ended");
    screen.keys("l");
    screen.wait_for("Function (filename:line)");
    screen.wait_for("compute (record_life.py:");
    screen.keys("t");
    screen.wait_for("%Active");
    screen.keys("t");
    screen.wait_for("%Own");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("late.txt");
    screen.keys("s");
    screen.wait_for("save to");
    screen.keys(&format!("\u{15}{}\r", path.display()));
    screen.wait_for("Wrote raw data");
    assert!(std::fs::read_to_string(path).unwrap().contains("compute (record_life.py:"));
    screen.keys("q");
    assert_eq!(screen.wait().code(), Some(0));
    screen.assert_restored();
}

/// A program that we start has no part of the terminal; its status is ours.
#[test]
fn a_program_of_ours() {
    let python = modern().path.to_str().unwrap();
    let script = support::target::script_path("record_life.py");
    let script = script.to_str().unwrap();
    let mut screen = Terminal::top(&["--", python, script, "exit"]);
    screen.wait_for("compute (record_life.py)");
    assert!(!screen.text().contains("READY"));
    send(child(screen.pid()).unwrap(), Signal::USR1);
    screen.wait_for("The process has ended with status 7");
    screen.keys("q");
    assert_eq!(screen.wait().code(), Some(7));
    screen.assert_restored();
    // What it wrote comes when the terminal is its own again.
    screen.wait_for("READY");
    assert!(!screen.text().contains("py-spy-top-"), "{}", screen.text());
}

/// Control-C reaches a program that we started; q leaves it alone.
#[test]
fn leaving_a_program_of_ours() {
    let python = modern().path.to_str().unwrap();
    let script = support::target::script_path("record_split.py");
    let args = ["--", python, script.to_str().unwrap()];
    let mut screen = Terminal::top(&args);
    screen.wait_for("work (record_split.py)");
    screen.keys("\u{3}");
    assert_eq!(screen.wait().code(), Some(128 + 2), "{}", screen.text());
    screen.wait_for("KeyboardInterrupt");
    screen.assert_restored();

    // In a shell, as when the leader of a session ends the terminal is hung up.
    let mut command = std::process::Command::new("bash");
    command.args(["-c", r#""$@"; echo "status $?"; read line"#, "bash"]);
    command.args([env!("CARGO_BIN_EXE_py-spy"), "top"]).args(args);
    let mut screen = Terminal::start(24, 80, &command);
    screen.wait_for("work (record_split.py)");
    let program = child(screen.pid()).and_then(child).unwrap();
    screen.keys("q");
    screen.wait_for("status 0");
    screen.wait_for(&format!("process {program} goes on"));
    let path = screen.until("where its output is", |lines| {
        let text = lines.concat();
        let from = text.find("what the program writes is in ")?;
        let path = &text[from..][text[from..].find('/')?..];
        Some(path[..path.find(".log")? + 4].to_owned())
    });
    assert_ne!(support::target::state(program), 'X');
    send(program, Signal::USR1);
    screen.until_screen("the program to end", |_| {
        std::fs::read_to_string(&path).is_ok_and(|text| text.contains("TRUTH"))
    });
    std::fs::remove_file(path).unwrap();
}

/// In a shell Control-Z stops it, with the terminal as the shell wants it, and fg brings it back.
#[test]
fn stopping_and_going_on() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let mut command = std::process::Command::new("bash");
    command.args(["--norc", "--noprofile", "-i"]).env("PS1", "shell \\#> ");
    for (name, value) in [("HISTFILE", ""), ("INPUTRC", "/dev/null"), ("PROMPT_COMMAND", "")] {
        command.env(name, value);
    }
    let mut screen = Terminal::start(24, 80, &command);
    screen.wait_for("shell 1>");
    screen.keys(&format!("{} top -p {}\r", env!("CARGO_BIN_EXE_py-spy"), target.pid()));
    screen.wait_for("work (record_split.py)");
    screen.keys("\u{1a}");
    screen.wait_for("Stopped");
    screen.until_screen("the shell's screen", |terminal| {
        terminal.screen(|screen| !screen.alternate_screen() && !screen.hide_cursor())
    });
    screen.keys("fg\r");
    screen.until_screen("the table", |terminal| {
        terminal.screen(|screen| screen.alternate_screen())
            && terminal.text().contains("work (record_split.py)")
    });
    screen.wait_samples(10);
    screen.keys("q");
    // A prompt that was not there before: what is typed earlier might still be for `top`.
    screen.wait_for("shell 3>");
    screen.keys("exit\r");
    assert_eq!(screen.wait().code(), Some(0));
}

/// Every size will do, and a change of it is seen at once.
#[test]
fn resizing() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    let mut screen = Terminal::top(&["--delay", "1000", "-p", &pid]);
    screen.wait_for("? help");
    for (rows, columns) in [(50, 200), (10, 40), (24, 80), (2, 12), (1, 1), (5, 30), (30, 100)] {
        screen.resize(rows, columns);
        if rows >= 5 {
            screen.until("the last line", |lines| {
                lines[usize::from(rows) - 1].starts_with("? help").then_some(())
            });
            screen.until("the first line", |lines| lines[0].contains('\'').then_some(()));
        }
        if columns >= 80 {
            screen.until("all columns", |lines| {
                let title = "   %Own   %Total  OwnTime  TotalTime  Function (filename)";
                lines.iter().any(|line| line == title).then_some(())
            });
        }
    }
    screen.keys("q");
    assert_eq!(screen.wait().code(), Some(0));
}

/// Colours are for those who want them.
#[test]
fn no_color() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    for (value, colored) in [("1", false), ("", true)] {
        let mut command = support::py_spy(["top", "-p", &pid]);
        command.env("NO_COLOR", value);
        let mut screen = Terminal::start(24, 80, &command);
        screen.wait_for("work (record_split.py)");
        let has_color = screen.screen(|screen| {
            let cells = (0..24).flat_map(|row| (0..80).map(move |column| (row, column)));
            let mut cells = cells.filter_map(|(row, column)| screen.cell(row, column));
            cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
        });
        assert_eq!(has_color, colored, "NO_COLOR={value:?}");
    }
}

/// A signal to end gives the terminal back, with the status of an orderly end.
#[test]
fn a_signal_gives_the_terminal_back() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        let mut screen = Terminal::top(&["-p", &pid]);
        screen.wait_for("record_split.py)");
        assert!(screen.screen(|screen| screen.alternate_screen()) && !screen.is_cooked());
        screen.signal(signal);
        assert_eq!(screen.wait().code(), Some(0), "{signal:?}");
        screen.assert_restored();
    }
}

/// A terminal is given back before a panic is reported. This test is also the program that
/// panics.
#[test]
fn a_panic_gives_the_terminal_back() {
    const PANICS: &str = "PYSPY_TEST_PANICS";
    if std::env::var_os(PANICS).is_some() {
        let _screen = py_spy::top::terminal::Screen::enter().unwrap();
        panic!("while the terminal was ours");
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_panic_gives_the_terminal_back", "--nocapture"]);
    command.env(PANICS, "1").env("RUST_BACKTRACE", "0");
    let mut screen = Terminal::start(60, 160, &command);
    screen.wait();
    screen.assert_restored();
    // On the terminal's own screen, not on the one that is gone.
    screen.wait_for("while the terminal was ours");
    let written = screen.written();
    assert!(written.windows(8).any(|bytes| bytes == b"\x1b[?1049h"));
}

/// A terminal that cannot do anything gets tables too; a reader that goes away is no failure.
#[test]
fn not_quite_terminals() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    let mut command = support::py_spy(["top", "-p", &pid, "--delay", "0.2"]);
    command.env("TERM", "dumb");
    let mut screen = Terminal::start(24, 80, &command);
    screen.wait_for("work (record_split.py)");
    assert!(!screen.written().contains(&0x1b));
    // In a terminal it is ended by Control-C.
    screen.keys("\u{3}");
    assert_eq!(screen.wait().code(), Some(0));

    let mut command = std::process::Command::new("sh");
    let line = format!("{} top -p {pid} --delay 0.1 | head -n 3", env!("CARGO_BIN_EXE_py-spy"));
    command.args(["-c", &line]);
    let run = support::run(&mut command).ok();
    assert_eq!((run.stdout.lines().count(), run.stderr.as_str()), (3, ""));
}

/// At a rate that cannot be reached samples take all the time: tables are printed even so, keys
/// are heeded, and it ends.
#[test]
fn too_many_samples_are_asked_for() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    let args = ["top", "-p", &pid, "-r", "1000000", "--delay", "0.2"];
    let run = run_py_spy(args.iter().chain(&["-d", "1"])).ok();
    let tables = run.stdout.matches("Total Samples ").count();
    assert!(tables > 0 && run.stdout.contains(" missed"), "{}", run.stdout);
    let mut screen = Terminal::start(24, 80, &support::py_spy(args));
    screen.wait_for("work (record_split.py)");
    screen.keys("?");
    screen.wait_for("Keys (");
    screen.keys("\u{3}");
    assert_eq!(screen.wait().code(), Some(0));
}

/// Flags of `record` that make sense here mean the same.
#[test]
fn flags() {
    let target = Target::start(modern(), "record_threads.py", &["python", "sleeper"]);
    let pid = target.pid().to_string();
    target.wait_asleep_but("python");
    // A machine that is busy enough may have no sample at all in so short a time; a thread that
    // only makes calls is hardly ever seen without a pause.
    let top = |args: &[&str], has: &str| -> String {
        let all = ["top", "-p", &pid, "-d", "0.6", "--delay", "10"];
        until(&format!("{has} with {args:?}"), || {
            let table = run_py_spy(all.iter().chain(args)).ok().stdout;
            Some(table).filter(|table| table.contains(has))
        })
    };
    let (computes, sleeps) =
        ("compute_in_python (record_threads.py", "sleep_for_ever (record_threads.py");
    let plain = top(&[], computes);
    assert!(!plain.contains("sleep_for_ever"), "{plain}");
    let idle: Vec<String> = top(&["-i"], sleeps).lines().map(str::to_owned).collect();
    let asleep = shares(&idle, " sleep_for_ever (record_threads.py)").expect("the sleeper").0;
    assert!(asleep > 90.0, "{idle:?}");
    let lines = top(&["--by", "line", "--sort", "2"], "compute_in_python (record_threads.py:");
    assert!(lines.contains("  Function (filename:line)\n"), "{lines}");
    let rows: Vec<&str> = lines.lines().skip_while(|line| !line.contains("%Own")).skip(1).collect();
    let total = |row: &&str| -> Option<f64> {
        row.split_whitespace().nth(1)?.strip_suffix('%')?.parse().ok()
    };
    let totals: Vec<f64> = rows.iter().map_while(total).collect();
    assert!(totals.len() > 1 && totals[0] > 0.0 && totals.is_sorted_by(|a, b| a >= b), "{lines}");
    let file = support::target::script_path("record_threads.py");
    top(&["--by", "file", "--full-filenames"], &format!("  {}\n", file.display()));
    let none = top(&["-i", "--exclude", "compute_in_python"], sleeps);
    assert!(!none.contains("compute_in_python"), "{none}");
    let chosen = top(&["-i", "--thread", "sleeper"], sleeps);
    assert!(!chosen.contains("compute_in"), "{chosen}");
    for args in [&["--nonblocking"][..], &["--blocking"], &["-g"], &["--cpu"]] {
        top(args, computes);
    }
    for bad in ["--delay=0", "--delay=x", "--sort=5", "--by=module", "-r=0"] {
        let run = run_py_spy(["top", "-p", &pid, bad]);
        assert_eq!(run.code(), Some(2), "{bad}: {}", run.stderr);
    }
}

/// The status of a program of ours, without a terminal.
#[test]
fn a_program_without_a_terminal() {
    let python = modern().path.to_str().unwrap();
    let script = support::target::script_path("record_life.py");
    let command = ["--", python, script.to_str().unwrap(), "exit"];
    let mut top = Running::py_spy(&[&["top", "--delay", "0.2"], &command[..]].concat());
    until("a table", || top.stdout().contains("compute (record_life.py)").then_some(()));
    send(child(top.pid()).unwrap(), Signal::USR1);
    let run = top.wait();
    assert_eq!(run.code(), Some(7), "{}", run.stderr);
    assert!(run.stdout.contains("READY"), "{}", run.stdout);
    assert!(run.stderr.contains("Stopped sampling because process exited"), "{}", run.stderr);
}

/// Without a terminal there is a table for each window.
#[test]
fn plain_tables() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    let mut top = Running::py_spy(&["top", "-p", &pid, "-r", "200", "--delay", "0.3"]);
    let samples = |text: &str| -> Vec<u64> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("Total Samples "));
        lines.filter_map(|line| line.split([',', ' ']).next()?.parse().ok()).collect()
    };
    let whole = |(_, total): (f64, f64)| total > 50.0;
    until("three tables", || {
        let text = top.stdout();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let share = shares(&lines, "<module> (record_split.py)");
        (samples(&text).len() >= 3 && share.is_some_and(whole)).then_some(())
    });
    top.signal(Signal::INT);
    let run = top.wait().ok();
    let samples = samples(&run.stdout);
    assert!(samples.is_sorted() && samples[0] < samples[samples.len() - 1], "{}", run.stdout);
    let tables = run.stdout.matches("Collecting samples from '").count();
    assert_eq!(tables, samples.len(), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    assert!(run.stdout.contains("   %Own   %Total  OwnTime  TotalTime  Function (filename)\n"));
}
