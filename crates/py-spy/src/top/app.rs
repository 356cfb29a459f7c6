//! What is on the screen, and what keys and the mouse change about it.

use super::cursor::Cursor;
use super::keys::{Action, HELP, action};
use super::model::{Model, ThreadKey};
use super::prompt::{Answer, Prompt, Question};
use super::relations::Relations;
use super::table::{Column, Grouping, Key};
use super::threads::ThreadRow;
use profile::{FrameId, Recording};
use ratatui::crossterm::event::{Event, KeyEvent, KeyEventKind, MouseButton, MouseEventKind};
use regex::{Regex, RegexBuilder};
use std::path::PathBuf;

/// Which list fills the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// Functions, lines or files.
    Rows,
    /// The callers and callees of a row.
    Relations(Key),
    /// The threads.
    Threads,
    /// The frames of a thread.
    Stack(ThreadKey),
}

/// What the run loop has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Write the profile to a file.
    Save(PathBuf),
    /// Clear the screen before drawing.
    Redraw,
    /// Stop until the shell lets us go on.
    Suspend,
    /// End.
    Quit,
    /// End, and interrupt a program that we started.
    Interrupt,
}

/// A filter for the rows.
#[derive(Debug, Clone)]
pub struct Filter {
    /// As it was typed.
    pub text: String,
    /// What it means.
    pub regex: Regex,
}

/// A list of the callers and callees of a row, as it is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelationLine {
    /// A caller (none for the outermost frame) and the time spent under it.
    Caller(Option<Key>, u64),
    /// The row itself, with its own time.
    Own(u64),
    /// A callee and the time spent in it.
    Callee(Key, u64),
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    /// The numbers.
    pub model: Model,
    /// Which list fills the screen.
    pub view: View,
    /// The column that the rows are sorted by.
    pub sort: Column,
    /// The rows as they are sorted.
    pub order: Vec<Key>,
    /// Where one is in the rows.
    pub rows: Cursor,
    /// The callers, the row itself and the callees.
    pub relations: Relations,
    /// The same as a list.
    pub lines: Vec<RelationLine>,
    /// Where one is in whatever list fills the screen, if that is not the rows.
    pub cursor: Cursor,
    /// The rows that led here, innermost last.
    trail: Vec<Key>,
    /// The threads.
    pub threads: Vec<ThreadRow>,
    /// The frames of the thread that is looked at, innermost first.
    pub stack: Vec<FrameId>,
    /// The filter for the rows.
    pub filter: Option<Filter>,
    /// The filter before a new one was typed.
    old_filter: Option<Filter>,
    /// What is being asked for.
    pub prompt: Option<Prompt>,
    /// The help is shown.
    pub help: Option<Cursor>,
    /// What there is to say.
    pub message: Option<String>,
    /// The target has ended: how to say so.
    pub ended: Option<String>,
    /// The file name that saving begins with.
    pub save_name: String,
    /// The first line of the list on the screen.
    pub list_top: u16,
}

impl App {
    /// Shows `model`, sorted by `sort`.
    pub fn new(model: Model, sort: Column) -> App {
        App {
            model,
            view: View::Rows,
            sort,
            order: Vec::new(),
            rows: Cursor::default(),
            relations: Relations::default(),
            lines: Vec::new(),
            cursor: Cursor::default(),
            trail: Vec::new(),
            threads: Vec::new(),
            stack: Vec::new(),
            filter: None,
            old_filter: None,
            prompt: None,
            help: None,
            message: None,
            ended: None,
            save_name: String::new(),
            list_top: 0,
        }
    }

    /// The numbers, the sorting or the filter have changed.
    pub fn refresh(&mut self, recording: &Recording) {
        let selected = self.rows.selected.and_then(|at| self.order.get(at)).copied();
        let filter = self.filter.as_ref().map(|filter| &filter.regex);
        self.order = self.model.shown().table.order(recording, self.sort, filter);
        if let Some(selected) = selected {
            self.rows.moved(self.order.iter().position(|key| *key == selected));
        }
        if let View::Relations(key) = self.view {
            self.relate(recording, key);
        }
    }

    /// The threads as of now.
    pub fn set_threads(&mut self, recording: &Recording, threads: Vec<ThreadRow>) {
        if self.view == View::Threads {
            let selected = self.cursor.selected.and_then(|at| self.threads.get(at));
            if let Some(selected) = selected.map(|row| row.key) {
                self.cursor.moved(threads.iter().position(|row| row.key == selected));
            }
        }
        self.threads = threads;
        if let View::Stack(thread) = self.view {
            self.unwind(recording, thread);
        }
    }

