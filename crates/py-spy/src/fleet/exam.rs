//! When to look at a process that is not sampled (yet), and how closely.

use cpython::Runtime;
use std::time::{Duration, Instant};

/// What is known of a process of the family.
#[derive(Debug)]
pub enum State {
    /// It is being sampled.
    Python(Python),
    /// It is no Python, or not yet.
    Other(Exam),
}

/// A process that is being sampled.
#[derive(Debug)]
pub struct Python {
    /// Where its interpreter is: in what it forks, it is at the same place.
    pub runtime: Box<Runtime>,
    /// What it calls itself, as told last.
    pub title: String,
    /// When to ask for that again.
    pub check: Instant,
}

/// How long after it was found a process is asked what it calls itself now: after a fork
/// that changes soon, if at all. And how often from then on.
const FIRST_CHECK: Duration = Duration::from_millis(60);
const CHECK_EVERY: Duration = Duration::from_secs(1);

impl Python {
    /// Found just now.
    pub fn new(runtime: Runtime, title: String) -> Python {
        Python { runtime: Box::new(runtime), title, check: Instant::now() + FIRST_CHECK }
    }

    /// It has been asked.
    pub fn checked(&mut self) {
        self.check = Instant::now() + CHECK_EVERY;
    }
}

/// A process is given this long to become a Python before the answer is no.
const PATIENCE: Duration = Duration::from_secs(2);
/// What was started so recently may be about to become another program.
const YOUNG: Duration = Duration::from_millis(250);
/// Between two looks at a process. Looking for another program costs next to nothing,
/// and so it is done often for as long as there are few such processes; looking for
/// libraries that a program has loaded since costs more.
const SOON: Duration = Duration::from_millis(3);
const OFTEN: Duration = Duration::from_millis(25);
const SELDOM: Duration = Duration::from_secs(1);
/// For each so many, looks are one `OFTEN` further apart.
const FEW: usize = 16;

/// The looks at a process that is no Python so far.
#[derive(Debug)]
pub struct Exam {
    /// When its present program was first seen.
    since: Instant,
    /// When to look again.
    pub next: Instant,
    /// When to look for libraries loaded since.
    search: Instant,
    /// What was searched in vain.
    searched: Option<Searched>,
    /// Its memory is its own.
    pub own_memory: bool,
    /// It has a Python that is starting.
    starting: bool,
    /// Somebody waits for the answer.
    pub asked: bool,
}

#[derive(Debug)]
struct Searched {
    exe: Option<String>,
    files: Option<u64>,
}

impl Exam {
    /// Never looked at; due now.
    pub fn new(asked: bool) -> Exam {
        let now = Instant::now();
        Exam {
            since: now,
            next: now,
            search: now,
            searched: None,
            own_memory: false,
            starting: false,
            asked,
        }
    }

    /// Whether its memory must be searched, now that it runs `exe`: another program than
    /// before, or with other files mapped.
    pub fn must_search(&mut self, exe: &Option<String>, files: impl Fn() -> Option<u64>) -> bool {
        match &self.searched {
            None => true,
            Some(searched) if searched.exe != *exe => {
                self.since = Instant::now();
                true
            }
            _ if Instant::now() < self.search => false,
            Some(_) if self.starting => true,
            Some(searched) => {
                self.search = Instant::now() + self.pause(SELDOM);
                searched.files != files()
            }
        }
    }

    /// It runs `exe` with these `files` mapped, and was searched in vain. `starting` says
    /// that there is a Python that has no interpreter yet.
    pub fn searched(&mut self, exe: Option<String>, files: Option<u64>, starting: bool) {
        self.searched = Some(Searched { exe, files });
        self.starting = starting;
        self.search = Instant::now()
            + match starting && self.since.elapsed() < PATIENCE {
                true => SOON,
                false => self.pause(SELDOM),
            };
    }

    /// Plans the next look, with `others` such processes beside it.
    pub fn later(&mut self, others: usize) {
        let most = (OFTEN * (1 + others / FEW) as u32).min(SELDOM);
        self.next = Instant::now() + self.pause(most);
    }

    fn pause(&self, most: Duration) -> Duration {
        (self.since.elapsed() / 2).clamp(SOON, most)
    }

    /// It will hardly become a Python any more.
    pub fn is_hopeless(&self) -> bool {
        self.since.elapsed() > PATIENCE
    }

    /// It may become a Python at any moment.
    pub fn is_promising(&self) -> bool {
        let age = self.since.elapsed();
        age < YOUNG || (self.starting && age < PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_searched_once_until_it_changes() {
        let mut exam = Exam::new(false);
        let (shell, python) = (Some("/bin/sh".to_owned()), Some("/usr/bin/python".to_owned()));
        assert!(exam.must_search(&shell, || None) && exam.is_promising());
        exam.searched(shell.clone(), Some(1), false);
        assert!(!exam.must_search(&shell, || Some(2)), "not so soon");
        exam.search = Instant::now();
        assert!(!exam.must_search(&shell, || Some(1)), "the same");
        exam.search = Instant::now();
        assert!(exam.must_search(&shell, || Some(2)), "a library more");
        assert!(exam.must_search(&python, || Some(1)), "another program");
        exam.searched(python.clone(), Some(1), true);
        exam.search = Instant::now();
        assert!(exam.must_search(&python, || Some(1)), "it is starting");
    }

    #[test]
    fn many_processes_are_looked_at_less_often() {
        let mut exam = Exam::new(false);
        exam.since -= Duration::from_secs(60);
        let wait = |exam: &Exam| exam.next - Instant::now();
        exam.later(1);
        assert!(wait(&exam) <= OFTEN);
        exam.later(160);
        assert!(wait(&exam) > OFTEN * 5 && exam.is_hopeless() && !exam.is_promising());
        exam.later(1_000_000);
        assert!(wait(&exam) <= SELDOM);
    }
}
