//! The list in the middle of the screen.

use super::super::app::{App, RelationLine};
use super::super::table::{Column, Key, Level, Table, Times};
use super::text::{after, first, percent, put, seconds, share};
use super::{Facts, line};
use profile::{Recording, ThreadIx, printable};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};

/// A column of numbers: its title, its width, and which one it is.
pub type NumberColumn = (&'static str, usize, Column);

/// The columns of numbers.
pub const NUMBERS: [NumberColumn; 4] = [
    ("%Own", 7, Column::OwnNow),
    ("%Total", 9, Column::TotalNow),
    ("OwnTime", 9, Column::Own),
    ("TotalTime", 11, Column::Total),
];

/// The columns that there is room for: all, or the shares and what is sorted by.
pub fn columns(width: u16, sort: Column) -> Vec<NumberColumn> {
    let short = |column: &NumberColumn| match sort {
        Column::OwnNow | Column::TotalNow => matches!(column.2, Column::OwnNow | Column::TotalNow),
        _ => column.2 == Column::OwnNow || column.2 == sort,
    };
    NUMBERS.into_iter().filter(|column| width >= 60 || short(column)).collect()
}

/// What the last column is about.
pub fn subject(level: Level) -> &'static str {
    match level {
        Level::Function => "Function (filename)",
        Level::Line => "Function (filename:line)",
        Level::File => "File",
    }
}

/// One number of a row.
pub fn number(times: &Times, column: Column, window_ns: u64) -> String {
    match column {
        Column::OwnNow => percent(times.own_now, window_ns),
        Column::TotalNow => percent(times.total_now, window_ns),
        Column::Own => seconds(times.own),
        Column::Total => seconds(times.total),
    }
}

/// Functions, lines or files.
pub fn rows(frame: &mut Frame, title: Rect, list: Rect, app: &App, facts: &Facts) {
    let shown = app.model.shown();
    let table = &shown.table;
    let columns = columns(list.width, app.sort);
    frame.buffer_mut().set_style(title, facts.title());
    let mut at = 0;
    for (name, width, column) in &columns {
        let style =
            if *column == app.sort { facts.title().patch(facts.strong()) } else { facts.title() };
        at += put(frame, after(title, at), &format!("{name:>width$}"), style);
    }
    let grouping = table.grouping();
    if grouping.by_process {
        at += put(frame, after(title, at), "      PID", facts.title());
    }
    put(frame, after(title, at + 2), subject(grouping.level), facts.title());
    let mut text = String::new();
    for (line_at, index) in (0..list.height).zip(app.rows.offset..) {
        let Some(row) = app.order.get(index).and_then(|key| table.find(*key)) else { break };
        let area = line(list, line_at);
        // What has done nothing in the last window steps back.
        let style = if row.times.total_now == 0 { facts.faint() } else { Style::new() };
        let mut at = 0;
        for (_, width, column) in &columns {
            text = number(&row.times, *column, shown.window.elapsed_ns);
            at += put(frame, after(area, at), &format!("{text:>width$}"), style);
        }
        if let Some(process) = row.key.process {
            let pid = facts.recording.process(process).pid;
            at += put(frame, after(area, at), &format!("{pid:>9}"), style);
        }
        text.clear();
        table.label(facts.recording, row.key, &mut text);
        put_label(frame, after(area, at + 2), &text, style, facts);
        if app.rows.selected == Some(index) {
            frame.buffer_mut().set_style(area, facts.selected());
        }
    }
}

/// A function in one colour, its place in another.
fn put_label(frame: &mut Frame, area: Rect, label: &str, style: Style, facts: &Facts) {
    let split = label.rfind(" (").unwrap_or(label.len());
    let name_style = if style.fg.is_some() { style } else { facts.color(Color::Green) };
    let (name, place) = label.split_at(split);
    let at = put(frame, area, name, name_style);
    put(frame, after(area, at), place, style);
}

fn label(table: &Table, recording: &Recording, key: Key) -> String {
    let mut text = String::new();
    if let Some(process) = key.process {
        text = format!("{} ", recording.process(process).pid);
    }
    table.label(recording, key, &mut text);
    text
}

