//! What the keys of `top` do, seen on its screen.

mod support;
mod top_kit;

use support::{Target, for_each, interpreter, one_per_version};
use top_kit::Terminal;

const DOWN: &str = "\u{1b}[B";
const UP: &str = "\u{1b}[A";
const PAGE_DOWN: &str = "\u{1b}[6~";
const HOME: &str = "\u{1b}[H";
const END: &str = "\u{1b}[F";
const ESCAPE: &str = "\u{1b}";

fn modern() -> &'static support::Interpreter {
    interpreter(&["3.13.*", "3.14.*", "3.12.*", "3.11.*"])
}

/// The line of the columns' titles.
fn title(lines: &[String]) -> Option<usize> {
    lines.iter().position(|line| line.contains("%Own"))
}

/// The first words of the first row, and the row's label.
fn first_row(lines: &[String]) -> Option<String> {
    let row = lines.get(title(lines)? + 1)?;
    row.split_whitespace().nth(4).map(str::to_owned)
}

/// `top` on a program with known shares, once all of its functions are there.
fn top_of_split(args: &[&str]) -> (Target, Terminal) {
    let target = Target::start(modern(), "record_split.py", &[]);
    let pid = target.pid().to_string();
    let mut screen = Terminal::top(&[&["-p", &pid], args].concat());
    for name in ["work (", "sixty (", "thirty (", "ten ("] {
        screen.wait_for(name);
    }
    (target, screen)
}

/// The line of the row that is selected.
fn selected(screen: &Terminal) -> Option<usize> {
    let lines = screen.lines();
    let top = title(&lines).unwrap_or(0) + 1;
    screen.screen(|screen| {
        (top..lines.len()).find(|line| {
            let cell = screen.cell(*line as u16, 40);
            cell.is_some_and(vt100::Cell::inverse)
        })
    })
}

#[test]
fn sorting_by_each_column() {
    let (_target, mut screen) = top_of_split(&[]);
    for (key, first) in [("4", "<module>"), ("3", "work"), ("2", "<module>"), ("1", "work")] {
        screen.keys(key);
        screen.until(&format!("{first} first by {key}"), |lines| {
            first_row(lines).filter(|row| row == first).map(|_| ())
        });
    }
}

#[test]
fn functions_lines_and_files() {
    let (_target, mut screen) = top_of_split(&[]);
    screen.wait_for("Function (filename)");
    screen.keys("l");
    screen.wait_for("Function (filename:line)");
    let source = std::fs::read_to_string(support::targets_dir().join("record_split.py")).unwrap();
    let line = 1 + source.lines().position(|line| line.contains("total += number")).unwrap();
    screen.wait_for(&format!("work (record_split.py:{line})"));
    screen.keys("l");
    screen.wait_for("  File");
    // One sample may be missing from a window, and a screen may be seen half drawn.
    screen.until("one file", |lines| {
        let row = lines.iter().find(|line| line.ends_with("  record_split.py"))?;
        let others = lines.iter().any(|line| line.contains("work ("));
        (row.contains("100.00%") && !others).then_some(())
    });
    screen.keys("L");
    screen.wait_for("work (record_split.py)");
}

#[test]
fn a_reset_begins_anew() {
    let (_target, mut screen) = top_of_split(&[]);
    screen.wait_samples(100);
    let before = screen.samples().unwrap();
    screen.keys("r");
    let after = screen.until("fewer samples", |lines| {
        let line = lines.iter().find_map(|line| line.strip_prefix("Total Samples "))?;
        let now: u64 = line.split([',', ' ']).next()?.parse().ok()?;
        (now < before).then_some(now)
    });
    assert!(after < before);
    screen.wait_for("work (record_split.py)");
}

#[test]
fn a_filter_hides_other_rows() {
    let (_target, mut screen) = top_of_split(&[]);
    screen.keys("/");
    screen.wait_for("filter:");
    screen.keys("^(SIXTY|ten) [");
    screen.wait_for("unclosed");
    screen.keys("\u{15}^(sixty|ten) ");
    screen.wait_gone("work (");
    screen.wait_gone("thirty (");
    screen.keys("\r");
    screen.wait_for("/^(sixty|ten) / 2 rows");
    screen.wait_for("sixty (");
    screen.wait_for("ten (");
    // A filter that is not wanted after all.
    screen.keys("/");
    screen.wait_for("filter: ^(sixty|ten)");
    screen.keys("\u{15}thirty");
    screen.wait_gone("sixty (");
    screen.keys(ESCAPE);
    screen.wait_for("/^(sixty|ten) / 2 rows");
    // And none.
    screen.keys(ESCAPE);
    screen.wait_for("work (");
    screen.wait_gone("rows");
}