    /// Takes the frames of a thread's last stack. One that has ended keeps its last ones.
    fn unwind(&mut self, recording: &Recording, thread: ThreadKey) {
        if let Some(row) = self.threads.iter().find(|row| row.key == thread) {
            self.stack = recording.stack_frames(row.stack).collect();
        }
    }

    /// Whether the threads have to be known.
    pub fn wants_threads(&self) -> bool {
        matches!(self.view, View::Threads | View::Stack(_))
    }

    fn relate(&mut self, recording: &Recording, key: Key) {
        let identity = |line: &RelationLine| match line {
            RelationLine::Caller(key, _) => (0, *key),
            RelationLine::Own(_) => (1, None),
            RelationLine::Callee(key, _) => (2, Some(*key)),
        };
        let selected = self.cursor.selected.and_then(|at| self.lines.get(at)).map(identity);
        self.relations = Relations::of(recording, self.model.shown(), key);
        let found = &self.relations;
        let callers = found.callers.iter().map(|(key, time)| RelationLine::Caller(*key, *time));
        self.lines = callers.collect();
        self.lines.push(RelationLine::Own(found.own));
        let callees = found.callees.iter().map(|(key, time)| RelationLine::Callee(*key, *time));
        self.lines.extend(callees);
        if selected.is_some() {
            self.cursor.moved(self.lines.iter().position(|line| Some(identity(line)) == selected));
        }
    }