/// The callers and callees of a row.
pub fn relations(frame: &mut Frame, title: Rect, list: Rect, app: &App, facts: &Facts, key: Key) {
    let table = &app.model.shown().table;
    frame.buffer_mut().set_style(title, facts.title());
    let total = app.relations.total;
    let at = put(frame, title, "  Share     Time  ", facts.title());
    let name = label(table, facts.recording, key);
    let heading = format!("Callers and callees of {name}, {} in all", seconds(total));
    put(frame, after(title, at), &heading, facts.title());
    for (line_at, index) in (0..list.height).zip(app.cursor.offset..) {
        let Some(relation) = app.lines.get(index) else { break };
        let area = line(list, line_at);
        let (time, text, style) = match relation {
            RelationLine::Caller(Some(key), time) => {
                (*time, format!("from  {}", label(table, facts.recording, *key)), Style::new())
            }
            RelationLine::Caller(None, time) => (*time, "from  (outermost)".into(), facts.faint()),
            RelationLine::Own(time) => (*time, format!("  in  {name}"), facts.strong()),
            RelationLine::Callee(key, time) => {
                (*time, format!("  to    {}", label(table, facts.recording, *key)), Style::new())
            }
        };
        let numbers = format!("{:>7} {:>8}  ", percent(time, total), seconds(time));
        let at = put(frame, area, &numbers, style);
        put(frame, after(area, at), &text, style);
        if app.cursor.selected == Some(index) {
            frame.buffer_mut().set_style(area, facts.selected());
        }
    }
}

/// The threads.
pub fn threads(frame: &mut Frame, title: Rect, list: Rect, app: &App, facts: &Facts) {
    frame.buffer_mut().set_style(title, facts.title());
    // The names and the states share what the numbers and the function leave.
    let width = list.width.saturating_sub(30);
    let (names, states) = ((width / 4).clamp(6, 24), (width / 3).clamp(7, 48));
    let many = facts.processes > 1;
    let ids = if many { "      PID       TID" } else { "       TID" };
    let mut at = put(frame, title, &format!("%Active    %GIL{ids}  "), facts.title());
    for (name, width) in [("Thread", names), ("State", states)] {
        put(frame, first(after(title, at), width), name, facts.title());
        at += width + 2;
    }
    put(frame, after(title, at), "Function", facts.title());
    for (line_at, index) in (0..list.height).zip(app.cursor.offset..) {
        let Some(row) = app.threads.get(index) else { break };
        let area = line(list, line_at);
        let style = if row.active > 0.0 { Style::new() } else { facts.faint() };
        let pid = if many { format!("{:>9}", row.pid) } else { String::new() };
        let numbers =
            format!("{:>7} {:>7}{pid} {:>9}  ", share(row.active), share(row.gil), tid(row.tid));
        let mut at = put(frame, area, &numbers, style);
        let name = row.name.as_deref().unwrap_or("");
        for (text, width) in [(name, names), (row.state.as_str(), states)] {
            put(frame, first(after(area, at), width), &printable(text), style);
            at += width + 2;
        }
        let place =
            facts.recording.stack(row.stack).map(|(_, frame)| frame_label(facts, app, frame));
        put_label(frame, after(area, at), &place.unwrap_or_default(), style, facts);
        if app.cursor.selected == Some(index) {
            frame.buffer_mut().set_style(area, facts.selected());
        }
    }
}

/// An id of the system, or else a pthread id, which is an address.
fn tid(tid: u64) -> String {
    if tid <= u64::from(u32::MAX) { tid.to_string() } else { format!("{tid:#x}") }
}

fn frame_label(facts: &Facts, app: &App, frame: profile::FrameId) -> String {
    let full_filenames = app.grouping().full_filenames;
    let style = profile::Style { full_filenames, ..profile::Style::default() };
    printable(&style.frame(facts.recording, frame).to_string()).into_owned()
}

/// The frames of a thread, innermost first.
pub fn stack(
    frame: &mut Frame,
    title: Rect,
    list: Rect,
    app: &App,
    facts: &Facts,
    thread: ThreadIx,
) {
    frame.buffer_mut().set_style(title, facts.title());
    let about = facts.recording.thread(thread);
    let name = about.name.as_deref().unwrap_or("");
    let state = app.threads.iter().find(|row| row.thread == thread);
    let state = state.map_or("ended", |row| row.state.as_str());
    let heading =
        format!("Thread {} \"{}\": {}", tid(about.tid), printable(name), printable(state));
    put(frame, title, &heading, facts.title());
    for (line_at, index) in (0..list.height).zip(app.cursor.offset..) {
        let Some(at) = app.stack.get(index) else { break };
        let area = line(list, line_at);
        put_label(frame, area, &frame_label(facts, app, *at), Style::new(), facts);
        if app.cursor.selected == Some(index) {
            frame.buffer_mut().set_style(area, facts.selected());
        }
    }
}