#[test]
fn a_held_view_stands_still() {
    let (_target, mut screen) = top_of_split(&["--delay", "0.2"]);
    screen.keys("p");
    screen.wait_for(" paused");
    // Windows close meanwhile, of which nothing is to be seen.
    std::thread::sleep(std::time::Duration::from_millis(800));
    let held = screen.lines();
    screen.keys("?");
    screen.wait_for("Keys");
    std::thread::sleep(std::time::Duration::from_millis(400));
    screen.keys(ESCAPE);
    screen.until("what it showed before", |lines| (lines == held).then_some(()));
    let before = screen.samples().unwrap();
    screen.keys("p");
    screen.wait_gone(" paused");
    screen.until("the samples taken meanwhile", |lines| {
        let line = lines.iter().find_map(|line| line.strip_prefix("Total Samples "))?;
        let now: u64 = line.split([',', ' ']).next()?.parse().ok()?;
        (now >= before + 20).then_some(())
    });
}

#[test]
fn callers_and_callees_of_a_row() {
    let (_target, mut screen) = top_of_split(&[]);
    screen.keys("/^work");
    screen.wait_gone("sixty (");
    screen.keys("\r");
    screen.wait_for("/^work/ 1 row ");
    screen.keys("\r");
    screen.wait_for("Callers and callees of work (record_split.py)");
    let share = |lines: &[String], caller: &str| -> Option<f64> {
        let line = lines.iter().find(|line| line.contains(&format!("from  {caller} (")))?;
        line.split_whitespace().next()?.strip_suffix('%')?.parse().ok()
    };
    // In the long run, however busy the machine is.
    screen.until("the callers by their shares", |lines| {
        let [sixty, thirty, ten] = ["sixty", "thirty", "ten"].map(|name| share(lines, name));
        (sixty? > thirty? && thirty? > ten? && sixty? > 40.0).then_some(())
    });
    // As they are now: the rows may change places with the next window.
    screen.keys("p");
    screen.wait_for(" paused");
    let first = |lines: &[String]| {
        lines
            .iter()
            .find(|line| line.contains("from  "))
            .is_some_and(|line| line.contains("sixty ("))
    };
    while !first(&screen.lines()) {
        screen.keys("p");
        screen.wait_gone(" paused");
        screen.wait_samples(20);
        screen.keys("p");
        screen.wait_for(" paused");
    }
    screen.keys(DOWN);
    screen.keys("\r");
    screen.wait_for("Callers and callees of sixty (record_split.py)");
    screen.wait_for("from  <module> (record_split.py)");
    screen.wait_for("to    work (record_split.py)");
    screen.keys(ESCAPE);
    screen.wait_for("Callers and callees of work (record_split.py)");
    screen.keys(ESCAPE);
    screen.wait_for("%Total");
}

