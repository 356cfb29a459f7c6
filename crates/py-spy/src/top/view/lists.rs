//! The list in the middle of the screen.

use super::super::app::{App, RelationLine};
use super::super::model::ThreadKey;
use super::super::table::{Column, Key, Level, Table, Times};
use super::text::{after, first, percent, put, put_ends, seconds, share, shorten};
use super::{Facts, line};
use profile::{Recording, printable};
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
    let label = shorten(label, area.width);
    let name_style = if style.fg.is_some() { style } else { facts.color(Color::Green) };
    let (name, place) = label.split_at(label.rfind(" (").unwrap_or(label.len()));
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
        let area_left = after(area, at);
        put(frame, area_left, &shorten(&text, area_left.width), style);
        if app.cursor.selected == Some(index) {
            frame.buffer_mut().set_style(area, facts.selected());
        }
    }
}

/// How the columns of the list of threads share the width: what there is no room for is 0.
struct ThreadColumns {
    gil: u16,
    pid: u16,
    name: u16,
    state: u16,
}

impl ThreadColumns {
    fn new(width: u16, processes: usize) -> ThreadColumns {
        let gil = if width >= 60 { 8 } else { 0 };
        let pid = if processes > 1 && width >= 60 { 9 } else { 0 };
        let rest = width.saturating_sub(20 + gil + pid);
        let state = if width >= 60 { (rest * 2 / 5).clamp(8, 60) } else { 0 };
        ThreadColumns { gil, pid, name: (rest / 4).clamp(8, 26), state }
    }
}

/// The threads.
pub fn threads(frame: &mut Frame, title: Rect, list: Rect, app: &App, facts: &Facts) {
    frame.buffer_mut().set_style(title, facts.title());
    let columns = ThreadColumns::new(list.width, facts.processes);
    let numbers = [(7, "%Active"), (columns.gil, "%GIL"), (columns.pid, "PID"), (9, "TID")];
    let texts = [(columns.name, "Thread"), (columns.state, "Waits for")];
    let mut at = 0;
    for (width, name) in numbers.into_iter().filter(|(width, _)| *width > 0) {
        let width = usize::from(width);
        at += put(frame, after(title, at), &format!("{name:>width$}"), facts.title());
    }
    for (width, name) in texts.into_iter().filter(|(width, _)| *width > 0) {
        put(frame, first(after(title, at + 2), width), name, facts.title());
        at += width + 2;
    }
    put(frame, after(title, at + 2), "Function", facts.title());
    for (line_at, index) in (0..list.height).zip(app.cursor.offset..) {
        let Some(row) = app.threads.get(index) else { break };
        let area = line(list, line_at);
        let style = if row.active > 0.0 { Style::new() } else { facts.faint() };
        let numbers = [
            (7, share(row.active)),
            (columns.gil, share(row.gil)),
            (columns.pid, row.pid.to_string()),
            (9, tid(row.key.1)),
        ];
        let mut at = 0;
        for (width, number) in numbers.into_iter().filter(|(width, _)| *width > 0) {
            let width = usize::from(width);
            at += put(frame, after(area, at), &format!("{number:>width$}"), style);
        }
        let name = printable(row.name.as_deref().unwrap_or(""));
        put_ends(frame, first(after(area, at + 2), columns.name), &name, style);
        at += columns.name + 2;
        if columns.state > 0 {
            let state = match &row.waits_for {
                Some(text) => printable(text),
                None if row.state.is_empty() => "".into(),
                None => format!("({})", row.state).into(),
            };
            put(frame, first(after(area, at + 2), columns.state), &state, style);
            at += columns.state + 2;
        }
        let innermost = facts.recording.stack(row.stack);
        let place = innermost.map(|(_, frame)| frame_label(facts, app, frame));
        put_label(frame, after(area, at + 2), &place.unwrap_or_default(), style, facts);
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
    thread: ThreadKey,
) {
    frame.buffer_mut().set_style(title, facts.title());
    let row = app.threads.iter().find(|row| row.key == thread);
    let name = row.and_then(|row| row.name.as_deref()).unwrap_or("");
    let waits_for = row.and_then(|row| row.waits_for.as_ref());
    let state = match waits_for {
        Some(text) => format!("waits for {}", printable(text)),
        None => row.map_or("not seen of late", |row| row.state).to_owned(),
    };
    let heading = format!("Thread {} \"{}\": {state}", tid(thread.1), printable(name));
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
