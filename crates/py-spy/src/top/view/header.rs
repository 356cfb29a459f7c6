//! The top and the bottom of the screen.

use super::super::app::{App, View};
use super::super::prompt::Question;
use super::text::{after, bars, first, put, put_right, share};
use super::{Facts, line};
use profile::printable;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::Span;

/// What is sampled, how many samples there are, and how busy it is.
pub fn about(frame: &mut Frame, area: Rect, app: &App, facts: &Facts) {
    let shown = app.model.shown();
    let state = match (&app.ended, app.model.is_paused()) {
        (Some(_), _) => " ended",
        (None, true) => " paused",
        (None, false) => "",
    };
    let [one, two, three] = [0, 1, 2].map(|at| line(area, at));
    put_right(frame, one, state, facts.color(Color::Yellow).patch(facts.strong()));
    let room = one.width.saturating_sub(state.len() as u16);
    let meta = facts.recording.meta();
    let version = match meta.python_version.as_str() {
        "" => String::new(),
        version => format!(" (python v{})", printable(version)),
    };
    let lead = if area.width < 60 { "'" } else { "Collecting samples from '" };
    let mut at = put(frame, first(one, room), lead, Style::new());
    // A long command line is cut, but the version stays.
    let tail = u16::try_from(version.len()).unwrap_or(0) + 1;
    let cut = first(after(first(one, room), at), room.saturating_sub(at + tail).max(8));
    let command = printable(&meta.command);
    at += put(frame, cut, short_command(&command, cut.width), facts.color(Color::Green));
    put(frame, after(first(one, room), at), &format!("'{version}"), Style::new());

    let mut at = put(frame, two, "Total Samples ", Style::new());
    at += put(frame, after(two, at), &shown.ticks.to_string(), facts.strong());
    put(frame, after(two, at), &shown.lost.to_string(), facts.faint());

    let wide = area.width >= 60;
    let digits = |of: f64| if wide { share(of) } else { format!("{:.0}%", of * 100.0) };
    let numbers = [
        ("GIL: ", digits(shown.window.gil_share())),
        (", Active: ", digits(shown.window.active_share())),
        (", Threads: ", facts.threads.to_string()),
        (", Processes: ", facts.processes.to_string()),
    ];
    let numbers = numbers.into_iter().take(if wide || facts.processes > 1 { 4 } else { 3 });
    let mut at = 0;
    for (name, value) in numbers {
        at += put(frame, after(three, at), name, Style::new());
        at += put(frame, after(three, at), &value, facts.strong());
    }
}

/// The command line, without its program's folder if that makes it too long.
fn short_command(command: &str, room: u16) -> &str {
    let program = command.split(' ').next().unwrap_or("");
    match program.rfind('/') {
        Some(at) if Span::raw(command).width() > usize::from(room) => &command[at + 1..],
        _ => command,
    }
}

/// GIL and CPU use over time.
pub fn charts(frame: &mut Frame, area: Rect, app: &App, facts: &Facts) {
    let shown = app.model.shown();
    let half = area.width / 2;
    let (left, right) = (first(area, half), after(area, half));
    let room = |of: Rect| usize::from(of.width.saturating_sub(13));
    let gil: Vec<f64> = shown.history.gil(room(left)).collect();
    let cpu: Vec<f64> = shown.history.cpu(room(right)).collect();
    let most = |values: &[f64]| values.iter().copied().fold(1.0, f64::max);
    let now = [shown.window.gil_share(), shown.window.cpu_share()];
    let charts =
        [("GIL ", left, gil, now[0], Color::Magenta), ("CPU ", right, cpu, now[1], Color::Cyan)];
    for (name, area, values, now, color) in charts {
        let text = bars(values.iter().copied(), most(&values));
        let mut at = put(frame, area, name, Style::new());
        at += put(frame, after(area, at), &text, facts.color(color));
        put(frame, after(area, at), &format!(" {:.0}%", now * 100.0), facts.strong());
    }
}

/// The last line: a question, a message, or the most useful keys.
pub fn bottom(frame: &mut Frame, area: Rect, app: &App, facts: &Facts) {
    if let Some(prompt) = &app.prompt {
        let question = match prompt.question {
            Question::Filter => "filter: ",
            Question::Save => "save to (.svg .txt .json ...): ",
        };
        let mut at = put(frame, area, question, facts.strong());
        // Of a long answer the end is what is being typed.
        let room = usize::from(area.width.saturating_sub(at + 1));
        let from = prompt.text.char_indices().rev().nth(room.saturating_sub(1));
        let text = &prompt.text[from.map_or(0, |(from, _)| from)..];
        at += put(frame, after(area, at), text, Style::new());
        frame
            .set_cursor_position(Position { x: area.x + at.min(area.width.max(1) - 1), y: area.y });
        if let Some(error) = &prompt.error {
            put(frame, after(area, at + 2), &printable(error), facts.color(Color::Red));
        }
        return;
    }
    if let Some(text) = app.message.as_ref().or(app.ended.as_ref()) {
        put(frame, area, &printable(text), facts.color(Color::Yellow).patch(facts.strong()));
        return;
    }
    let keys = match app.view {
        View::Rows => {
            "? help  1-4 sort  l lines  / filter  Enter callers  t threads  p pause  s save  q quit"
        }
        View::Relations(_) => "Enter go there  Esc back  ? help  q quit",
        View::Threads => "Enter stack  t functions  p pause  ? help  q quit",
        View::Stack(_) => "Esc threads  ? help  q quit",
    };
    let mut at = 0;
    if let Some(filter) = app.filter.as_ref().filter(|_| app.view == View::Rows) {
        let rows = if app.order.len() == 1 { "row" } else { "rows" };
        let count = format!("/{}/ {} {rows}  ", printable(&filter.text), app.order.len());
        at = put(frame, area, &count, facts.color(Color::Yellow));
    }
    put(frame, after(area, at), keys, facts.faint());
}