#[test]
fn threads_and_what_they_do() {
    for_each(one_per_version().into_iter().filter(|python| python.at_least(3, 8)), |python| {
        let target = Target::start(python, "record_threads.py", &["python", "sleeper"]);
        let pid = target.pid().to_string();
        let mut screen = Terminal::sized(24, 120, &["top", "-p", &pid]);
        screen.wait_for("compute_in_python (");
        screen.keys("t");
        screen.wait_for("sleep_for_ever (");
        let tid = |name: &str| format!(" {} ", target.ready["tids"][name].as_i64().unwrap());
        let row = |lines: &[String], name: &str| -> Option<String> {
            lines.iter().find(|line| line.contains(&tid(name)) && line.contains(name)).cloned()
        };
        for (name, place) in
            [("sleeper", "sleep_for_ever ("), ("MainThread", "wait"), ("python", "compute_in")]
        {
            // The main thread waits for the GIL at first.
            screen.until(name, |lines| {
                let row = row(lines, name).filter(|row| row.contains(place))?;
                (row.starts_with("  0.00%") == (name != "python")).then_some(())
            });
        }
        // What they wait for: `Event.wait` of a version's own.
        for (name, wait) in [("sleeper", " a sleep"), ("MainThread", " Event at 0x")] {
            screen.until(wait, |lines| row(lines, name).filter(|row| row.contains(wait)));
        }
        // A thread that only waits does not count: the rows are as before.
        screen.keys("t");
        screen.until("the rows", |lines| {
            let has = |text: &str| lines.iter().any(|line| line.contains(text));
            (has("%Total") && !has("sleep_for_ever")).then_some(())
        });
        // Its frames.
        screen.keys("t");
        screen.wait_for("sleep_for_ever (");
        let at = screen
            .until("the sleeper", |lines| lines.iter().position(|line| line.contains("sleeper ")));
        let top = screen.lines().iter().position(|line| line.contains("%Active")).unwrap();
        (top..at).for_each(|_| screen.keys(DOWN));
        screen.keys("\r");
        screen.wait_for("Thread ");
        screen.wait_for("\"sleeper\": waits for a sleep");
        screen.wait_for("started (record_threads.py:");
        screen.keys(ESCAPE);
        screen.wait_for("%Active");
    });
}

/// Threads that wait for each other are called what they are, and who has what they wait for.
#[test]
fn a_deadlock_is_seen() {
    let target = Target::start(modern(), "dump_waits.py", &["rlocks2"]);
    target.wait_asleep();
    let pid = target.pid().to_string();
    let mut screen = Terminal::sized(24, 200, &["top", "-p", &pid]);
    screen.wait_for("Total Samples");
    screen.keys("t");
    for name in target.ready["deadlock"]["circle"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        let owner = &target.ready["expected"][name]["owner"];
        screen.until(name, |lines| {
            let is_row = |line: &&String| {
                line.contains(&format!(" {name} ")) && line.contains(" deadlock: ")
            };
            let line = lines.iter().find(is_row)?;
            line.contains(&format!("held by thread {}", target.ready["tids"][owner.as_str()?]))
                .then_some(())
        });
    }
}

