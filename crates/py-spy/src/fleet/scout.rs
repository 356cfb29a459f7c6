//! Finds processes and attaches to them, beside the sampling: in a thread of its own.

use crate::target::Target;
use cpython::Runtime;
use cpython::discover::NotFound;
use remote::os::family::{self, Births, Descent};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// What the scout found out.
pub enum News {
    /// A Python process that is not sampled yet, and its ancestors up to a root of the
    /// family, outermost first.
    Found(Box<Target>, Vec<Ancestor>),
    /// A process that was asked about has ended, or is no Python (any more).
    Over(i32),
}

/// A process on the way from a root to a Python process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

enum Ask {
    /// A process may have replaced its program.
    Examine(i32),
    /// A process has ended; what it started last may not be known yet.
    Ended(i32),
    /// Something was started somewhere.
    Look,
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
    /// Starts the thread. `roots` are the processes that the family begins with, with the
    /// runtime of those that are sampled already; with `follow`, all that they start are
    /// found as well.
    pub fn start(roots: Vec<(i32, Option<Runtime>)>, follow: bool) -> std::io::Result<Scout> {
        let (ask, asked) = channel();
        let (tell, news) = channel();
        let mut known = HashMap::new();
        for (pid, runtime) in &roots {
            let Some(descent) = family::descent(*pid) else { continue };
            let state = match runtime {
                Some(runtime) => State::Python(Box::new(runtime.clone()), exe(*pid)),
                None => State::Other(Examination::now(false)),
            };
            known.insert(*pid, Known { descent, state });
        }
        let mut explorer = Explorer {
            tell,
            follow,
            roots: roots.into_iter().map(|(pid, _)| pid).collect(),
            known,
            gone: VecDeque::new(),
            births: Births::default(),
            last: None,
            pruned: Instant::now(),
        };
        std::thread::Builder::new().name("scout".into()).spawn(move || explorer.run(&asked))?;
        let births = follow.then(Births::default);
        Ok(Scout { ask, news, births, looked: Instant::now() })
    }

    /// What is new, without waiting.
    pub fn news(&self) -> Option<News> {
        self.news.try_recv().ok()
    }

    /// Asks to attach anew to a process that cannot be read as before. There will be news
    /// of it: found, or over.
    pub fn examine(&self, pid: i32) {
        let _ = self.ask.send(Ask::Examine(pid));
    }

