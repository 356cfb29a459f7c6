//! Drawing the screen.

pub mod header;
mod help;
pub mod lists;
#[cfg(test)]
mod tests;
pub mod text;

use super::app::{App, View};
use super::keys::HELP;
use profile::Recording;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};

/// What is shown beside the numbers.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What was recorded, and of whom.
    pub recording: &'a Recording,
    /// Threads that there are now.
    pub threads: usize,
    /// Processes that there are now.
    pub processes: usize,
    /// Colours may be used.
    pub colors: bool,
}

impl Facts<'_> {
    fn color(&self, color: Color) -> Style {
        if self.colors { Style::new().fg(color) } else { Style::new() }
    }

    /// What matters less. Not "dim", which some terminals make unreadable.
    fn faint(&self) -> Style {
        self.color(Color::DarkGray)
    }

    fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn title(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn selected(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame, app: &mut App, facts: &Facts) {
    let height = frame.area().height;
    // Small terminals: first the numbers that people came for.
    let chart = if height >= 14 { 1 } else { 0 };
    let gap = if height >= 12 { 1 } else { 0 };
    let about = if height >= 8 { 3 } else { 1 };
    let [top, charts, _, title, list, bottom] = Layout::vertical([
        Constraint::Length(about),
        Constraint::Length(chart),
        Constraint::Length(gap),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    header::about(frame, top, app, facts);
    header::charts(frame, charts, app, facts);
    app.list_top = list.y;
    let rows = app.len();
    app.cursor_mut().fit(usize::from(list.height), rows);
    match app.view {
        View::Rows => lists::rows(frame, title, list, app, facts),
        View::Relations(key) => lists::relations(frame, title, list, app, facts, key),
        View::Threads => lists::threads(frame, title, list, app, facts),
        View::Stack(thread) => lists::stack(frame, title, list, app, facts, thread),
    }
    header::bottom(frame, bottom, app, facts);
    if let Some(cursor) = &mut app.help {
        cursor.fit(help::lines(frame.area()), HELP.len());
        help::draw(frame, cursor.offset, facts);
    }
}

/// One line of an area.
fn line(area: Rect, at: u16) -> Rect {
    Rect { y: area.y + at, height: u16::from(at < area.height), ..area }
}