    /// Takes what the terminal says.
    pub fn event(&mut self, recording: &Recording, event: &Event) -> Option<Request> {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.key(recording, *key),
            Event::Paste(text) => {
                if let Some(prompt) = &mut self.prompt {
                    prompt.paste(text);
                    self.typed(recording);
                }
                None
            }
            Event::Mouse(mouse) => {
                let line = usize::from(mouse.row).checked_sub(usize::from(self.list_top));
                let rows = self.len();
                match (mouse.kind, line) {
                    (MouseEventKind::ScrollUp, _) => self.cursor_mut().scroll(-3, rows),
                    (MouseEventKind::ScrollDown, _) => self.cursor_mut().scroll(3, rows),
                    (MouseEventKind::Down(MouseButton::Left), Some(line)) => {
                        let before = self.cursor_mut().selected;
                        let hit = self.cursor_mut().click(line, rows);
                        if hit && before == self.cursor_mut().selected {
                            self.open(recording);
                        }
                    }
                    _ => {}
                }
                None
            }
            _ => None,
        }
    }

    /// How long the list on the screen is.
    pub fn len(&self) -> usize {
        match self.view {
            View::Rows => self.order.len(),
            View::Relations(_) => self.lines.len(),
            View::Threads => self.threads.len(),
            View::Stack(_) => self.stack.len(),
        }
    }

    /// Where one is in the list on the screen.
    pub fn cursor_mut(&mut self) -> &mut Cursor {
        if self.view == View::Rows { &mut self.rows } else { &mut self.cursor }
    }

    fn key(&mut self, recording: &Recording, key: KeyEvent) -> Option<Request> {
        self.message = None;
        if self.prompt.is_some() {
            return self.prompt_key(recording, key);
        }
        let action = action(key)?;
        if let Some(help) = &mut self.help {
            match action {
                Action::Step(step) => {
                    help.select(None);
                    help.scroll_step(step, HELP.len());
                }
                Action::Quit | Action::Help | Action::Back | Action::Open => self.help = None,
                Action::Interrupt => return Some(Request::Interrupt),
                _ => {}
            }
            return None;
        }
        match action {
            Action::Sort(column) => {
                self.sort = column;
                self.refresh(recording);
            }
            Action::Level => {
                let now = self.grouping();
                self.regroup(recording, Grouping { level: now.level.next(), ..now });
            }
            Action::Processes => {
                let now = self.grouping();
                self.regroup(recording, Grouping { by_process: !now.by_process, ..now });
            }
            Action::Reset => {
                self.model.reset(recording);
                self.refresh(recording);
                self.message = Some("The numbers begin anew".into());
            }
            Action::Help => self.help = Some(Cursor::default()),
            Action::Step(step) => {
                let rows = self.len();
                self.cursor_mut().step(step, rows);
            }
            Action::Filter => {
                let text = self.filter.as_ref().map_or("", |filter| &filter.text).to_owned();
                self.old_filter = self.filter.clone();
                self.go(View::Rows);
                self.prompt = Some(Prompt::new(Question::Filter, text));
            }
            Action::Pause => {
                self.model.pause(!self.model.is_paused());
                self.refresh(recording);
            }
            Action::Threads => {
                self.go(if self.view == View::Threads { View::Rows } else { View::Threads });
            }
            Action::Open => self.open(recording),
            Action::Back => self.back(recording),
            Action::Save => {
                self.prompt = Some(Prompt::new(Question::Save, self.save_name.clone()));
            }
            Action::Redraw => return Some(Request::Redraw),
            Action::Suspend => return Some(Request::Suspend),
            Action::Quit => return Some(Request::Quit),
            Action::Interrupt => return Some(Request::Interrupt),
        }
        None
    }

    /// What the rows stand for.
    pub fn grouping(&self) -> Grouping {
        self.model.shown().table.grouping()
    }

    fn regroup(&mut self, recording: &Recording, grouping: Grouping) {
        self.model.regroup(recording, grouping);
        // The rows are others now.
        if matches!(self.view, View::Relations(_)) {
            self.go(View::Rows);
        }
        self.rows.clear();
        self.refresh(recording);
    }

    fn go(&mut self, view: View) {
        if !matches!(view, View::Relations(_)) {
            self.trail.clear();
        }
        self.view = view;
        self.cursor.clear();
        self.lines.clear();
        self.stack.clear();
    }

    fn open(&mut self, recording: &Recording) {
        let key = match self.view {
            View::Rows => self.order.get(self.rows.selected.unwrap_or(0)).copied(),
            View::Relations(_) => match self.cursor.selected.and_then(|at| self.lines.get(at)) {
                Some(RelationLine::Caller(Some(key), _) | RelationLine::Callee(key, _)) => {
                    Some(*key)
                }
                _ => None,
            },
            View::Threads => {
                let row = self.threads.get(self.cursor.selected.unwrap_or(0));
                if let Some(thread) = row.map(|row| row.key) {
                    self.go(View::Stack(thread));
                    self.unwind(recording, thread);
                }
                None
            }
            View::Stack(_) => None,
        };
        if let Some(key) = key {
            if let View::Relations(from) = self.view {
                self.trail.push(from);
            }
            self.go(View::Relations(key));
            self.relate(recording, key);
        }
    }

    fn back(&mut self, recording: &Recording) {
        match self.view {
            View::Rows if self.rows.is_moved() => self.rows.clear(),
            View::Rows => {
                self.filter = None;
                self.refresh(recording);
            }
            View::Relations(_) => match self.trail.pop() {
                Some(key) => {
                    self.view = View::Relations(key);
                    self.cursor.clear();
                    self.lines.clear();
                    self.relate(recording, key);
                }
                None => self.go(View::Rows),
            },
            View::Threads => self.go(View::Rows),
            View::Stack(_) => self.go(View::Threads),
        }
    }

    fn prompt_key(&mut self, recording: &Recording, key: KeyEvent) -> Option<Request> {
        let prompt = self.prompt.as_mut()?;
        let answer = prompt.key(key);
        match (prompt.question, answer) {
            (_, Answer::Open) => self.typed(recording),
            (Question::Filter, Answer::Cancelled) => {
                self.filter = self.old_filter.take();
                self.prompt = None;
                self.refresh(recording);
            }
            (Question::Filter, Answer::Done) => {
                // What does not make sense stays to be corrected.
                if prompt.error.is_none() {
                    self.prompt = None;
                }
                self.typed(recording);
            }
            (Question::Save, Answer::Done) if !prompt.text.is_empty() => {
                let path = PathBuf::from(&prompt.text);
                self.save_name = std::mem::take(&mut prompt.text);
                self.prompt = None;
                return Some(Request::Save(path));
            }
            (Question::Save, _) => self.prompt = None,
        }
        None
    }

    /// The filter works while it is being typed.
    fn typed(&mut self, recording: &Recording) {
        let Some(prompt) = self.prompt.as_mut().filter(|it| it.question == Question::Filter) else {
            return;
        };
        if prompt.text.is_empty() {
            self.filter = None;
        } else {
            match filter(&prompt.text) {
                Ok(filter) => self.filter = Some(filter),
                Err(error) => prompt.error = Some(error),
            }
        }
        self.rows.clear();
        self.refresh(recording);
    }
}

/// Capital letters in a filter make it heed the case of letters.
fn filter(text: &str) -> Result<Filter, String> {
    let regex = RegexBuilder::new(text)
        .case_insensitive(!text.contains(char::is_uppercase))
        .size_limit(1 << 20)
        .build();
    match regex {
        Ok(regex) => Ok(Filter { text: text.to_owned(), regex }),
        Err(error) => Err(reason(&error)),
    }
}

/// The last line of a regular expression's error says what is wrong, those above where.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
    last.trim().trim_start_matches("error: ").to_owned()
}
