//! A line that is asked for at the bottom of the screen.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// A regular expression for the rows to show.
    Filter,
    /// The file to save the profile to.
    Save,
}

/// A question and the answer so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What is asked for.
    pub question: Question,
    /// The answer so far.
    pub text: String,
    /// Why the answer will not do.
    pub error: Option<String>,
}

/// What a key did to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The text may have changed.
    Open,
    /// It was given.
    Done,
    /// None was given.
    Cancelled,
}

/// Longer answers are not taken.
const MAX: usize = 4096;

impl Prompt {
    /// Asks, with an answer to begin with.
    pub fn new(question: Question, text: String) -> Prompt {
        Prompt { question, text, error: None }
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Answer {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Answer::Done,
            KeyCode::Esc => return Answer::Cancelled,
            KeyCode::Char('c' | 'g') if control => return Answer::Cancelled,
            KeyCode::Char('u') if control => self.text.clear(),
            KeyCode::Char('w') if control => {
                let word = |c: char| c.is_alphanumeric();
                let end = self.text.trim_end_matches(|c| !word(c)).trim_end_matches(word).len();
                self.text.truncate(end);
            }
            KeyCode::Backspace => {
                self.text.pop();
            }
            KeyCode::Char(c) if !control && !c.is_control() && self.text.len() < MAX => {
                self.text.push(c);
            }
            _ => {}
        }
        self.error = None;
        Answer::Open
    }

    /// Takes text that was pasted.
    pub fn paste(&mut self, text: &str) {
        let line = text.lines().next().unwrap_or("");
        self.text.extend(line.chars().filter(|c| !c.is_control()).take(MAX));
        self.error = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(prompt: &mut Prompt, code: KeyCode, modifiers: KeyModifiers) -> Answer {
        prompt.key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn an_answer_is_edited() {
        let mut prompt = Prompt::new(Question::Save, "/tmp/a.svg".into());
        assert_eq!(typed(&mut prompt, KeyCode::Backspace, KeyModifiers::NONE), Answer::Open);
        assert_eq!(prompt.text, "/tmp/a.sv");
        typed(&mut prompt, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(prompt.text, "/tmp/a.");
        typed(&mut prompt, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(prompt.text, "/tmp/");
        typed(&mut prompt, KeyCode::Char('é'), KeyModifiers::NONE);
        typed(&mut prompt, KeyCode::Char('x'), KeyModifiers::CONTROL);
        prompt.paste("x\u{1b}y\nz");
        assert_eq!(prompt.text, "/tmp/éxy");
        assert_eq!(typed(&mut prompt, KeyCode::Enter, KeyModifiers::NONE), Answer::Done);
        typed(&mut prompt, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(prompt.text, "");
        assert_eq!(
            typed(&mut prompt, KeyCode::Char('c'), KeyModifiers::CONTROL),
            Answer::Cancelled
        );
    }
}