    /// Tells that a process has ended. When all that it started is known, it is over.
    pub fn ended(&self, pid: i32) {
        let _ = self.ask.send(Ask::Ended(pid));
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

/// A process of the family.
struct Known {
    descent: Descent,
    state: State,
}

enum State {
    /// It is being sampled.
    Python(Box<Runtime>, Option<String>),
    /// It is not, or not yet, a Python.
    Other(Examination),
}

/// When a process that is no Python yet is looked at again.
struct Examination {
    since: Instant,
    next: Instant,
    /// When it is searched again though its program is the same.
    search: Instant,
    exe: Option<String>,
    /// Somebody waits for the answer.
    asked: bool,
}

impl Examination {
    fn now(asked: bool) -> Examination {
        let now = Instant::now();
        Examination { since: now, next: now, search: now, exe: None, asked }
    }
}

/// How long a process is given to become a Python before the answer is no.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ids of processes that have ended are kept this long, for children of theirs.
const MEMORY: Duration = Duration::from_secs(30);
/// With more births than this since the last look, all processes are looked at.
const MANY: i32 = 2000;

/// The thread's side.
struct Explorer {
    tell: Sender<News>,
    follow: bool,
    roots: Vec<i32>,
    known: HashMap<i32, Known>,
    gone: VecDeque<(i32, Instant)>,
    births: Births,
    /// The last process id that was looked at.
    last: Option<i32>,
    pruned: Instant,
}

impl Explorer {
    fn run(&mut self, asked: &Receiver<Ask>) {
        loop {
            if self.follow {
                self.look();
            }
            self.examine_due();
            self.prune();
            let ask = match self.wait_for() {
                Some(time) => asked.recv_timeout(time),
                None => asked.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let first = match ask {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let asks: Vec<Ask> = first.into_iter().chain(asked.try_iter()).collect();
            if self.follow && asks.iter().any(|ask| matches!(ask, Ask::Ended(_))) {
                self.look();
            }
            for ask in asks {
                match ask {
                    Ask::Look => {}
                    Ask::Examine(pid) => self.examine_again(pid),
                    Ask::Ended(pid) => {
                        self.forget(pid);
                        self.say(News::Over(pid));
                    }
                }
            }
        }
    }

    fn say(&self, news: News) {
        // Nobody listens any more: the next wait ends the thread.
        let _ = self.tell.send(news);
    }

    /// How long nothing is due; `None` for ever.
    fn wait_for(&self) -> Option<Duration> {
        let now = Instant::now();
        let due = self.known.values().filter_map(|known| match &known.state {
            State::Other(examination) if self.follow || examination.asked => Some(examination.next),
            _ => None,
        });
        let next = due.min().map(|at| at.saturating_duration_since(now));
        let alone = self.follow.then_some(LOOK_ALONE);
        next.into_iter().chain(alone).min()
    }

    fn forget(&mut self, pid: i32) {
        if self.known.remove(&pid).is_some() {
            self.gone.push_back((pid, Instant::now()));
        }
    }

    fn examine_again(&mut self, pid: i32) {
        match family::descent(pid) {
            Some(descent) => {
                let state = State::Other(Examination::now(true));
                self.known.insert(pid, Known { descent, state });
            }
            None => {
                self.forget(pid);
                self.say(News::Over(pid));
            }
        }
    }

    /// Finds what the family has started since the last look.
    fn look(&mut self) {
        let last = self.births.last();
        let since = std::mem::replace(&mut self.last, last);
        let new: Vec<Descent> = match (since, last) {
            (Some(since), Some(last)) if since == last => return,
            (Some(since), Some(last)) if last > since && last - since < MANY => {
                // Ids are given out in rising order, to threads as well.
                (since + 1..=last).filter_map(family::descent).collect()
            }
            _ => family::all(),
        };
        // A parent is mostly older than its child, but ids start over again.
        loop {
            let before = self.known.len();
            for descent in &new {
                self.consider(*descent);
            }
            if self.known.len() == before {
                return;
            }
        }
    }

    fn consider(&mut self, descent: Descent) {
        let known = self.known.get(&descent.pid).map(|known| known.descent.started);
        if known == Some(descent.started) || descent.pid == std::process::id() as i32 {
            return;
        }
        let of_family = |pid: i32| {
            self.known.contains_key(&pid) || self.gone.iter().any(|(gone, _)| *gone == pid)
        };
        // A process whose parent has ended already still tells its group or session.
        let ours =
            of_family(descent.parent) || of_family(descent.group) || of_family(descent.session);
        if !ours || !family::is_process(descent.pid) {
            return;
        }
        let state = State::Other(Examination::now(false));
        self.known.insert(descent.pid, Known { descent, state });
    }

    fn examine_due(&mut self) {
        let now = Instant::now();
        let due = |(pid, known): (&i32, &Known)| match &known.state {
            State::Other(examination) if examination.next <= now => Some(*pid),
            _ => None,
        };
        let due: Vec<i32> = self.known.iter().filter_map(due).collect();
        for pid in due {
            self.examine(pid);
        }
    }

    fn examine(&mut self, pid: i32) {
        let Some(known) = self.known.get(&pid) else { return };
        let parent = known.descent.parent;
        let State::Other(examination) = &known.state else { return };
        if family::share_memory(pid, parent) == Some(true) {
            return self.later(pid, Duration::from_millis(3), false);
        }
        let exe = exe(pid);
        let searched_before = examination.exe.is_some();
        if searched_before && examination.exe == exe && Instant::now() < examination.search {
            return self.later(pid, pause(examination.since.elapsed()), false);
        }
        let like = match self.known.get(&parent).map(|known| &known.state) {
            Some(State::Python(runtime, of)) if *of == exe => Target::like(pid, runtime),
            _ => None,
        };
        let found = match like {
            Some(target) => Ok(Ok(target)),
            None => Target::try_attach(pid),
        };
        match found {
            Ok(Ok(target)) => {
                let state = State::Python(Box::new(target.runtime.clone()), exe);
                if let Some(known) = self.known.get_mut(&pid) {
                    known.state = state;
                }
                let ancestors = self.ancestors(pid);
                self.say(News::Found(Box::new(target), ancestors));
            }
            Ok(Err(missing)) => {
                log::debug!("process {pid}: no Python so far");
                let starting = matches!(missing, NotFound::NotRunning(_));
                self.not_yet(pid, exe, starting);
            }
            Err(error) => {
                log::debug!("process {pid}: {error}");
                self.not_yet(pid, exe, false);
            }
        }
    }

    /// A process that is no Python now: when to look again, and what to say.
    fn not_yet(&mut self, pid: i32, exe: Option<String>, starting: bool) {
        let alive = family::descent(pid);
        let Some(known) = self.known.get_mut(&pid) else { return };
        let State::Other(examination) = &mut known.state else { return };
        let gone =
            alive.is_none_or(|descent| descent.started != known.descent.started) || exe.is_none();
        let age = examination.since.elapsed();
        if examination.asked && (gone || age > PATIENCE) {
            examination.asked = false;
            self.say(News::Over(pid));
        }
        if gone {
            return self.forget(pid);
        }
        if let Some(Known { state: State::Other(examination), .. }) = self.known.get_mut(&pid)
            && exe != examination.exe
        {
            examination.exe = exe;
            examination.since = Instant::now();
        }
        let wait = if starting && age < PATIENCE { Duration::from_millis(4) } else { pause(age) };
        self.later(pid, wait, true);
    }

    /// Looks at a process again after `wait`. `searched` says that all of it was searched
    /// now: that is done again, with its program unchanged, ever more rarely.
    fn later(&mut self, pid: i32, wait: Duration, searched: bool) {
        let Some(Known { state: State::Other(examination), .. }) = self.known.get_mut(&pid) else {
            return;
        };
        let now = Instant::now();
        examination.next = now + wait;
        if searched {
            examination.search = match wait < Duration::from_millis(5) {
                true => examination.next,
                false => now + examination.since.elapsed().max(Duration::from_millis(50)),
            };
        }
    }

    /// The processes from a root down to `pid`'s parent.
    fn ancestors(&self, pid: i32) -> Vec<Ancestor> {
        let mut found = Vec::new();
        let mut seen = HashSet::from([pid]);
        let mut next = self.known.get(&pid).map(|known| known.descent.parent);
        while let Some(pid) = next
            && let Some(known) = self.known.get(&pid)
            && seen.insert(pid)
        {
            found.push(Ancestor { pid, command: command(pid) });
            next = (!self.roots.contains(&pid)).then_some(known.descent.parent);
        }
        found.reverse();
        found
    }

    /// Forgets processes that have ended without anybody telling.
    fn prune(&mut self) {
        if self.pruned.elapsed() < Duration::from_secs(1) {
            return;
        }
        self.pruned = Instant::now();
        let ended = |(pid, known): (&i32, &Known)| {
            let same = |now: Descent| now.started == known.descent.started;
            let sampled = matches!(known.state, State::Python(..));
            (!sampled && !family::descent(*pid).is_some_and(same)).then_some(*pid)
        };
        let ended: Vec<i32> = self.known.iter().filter_map(ended).collect();
        for pid in ended {
            self.forget(pid);
        }
        while self.gone.front().is_some_and(|(_, when)| when.elapsed() > MEMORY) {
            self.gone.pop_front();
        }
    }
}

/// How soon to look at a process again that has been what it is for `age`: `exec` mostly
/// comes soon.
fn pause(age: Duration) -> Duration {
    (age / 4).clamp(Duration::from_millis(5), Duration::from_millis(250))
}

fn exe(pid: i32) -> Option<String> {
    remote::os::process::exe(pid)
}

fn command(pid: i32) -> String {
    let arguments = remote::os::process::arguments(pid);
    if arguments.is_empty() { exe(pid).unwrap_or_default() } else { arguments.join(" ") }
}
