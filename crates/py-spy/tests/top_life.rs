//! `top` from its start to its end, and what it leaves behind: on a terminal and without one,
//! whoever ends first.

mod support;
mod top_kit;

use rustix::process::Signal;
use support::{Target, for_each, interpreter, one_per_version, run_py_spy};
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

/// The shares of a program whose shares are known, on every version; the terminal is given
/// back at the end.
#[test]
fn known_shares() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "record_split.py", &[]);
        let pid = target.pid().to_string();
        let mut screen = Terminal::top(&["-r", "500", "-p", &pid]);
        screen.wait_for("work (record_split.py)");
        screen.wait_samples(500);
        let all = ["sixty", "thirty", "ten"].map(|name| {
            let label = format!(" {name} (record_split.py)");
            shares(&screen.lines(), &label).unwrap_or_else(|| panic!("{}", screen.text())).1
        });
        let sum: f64 = all.iter().sum();
        let parts = all.map(|share| share / sum * 100.0);
        for (found, expected) in parts.iter().zip([60.0, 30.0, 10.0]) {
            assert!((found - expected).abs() < 12.0, "{parts:?}\n{}", screen.text());
        }
        // The module is in every stack.
        let module = shares(&screen.lines(), "<module> (record_split.py)").unwrap();
        assert!(module.1 >= sum - 0.1 && module.0 < 20.0, "{}", screen.text());
        screen.keys("q");
        assert_eq!(screen.wait().code(), Some(0));
        screen.assert_restored();
    });
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

/// Without a terminal there is a table for each window.
#[test]
fn plain_tables() {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    let run = run_py_spy(["top", "-p", &pid, "-r", "200", "--delay", "0.3", "-d", "1"]).ok();
    let tables = run.stdout.matches("Collecting samples from '").count();
    assert!((3..=4).contains(&tables), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "{}", run.stdout);
    let last: Vec<String> = run.stdout.lines().map(str::to_owned).collect();
    assert!(shares(&last, "<module> (record_split.py)").is_some_and(|(_, total)| total > 50.0));
    assert!(run.stdout.contains("   %Own   %Total  OwnTime  TotalTime  Function (filename)\n"));
}
