//! Finds processes and attaches to them, beside the sampling: in a thread of its own.

use super::exam::{Content, Exam, Python, State};
use super::kin::{Ancestor, Kin, Life, called, command};
use crate::error::Error;
use crate::target::Target;
use cpython::discover::NotFound;
use remote::os::family::{self, Births, Descent, Image};
use remote::os::process::exe;
use std::collections::HashSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What the scout found out.
pub enum News {
    /// A Python process that is not sampled yet.
    Found(Box<Find>),
    /// A process that was asked about has ended, or is no Python (any more).
    Over(Name),
    /// A process calls itself something else now.
    Titled(Life, String),
    /// A process may not be looked into: why, in one line.
    Refused(String),
}

/// A Python process that is not sampled yet.
pub struct Find {
    /// The process.
    pub target: Target,
    /// What it is.
    pub identity: Identity,
    /// What it comes from, a root of the family first.
    pub ancestors: Vec<Ancestor>,
}

/// Which program in which process.
#[derive(Debug, Clone)]
pub struct Identity {
    /// As the scout calls it.
    pub life: Life,
    /// By which it is told from what the process may become.
    pub image: Option<Image>,
    /// What it calls itself.
    pub command: String,
}

/// A process by its id and the time when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// Its id.
    pub pid: i32,
    /// In clock ticks since boot.
    pub started: u64,
}

impl Name {
    /// Of a process that is there.
    pub fn of(target: &Target) -> Name {
        Name { pid: target.process.pid, started: target.process.started }
    }
}

impl From<&Descent> for Name {
    fn from(descent: &Descent) -> Name {
        Name { pid: descent.pid, started: descent.started }
    }
}

enum Ask {
    /// A process may have replaced its program.
    Examine(Name),
    /// A process has ended; what it started last may not be known yet.
    Ended(Name),
    /// Something was started somewhere.
    Look,
}

/// The family that a scout looks after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The roots alone.
    Roots,
    /// What they start as well.
    Children,
    /// Also what others of the family leave behind, whose parent we are.
    Orphans,
}

/// The sampling side: asks, and takes the news. Dropping it ends the thread.
pub struct Scout {
    ask: Sender<Ask>,
    news: Receiver<News>,
    births: Option<Births>,
    looked: Instant,
}

/// How often to look for births at most.
const LOOK_EVERY: Duration = Duration::from_millis(8);
/// How often the thread looks by itself: the samples may be far apart.
const LOOK_ALONE: Duration = Duration::from_millis(40);

impl Scout {
    /// Starts the thread. `roots` are the ids of the processes that the family begins
    /// with, and what was found out about those that can be sampled already. What these
    /// are called is returned in the same order.
    pub fn start(
        roots: &[(i32, Option<&Target>)],
        scope: Scope,
    ) -> std::io::Result<(Scout, Vec<Option<Identity>>)> {
        let (ask, asked) = channel();
        let (tell, news) = channel();
        let pids: Vec<i32> = roots.iter().map(|(pid, _)| *pid).collect();
        let follow = scope != Scope::Roots;
        let mut explorer = Explorer {
            tell,
            follow,
            kin: Kin::new(&pids, follow, scope == Scope::Orphans),
            owed: Vec::new(),
            refused: HashSet::new(),
            pruned: Instant::now(),
        };
        let adopt = |(_, target): &(i32, Option<&Target>)| explorer.adopt((*target)?);
        let identities = roots.iter().map(adopt).collect();
        std::thread::Builder::new().name("scout".into()).spawn(move || explorer.run(&asked))?;
        let births = follow.then(Births::default);
        Ok((Scout { ask, news, births, looked: Instant::now() }, identities))
    }

    /// What is new, without waiting.
    pub fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Asks to attach anew to a process that cannot be read as before. There will be news
    /// of it: found, or over.
    pub fn examine(&self, name: Name) {
        let _ = self.ask.send(Ask::Examine(name));
    }

    /// Tells that a process has ended. When all that it started is known, it is over.
    pub fn ended(&self, name: Name) {
        let _ = self.ask.send(Ask::Ended(name));
    }

    /// To be called at every sample: has the thread look for new processes, if any were
    /// started on the whole system.
    pub fn glance(&mut self) {
        let Some(births) = &mut self.births else { return };
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if births.any() {
                let _ = self.ask.send(Ask::Look);
            }
        }
    }
}

