//! Without a terminal: a table every so often, for logs.

use super::input::{Input, Inputs};
use super::model::Model;
use super::pace::{Pace, Turn};
use super::table::Column;
use super::view::lists::{NUMBERS, number, subject};
use super::view::text::share;
use crate::fleet::Fleet;
use crate::say::say;
use profile::printable;
use remote::os::signals::Asked;
use std::fmt::Write as _;
use std::io::{self, Write as _};

/// So many rows are printed.
const ROWS: usize = 20;

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The target did.
    Over,
    /// The time is up, we were told to, or nobody reads any more.
    Other,
}

/// Prints until there is a reason to end. A reader that went away is one.
pub fn run(
    fleet: &mut Fleet,
    model: &mut Model,
    pace: &mut Pace,
    inputs: &Inputs,
    sort: Column,
) -> io::Result<End> {
    loop {
        let turn = pace.next(fleet, model, inputs);
        match turn {
            Turn::Input(Input::Signal(Asked::Stop(_))) => return Ok(End::Other),
            Turn::Input(_) => continue,
            Turn::Window | Turn::Over | Turn::TimeUp => {}
        }
        fleet.take_notices().iter().for_each(|notice| say(notice));
        let text = table(fleet, model, sort);
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(End::Other),
            result => result?,
        }
        match turn {
            Turn::Over => return Ok(End::Over),
            Turn::TimeUp => return Ok(End::Other),
            _ => {}
        }
    }
}

/// What a screen would show at this moment.
fn table(fleet: &Fleet, model: &Model, sort: Column) -> String {
    let recording = &fleet.recording;
    let shown = model.shown();
    let window = &shown.window;
    let meta = recording.meta();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "Collecting samples from '{}' (python v{})\nTotal Samples {}{}\nGIL: {}, Active: {}, Threads: {}, Processes: {}\n",
        printable(&meta.command),
        printable(&meta.python_version),
        shown.ticks,
        shown.lost,
        share(window.gil_share()),
        share(window.active_share()),
        fleet.members().iter().map(|member| member.sampler.roster.threads.len()).sum::<usize>(),
        fleet.members().len(),
    );
    for (name, width, _) in NUMBERS {
        let _ = write!(text, "{name:>width$}");
    }
    let _ = writeln!(text, "  {}", subject(shown.table.grouping().level));
    for key in shown.table.order(recording, sort, None).into_iter().take(ROWS) {
        let Some(row) = shown.table.find(key) else { continue };
        for (_, width, column) in NUMBERS {
            let _ = write!(text, "{:>width$}", number(&row.times, column, window.elapsed_ns));
        }
        text.push_str("  ");
        shown.table.label(recording, key, &mut text);
        text.push('\n');
    }
    text.push('\n');
    text
}
