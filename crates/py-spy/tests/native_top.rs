//! `top --native`: native functions are rows like others, on a screen and in plain tables.

mod native_kit;
mod record_kit;
mod support;
mod top_kit;

use native_kit::*;
use record_kit::{Running, until};
use support::*;
use top_kit::Terminal;

/// Where the target's time goes, as `top` shows it.
const HOT: &str = "kit_hot (kit.c)";

fn start(interpreter: &Interpreter) -> Target {
    let library = library(&["-g"]);
    Target::start(interpreter, "native_busy.py", &[library.to_str().unwrap(), "spin"])
}

/// The first two columns of a row, `%Own` and `%Total`.
fn row(table: &str, label: &str) -> Option<(f64, f64)> {
    let line = table.lines().find(|line| line.trim_end().ends_with(label))?;
    let mut words = line.split_whitespace();
    let mut share = || words.next()?.strip_suffix('%')?.parse().ok();
    Some((share()?, share()?))
}

const ROWS: [&str; 3] = [HOT, "kit_spin (kit.c)", "by_spin (native_busy.py)"];

/// Fails unless all that was seen in one function was also in those that call it: of a thread
/// that could not be held there are the Python functions alone.
#[track_caller]
fn check(table: &str) {
    let [hot, spin, caller] =
        ROWS.map(|label| row(table, label).unwrap_or_else(|| panic!("no {label}: {table}")));
    assert!(0.0 < hot.0 && hot.0 <= hot.1 && hot.1 <= spin.1 && spin.1 <= caller.1, "{table}");
}

#[test]
fn plain_tables_have_native_functions() {
    for_each([one_per_version()[0], newest()], |interpreter| {
        let target = start(interpreter);
        let pid = target.pid().to_string();
        let top = Running::py_spy(&["top", "-n", "--delay", "0.5", "-r", "200", "-p", &pid]);
        let table = until("a table with the function that computes", || {
            let text = top.stdout();
            // The last one may not be whole.
            let mut tables = text.split("Total Samples ").collect::<Vec<_>>();
            tables.pop();
            tables.last().filter(|table| table.contains(HOT)).map(|table| (*table).to_owned())
        });
        check(&table);
        drop(top);
        let top = Running::py_spy(&["top", "--delay", "0.5", "-r", "200", "-p", &pid]);
        until("a table without native functions", || {
            top.stdout().contains("by_spin (native_busy.py)").then_some(())
        });
        assert!(!top.stdout().contains("kit_"), "{}", top.stdout());
    });
}

#[test]
fn the_screen_has_native_functions() {
    let target = start(newest());
    let mut screen = Terminal::top(&[
        "--native",
        "--delay",
        "0.5",
        "-r",
        "200",
        "-p",
        &target.pid().to_string(),
    ]);
    for row in ROWS {
        screen.wait_for(row);
    }
    // By lines they are those of the C file.
    screen.keys("l");
    screen.wait_for("kit_hot (kit.c:");
    screen.keys("q");
    assert!(screen.wait().success());
}
