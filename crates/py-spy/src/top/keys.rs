//! Which key does what.

use super::cursor::Step;
use super::table::Column;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for, where no line is being typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Sort by a column.
    Sort(Column),
    /// Functions, lines or files.
    Level,
    /// Forget the numbers.
    Reset,
    /// Show or hide the help.
    Help,
    /// Move in the list.
    Step(Step),
    /// Ask for a filter.
    Filter,
    /// Hold the view, or go on.
    Pause,
    /// The threads, or back.
    Threads,
    /// A row for each process, or one for all.
    Processes,
    /// Into the selected row.
    Open,
    /// Back to where one came from.
    Back,
    /// Ask for a file to save to.
    Save,
    /// Draw everything again.
    Redraw,
    /// Stop until the shell lets us go on.
    Suspend,
    /// End.
    Quit,
    /// End, and interrupt a program that we started.
    Interrupt,
}

/// The keys and what they do, as the help tells it.
pub const HELP: &[(&str, &str)] = &[
    ("1", "sort by %Own: time in the function itself, of late"),
    ("2", "sort by %Total: time in it and what it calls, of late"),
    ("3", "sort by OwnTime: time in the function itself, in all"),
    ("4", "sort by TotalTime: time in it and what it calls, in all"),
    ("l", "functions, lines, files"),
    ("P", "a row for each process"),
    ("/", "only rows that fit a regular expression"),
    ("Enter", "callers and callees of the row; a thread's stack"),
    ("Esc", "back; drop the selection, then the filter"),
    ("t", "threads: what each does or waits for"),
    ("p", "hold the view (sampling goes on)"),
    ("r", "reset the numbers"),
    ("s", "save what was seen so far as a profile"),
    ("arrows, j k", "select; PgUp, PgDn, Home, End, mouse wheel: move"),
    ("?", "this help"),
    ("q", "quit; Control-C also ends a program started by py-spy"),
];

/// What a key asks for.
pub fn action(key: KeyEvent) -> Option<Action> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Action::Interrupt),
            KeyCode::Char('z') => Some(Action::Suspend),
            KeyCode::Char('l') => Some(Action::Redraw),
            KeyCode::Char('f') => Some(Action::Step(Step::PageDown)),
            KeyCode::Char('b') => Some(Action::Step(Step::PageUp)),
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char('1') => Action::Sort(Column::OwnNow),
        KeyCode::Char('2') => Action::Sort(Column::TotalNow),
        KeyCode::Char('3') => Action::Sort(Column::Own),
        KeyCode::Char('4') => Action::Sort(Column::Total),
        KeyCode::Char('l' | 'L') => Action::Level,
        KeyCode::Char('r' | 'R') => Action::Reset,
        KeyCode::Char('?' | 'h' | 'H') | KeyCode::F(1) => Action::Help,
        KeyCode::Char('k') | KeyCode::Up => Action::Step(Step::Up),
        KeyCode::Char('j') | KeyCode::Down => Action::Step(Step::Down),
        KeyCode::PageUp => Action::Step(Step::PageUp),
        KeyCode::PageDown => Action::Step(Step::PageDown),
        KeyCode::Home | KeyCode::Char('g') => Action::Step(Step::Home),
        KeyCode::End | KeyCode::Char('G') => Action::Step(Step::End),
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char('p' | ' ') => Action::Pause,
        KeyCode::Char('t' | 'T') => Action::Threads,
        KeyCode::Char('P') => Action::Processes,
        KeyCode::Enter => Action::Open,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Char('x' | 'X') => Action::Back,
        KeyCode::Char('s' | 'S') => Action::Save,
        KeyCode::Char('q' | 'Q') => Action::Quit,
        _ => return None,
    })
}