#[test]
fn saved_on_the_way() {
    let (_target, mut screen) = top_of_split(&[]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let save = |screen: &mut Terminal, path: &str| {
        screen.keys("s");
        screen.wait_for("save to");
        screen.keys(&format!("\u{15}{path}\r"));
    };
    screen.wait_samples(20);
    save(&mut screen, &path("none/out.txt"));
    screen.wait_for("cannot write");
    save(&mut screen, &path("out.txt"));
    screen.wait_for("Wrote raw data");
    let text = std::fs::read_to_string(path("out.txt")).unwrap();
    for name in ["sixty (record_split.py:", "work (record_split.py:"] {
        assert!(text.contains(name), "{text}");
    }
    save(&mut screen, &path("out.json"));
    screen.wait_for("Wrote speedscope data");
    let text = std::fs::read_to_string(path("out.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(json["profiles"][0]["samples"].as_array().is_some_and(|all| all.len() > 10));
    // It goes on.
    screen.wait_samples(50);
}

#[test]
fn moving_in_the_list() {
    let target = Target::start(modern(), "record_odd.py", &[]);
    let pid = target.pid().to_string();
    let mut screen = Terminal::sized(13, 80, &["top", "-p", &pid]);
    screen.wait_for("burn (record_odd.py)");
    screen.wait_samples(1);
    screen.keys("p");
    screen.wait_for(" paused");
    let top = title(&screen.lines()).unwrap() + 1;
    let rows = 13 - 1 - top;
    let all = screen.lines();
    let at = |screen: &mut Terminal, line: usize| {
        let what = format!("line {line} to be selected");
        screen.until_screen(&what, |screen| selected(screen) == Some(line));
    };
    screen.keys(DOWN);
    at(&mut screen, top);
    screen.keys("jj");
    at(&mut screen, top + 2);
    screen.keys("k");
    at(&mut screen, top + 1);
    screen.keys(UP);
    at(&mut screen, top);
    screen.keys(PAGE_DOWN);
    at(&mut screen, top + rows - 1);
    assert_eq!(screen.lines()[top], all[top]);
    screen.keys(PAGE_DOWN);
    screen.until("the list to move", |lines| (lines[top] != all[top]).then_some(()));
    // 16 odd functions, the innermost one, and the module.
    screen.keys(HOME);
    at(&mut screen, top);
    screen.keys(END);
    at(&mut screen, top + rows - 1);
    let last = screen.lines();
    screen.keys(DOWN);
    screen.keys(UP);
    at(&mut screen, top + rows - 2);
    assert_eq!(screen.lines(), last, "the list has no more");
    screen.keys(HOME);
    at(&mut screen, top);
    assert_eq!(screen.lines()[top], all[top]);
    screen.keys(ESCAPE);
    screen.until_screen("no selection", |screen| selected(screen).is_none());
}

#[test]
fn the_mouse_scrolls_and_selects() {
    let target = Target::start(modern(), "record_odd.py", &[]);
    let pid = target.pid().to_string();
    let mut screen = Terminal::sized(13, 80, &["top", "-p", &pid]);
    screen.wait_for("burn (record_odd.py)");
    screen.keys("p");
    screen.wait_for(" paused");
    let all = screen.lines();
    let top = title(&all).unwrap() + 1;
    // SGR mouse reports: wheel down, wheel up, left button; columns and rows from 1.
    screen.keys("\u{1b}[<65;10;8M");
    screen.until("the list to move", |lines| (lines[top] == all[top + 3]).then_some(()));
    screen.keys("\u{1b}[<64;10;8M");
    screen.until("the list to move back", |lines| (lines[top] == all[top]).then_some(()));
    screen.keys(&format!("\u{1b}[<0;10;{}M\u{1b}[<0;10;{}m", top + 3, top + 3));
    screen.until_screen("the row to be selected", |screen| selected(screen) == Some(top + 2));
    // Once more opens it.
    screen.keys(&format!("\u{1b}[<0;10;{}M\u{1b}[<0;10;{}m", top + 3, top + 3));
    screen.wait_for("Callers and callees of");
}

/// Names that a terminal would obey are shown, not obeyed.
#[test]
fn names_are_escaped() {
    let target = Target::start(modern(), "record_odd.py", &[]);
    let pid = target.pid().to_string();
    let mut screen = Terminal::sized(40, 160, &["top", "-p", &pid]);
    screen.wait_for("burn (record_odd.py)");
    for shown in [
        r"new\x0aline 7 (new\x0aline.py)",
        r"escape \x1b[31mred\x1b[0m \x07\x08 (\x1b]0;title\x07.py)",
        r"nul\x00inside (plain.py)",
        "größe ☃ 🐍 (ümläut ☃.py)",
    ] {
        screen.wait_for(shown);
    }
    screen.keys("\r");
    screen.wait_for("Callers and callees");
    screen.keys("q");
    screen.wait();
    let written = screen.written();
    let has = |bytes: &[u8]| written.windows(bytes.len()).any(|window| window == bytes);
    assert!(!has(b"\x1b[31mred") && !has(b"\x1b]0;title") && !has(b"\x07") && !has(b"\x00"));
    assert!(!has("\u{202e}".as_bytes()) && !has("\u{2066}".as_bytes()));
}

/// A row for each process, with its id.
#[test]
fn processes_are_told_apart_on_demand() {
    let target = Target::start(modern(), "top_family.py", &[]);
    let pid = target.pid().to_string();
    let mut screen = Terminal::top(&["-s", "-p", &pid]);
    screen.wait_for("Processes: 3");
    screen.wait_for("child_work (top_family.py)");
    let rows = |lines: &[String]| {
        lines.iter().filter(|line| line.contains("child_work (top_family.py)")).count()
    };
    assert_eq!(rows(&screen.lines()), 1);
    screen.keys("P");
    screen.until("a row for each child", |lines| (rows(lines) == 2).then_some(()));
    for child in target.ready["children"].as_array().unwrap() {
        let child = format!(" {child}  child_work (");
        screen.wait_for(&child);
    }
    screen.keys("t");
    screen.wait_for("      PID");
    screen.wait_for("parent_wait (");
}