/// The thread's side.
struct Explorer {
    tell: Sender<News>,
    follow: bool,
    kin: Kin,
    /// Processes that have ended, for which there is no answer yet, and since when all that
    /// was started until then has been looked at.
    owed: Vec<(Name, Option<Instant>)>,
    /// Processes that may not be looked into, by id and start.
    refused: HashSet<(i32, u64)>,
    pruned: Instant,
}

impl Explorer {
    fn run(&mut self, asked: &Receiver<Ask>) {
        loop {
            self.kin.look();
            self.examine_due();
            self.pay();
            self.check_titles();
            if self.pruned.elapsed() > Duration::from_secs(1) {
                self.pruned = Instant::now();
                self.kin.prune();
            }
            let first = match asked.recv_timeout(self.wait_for()) {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            for ask in first.into_iter().chain(asked.try_iter()) {
                match ask {
                    Ask::Look => {}
                    Ask::Examine(name) => self.examine_again(name),
                    Ask::Ended(name) => self.owed.push((name, None)),
                }
            }
        }
    }

    fn say(&self, news: News) {
        // Nobody listens any more: the next wait ends the thread.
        let _ = self.tell.send(news);
    }

    /// How long nothing is due.
    fn wait_for(&self) -> Duration {
        const LONG: Duration = Duration::from_secs(3600);
        let now = Instant::now();
        let due = self.kin.all().filter_map(|relative| match &relative.state {
            State::Python(python) => Some(python.check),
            State::Other(exam) => (self.follow || exam.asked).then_some(exam.next),
        });
        let next = due.min().map_or(LONG, |at| at.saturating_duration_since(now));
        if self.follow { next.min(LOOK_ALONE) } else { next }
    }

    /// Answers for processes that have ended, unless what they have started may yet turn
    /// out to be a Python.
    fn pay(&mut self) {
        let now = Instant::now();
        for (name, looked) in &mut self.owed {
            self.kin.forget(name.pid, name.started);
            looked.get_or_insert(now);
        }
        let promising = |exam: &Exam| exam.is_promising();
        let mut others = self.kin.all();
        if self.follow
            && others.any(|one| matches!(&one.state, State::Other(exam) if promising(exam)))
        {
            return;
        }
        // What is started after their end is none of theirs: on a busy machine that goes on.
        let open = |looked: &Option<Instant>| {
            self.follow && looked.is_none_or(|looked| self.kin.is_unsettled_since(looked))
        };
        let (owed, over): (Vec<_>, Vec<_>) =
            self.owed.drain(..).partition(|(_, looked)| open(looked));
        self.owed = owed;
        for (name, _) in over {
            self.say(News::Over(name));
        }
    }

    /// Attaches anew to what is said to have changed.
    fn examine_again(&mut self, name: Name) {
        match family::descent(name.pid) {
            Some(now) if now.started == name.started && !now.ended => {
                if self.kin.get(name.pid).is_none() {
                    self.kin.add(now, 0);
                }
                if let Some(relative) = self.kin.get_mut(name.pid) {
                    relative.state = State::Other(Exam::new(true));
                }
            }
            _ => self.owed.push((name, None)),
        }
    }

    fn examine_due(&mut self) {
        let now = Instant::now();
        let is_due = |exam: &Exam| exam.next <= now && (self.follow || exam.asked);
        let others = || self.kin.all().filter(|one| matches!(one.state, State::Other(_)));
        let due: Vec<i32> = others()
            .filter(|one| matches!(&one.state, State::Other(exam) if is_due(exam)))
            .map(|one| one.descent.pid)
            .collect();
        let count = others().count();
        for pid in due {
            self.examine(pid);
            if let Some(State::Other(exam)) = self.kin.get_mut(pid).map(|one| &mut one.state) {
                exam.later(count, Instant::now());
            }
        }
    }

    fn examine(&mut self, pid: i32) {
        let Some(relative) = self.kin.get_mut(pid) else { return };
        let parent = relative.descent.parent;
        let State::Other(exam) = &mut relative.state else { return };
        if !exam.own_memory {
            if family::borrows_memory(pid, parent) {
                log::debug!("process {pid}: in the memory of its parent {parent}");
                return;
            }
            exam.own_memory = true;
        }
        let program = exe(pid);
        if !exam.must_search(&program, || Content::of(pid), Instant::now()) {
            if exam.asked || program.is_none() {
                self.answer_if_hopeless(pid);
            }
            return;
        }
        // Before the search, so that what changes meanwhile is not overlooked.
        let content = Content::of(pid);
        match self.attach(pid) {
            Ok(target) => {
                let name = Name::of(&target);
                if self.kin.get(pid).is_none_or(|one| one.descent.started != name.started) {
                    return self.kin.prune();
                }
                let ancestors = self.kin.ancestors(pid);
                if let Some(identity) = self.adopt(&target) {
                    self.say(News::Found(Box::new(Find { target, identity, ancestors })));
                }
            }
            Err(starting) => {
                if let Some(State::Other(exam)) = self.kin.get_mut(pid).map(|one| &mut one.state) {
                    exam.searched(program, content, starting, Instant::now());
                }
                self.answer_if_hopeless(pid);
            }
        }
    }

    /// Attaches to a process; the error says whether there is a Python that is starting.
    fn attach(&mut self, pid: i32) -> Result<Target, bool> {
        let twin = self.kin.twin(pid, family::image(pid));
        if let Some(State::Python(python)) = twin.map(|twin| &twin.state)
            && let Some(target) = Target::like(pid, &python.runtime)
        {
            return Ok(target);
        }
        match Target::try_attach(pid) {
            Ok(Ok(target)) => Ok(target),
            Ok(Err(missing)) => {
                log::debug!("process {pid}: no Python so far");
                Err(matches!(missing, NotFound::NotRunning(_)))
            }
            Err(error) => {
                log::debug!("process {pid}: {error}");
                if let Error::Permission(..) = error {
                    self.refuse(pid, &error);
                }
                Err(false)
            }
        }
    }

    /// Says once of each process that it cannot be looked into. Whether it is a Python is not
    /// known then.
    fn refuse(&mut self, pid: i32, error: &Error) {
        const MANY: usize = 1000;
        let Some(now) = family::descent(pid) else { return };
        if self.refused.len() < MANY && self.refused.insert((pid, now.started)) {
            let text = error.to_string();
            let why: Vec<&str> =
                text.lines().take(2).map(|line| line.trim_start_matches(" - ")).collect();
            self.say(News::Refused(format!(
                "process {pid} ({}) is left out: {}",
                command(pid),
                why.join(": ")
            )));
        }
    }

    /// Takes note of a process that is going to be sampled.
    fn adopt(&mut self, target: &Target) -> Option<Identity> {
        let pid = target.process.pid;
        let (image, command) = called(pid);
        let life = self.kin.identify(pid, image)?;
        let relative = self.kin.get_mut(pid)?;
        relative.state = State::Python(Python::new(target.runtime.clone(), command.clone()));
        Some(Identity { life, image, command })
    }

    /// A process that is no Python now: whoever waits for an answer may have waited long
    /// enough, or it has ended.
    fn answer_if_hopeless(&mut self, pid: i32) {
        let Some(relative) = self.kin.get_mut(pid) else { return };
        let started = relative.descent.started;
        let State::Other(exam) = &mut relative.state else { return };
        let now = family::descent(pid);
        let gone = now.is_none_or(|now| now.started != started || now.ended);
        let name = Name { pid, started };
        if exam.asked && (gone || exam.is_hopeless()) {
            exam.asked = false;
            match gone {
                true => self.owed.push((name, None)),
                false => self.say(News::Over(name)),
            }
        }
        if gone {
            self.kin.forget(pid, started);
        }
    }

    /// Asks what processes call themselves by now, and whether they are what they were:
    /// at the same addresses a new program may look like the old one.
    fn check_titles(&mut self) {
        let now = Instant::now();
        let due = |state: &State| matches!(state, State::Python(python) if python.check <= now);
        let due = self.kin.all().filter(|one| due(&one.state));
        let due: Vec<i32> = due.map(|one| one.descent.pid).collect();
        for pid in due {
            let (image, title) = called(pid);
            let another = self.kin.is_another(pid, image);
            let Some(relative) = self.kin.get_mut(pid) else { continue };
            let life = relative.life;
            if another == Some(true) {
                relative.state = State::Other(Exam::new(true));
            } else if let State::Python(python) = &mut relative.state {
                python.checked();
                if another.is_some() && python.title != title && !title.is_empty() {
                    python.title.clone_from(&title);
                    self.say(News::Titled(life, title));
                }
            }
        }
    }
}
