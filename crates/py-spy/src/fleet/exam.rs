//! When to look at a process that is not sampled (yet), and how closely.

use cpython::Runtime;
use remote::os::family::{self, Image};
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
    /// How long after that to ask once more.
    wait: Duration,
}

/// How long after it was found a process is asked what it calls itself now: after a fork
/// that changes soon, if at all. Then ever less often, down to the last.
const FIRST_CHECK: Duration = Duration::from_millis(60);
const CHECK_EVERY: Duration = Duration::from_secs(1);

impl Python {
    /// Found just now.
    pub fn new(runtime: Runtime, title: String) -> Python {
        let check = Instant::now() + FIRST_CHECK;
        Python { runtime: Box::new(runtime), title, check, wait: FIRST_CHECK }
    }

    /// It has been asked.
    pub fn checked(&mut self) {
        self.check = Instant::now() + self.wait;
        self.wait = (self.wait * 2).min(CHECK_EVERY);
    }
}

/// A process is given this long to become a Python before the answer is no.
const PATIENCE: Duration = Duration::from_secs(2);
/// What was started so recently may be about to become another program.
const YOUNG: Duration = Duration::from_millis(250);
/// Between two looks at a process. Looking for another program costs next to nothing,
/// and so it is done often for as long as there are few such processes. Searching one
/// costs much more.
const SOON: Duration = Duration::from_millis(3);
const OFTEN: Duration = Duration::from_millis(25);
const SEARCH_AGAIN: Duration = Duration::from_millis(50);
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
    /// It has a Python that is starting, or files of one.
    starting: bool,
    /// Somebody waits for the answer.
    pub asked: bool,
}

/// What tells whether a search would find the same again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The same program may have been executed anew.
    image: Option<Image>,
    /// Libraries may have been loaded.
    files: Option<u64>,
    /// Files of a Python are among them.
    python: bool,
}

impl Content {
    /// What the process `pid` has in its memory now.
    pub fn of(pid: i32) -> Content {
        let (files, python) = family::mapped_files(pid, "python").unzip();
        Content { image: family::image(pid), files, python: python.unwrap_or(false) }
    }
}

#[derive(Debug)]
struct Searched {
    exe: Option<String>,
    content: Content,
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
    /// before, or with something else in it.
    pub fn must_search(
        &mut self,
        exe: &Option<String>,
        content: impl Fn() -> Content,
        now: Instant,
    ) -> bool {
        match &self.searched {
            None => true,
            Some(searched) if searched.exe != *exe => {
                self.since = now;
                true
            }
            _ if now >= self.search => true,
            Some(searched) => {
                let other = searched.content != content();
                if other {
                    self.since = now;
                }
                other
            }
        }
    }

    /// It runs `exe` with this `content`, and was searched in vain. `starting` says that
    /// there is a Python that has no interpreter yet.
    pub fn searched(
        &mut self,
        exe: Option<String>,
        content: Content,
        starting: bool,
        now: Instant,
    ) {
        self.searched = Some(Searched { exe, content });
        self.starting = starting || content.python;
        let age = now.saturating_duration_since(self.since);
        // Until it has been initialised, a Python may not even look like one.
        self.search = now
            + match (self.starting, age < PATIENCE) {
                (true, true) => self.pause(OFTEN, now),
                (true, false) => age / 2,
                (false, _) => age.max(SEARCH_AGAIN),
            };
    }

    /// Plans the next look, with `others` such processes beside it.
    pub fn later(&mut self, others: usize, now: Instant) {
        let most = (OFTEN * (1 + others / FEW) as u32).min(SELDOM);
        self.next = now + self.pause(most, now);
    }

    fn pause(&self, most: Duration, now: Instant) -> Duration {
        (now.saturating_duration_since(self.since) / 2).clamp(SOON, most)
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

    fn with(files: u64, python: bool) -> Content {
        Content { image: None, files: Some(files), python }
    }

    #[test]
    fn a_program_is_searched_when_it_changes() {
        let mut exam = Exam::new(false);
        let now = exam.since;
        let (shell, other) = (Some("/bin/sh".to_owned()), Some("/usr/bin/other".to_owned()));
        assert!(exam.must_search(&shell, || with(1, false), now));
        exam.searched(shell.clone(), with(1, false), false, now);
        assert!(!exam.must_search(&shell, || with(1, false), now), "the same");
        assert!(exam.must_search(&shell, || with(2, false), now), "a library more");
        assert!(exam.must_search(&other, || with(1, false), now), "another program");
    }

    #[test]
    fn a_program_that_stays_is_searched_ever_more_rarely() {
        let shell = Some("/bin/sh".to_owned());
        for (python, age, least, most) in
            [(false, 10, 40, 50), (false, 4000, 3900, 4100), (true, 10, 3, 6), (true, 500, 20, 25)]
        {
            let mut exam = Exam::new(false);
            let now = exam.since + Duration::from_millis(age);
            exam.searched(shell.clone(), with(1, python), false, now);
            let pause = exam.search - now;
            let range = Duration::from_millis(least)..=Duration::from_millis(most);
            assert!(range.contains(&pause), "{python} {age}: {pause:?}");
            assert!(!exam.must_search(&shell, || with(1, python), now));
            assert!(exam.must_search(&shell, || with(1, python), exam.search));
        }
    }

    #[test]
    fn many_processes_are_looked_at_less_often() {
        let mut exam = Exam::new(false);
        exam.since -= Duration::from_secs(60);
        let now = Instant::now();
        let wait = |exam: &Exam| exam.next - now;
        exam.later(1, now);
        assert!(wait(&exam) <= OFTEN);
        exam.later(160, now);
        assert!(wait(&exam) > OFTEN * 5 && exam.is_hopeless() && !exam.is_promising());
        exam.later(1_000_000, now);
        assert!(wait(&exam) <= SELDOM);
    }
}
