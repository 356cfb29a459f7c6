//! Which processes belong to the family: the roots, and all that they have started.
//!
//! New processes are found by their ids, which are given out in rising order: one number
//! tells the last of them, so that nothing else is looked at while none was started.

use super::exam::{Exam, State};
use remote::os::family::{self, Births, Descent, Image};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// One program in one process: `exec` begins another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Life(u32);

/// A process of the family.
#[derive(Debug)]
pub struct Relative {
    /// Where it comes from.
    pub descent: Descent,
    /// The member of the family that started it, as far as is known; 0 for a root.
    parent: i32,
    /// What it is now.
    pub life: Life,
    /// What the life was told by.
    image: Option<Image>,
    /// What is known of it.
    pub state: State,
}

/// A process on the way from a root to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// What it is.
    pub life: Life,
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

/// One that has ended.
#[derive(Debug)]
struct Gone {
    when: Instant,
    descent: Descent,
    parent: i32,
    image: Option<Image>,
    /// If it was ever named.
    life: Option<(Life, String)>,
}

/// Processes that have ended are remembered this long, for what they had started.
const MEMORY: Duration = Duration::from_secs(30);
/// An id that was given out belongs to a process after this long, or never did.
const SETTLED: Duration = Duration::from_millis(30);
/// So many of the ids given out last may belong to processes that are not there yet.
const NEWEST: i32 = 64;
/// With more births than this since the last look, all processes are looked at.
const MANY: i32 = 2000;

/// All that is known of the family.
#[derive(Debug)]
pub struct Kin {
    roots: Vec<Descent>,
    follow: bool,
    /// Orphans of the family become our own children.
    adopting: bool,
    own: i32,
    /// When we were started, in clock ticks since boot.
    began: u64,
    known: HashMap<i32, Relative>,
    gone: HashMap<i32, Gone>,
    births: Births,
    /// The last id that was looked at.
    last: Option<i32>,
    /// Ids that no process had when they were looked at: it may not have been visible yet.
    unsettled: Vec<(i32, Instant)>,
    lives: u32,
}

impl Kin {
    /// The family of the processes `roots`. Only with `follow`, what they start belongs
    /// to it; `adopting` says that we are the parent of its orphans.
    pub fn new(roots: &[i32], follow: bool, adopting: bool) -> Kin {
        let own = std::process::id() as i32;
        let mut kin = Kin {
            roots: roots.iter().filter_map(|pid| family::descent(*pid)).collect(),
            follow,
            adopting,
            own,
            began: family::descent(own).map_or(0, |own| own.started),
            known: HashMap::new(),
            gone: HashMap::new(),
            births: Births::default(),
            last: None,
            unsettled: Vec::new(),
            lives: 0,
        };
        for root in kin.roots.clone() {
            kin.add(root, 0);
        }
        kin
    }

    /// A process of the family.
    pub fn get(&self, pid: i32) -> Option<&Relative> {
        self.known.get(&pid)
    }

    /// A process of the family, to change what is known of it.
    pub fn get_mut(&mut self, pid: i32) -> Option<&mut Relative> {
        self.known.get_mut(&pid)
    }

    /// All processes of the family.
    pub fn all(&self) -> impl Iterator<Item = &Relative> {
        self.known.values()
    }

    /// A member of the family that forked into `pid`, or was forked from the same one.
    pub fn twin(&self, pid: i32, image: Option<Image>) -> Option<&Relative> {
        let image = image?;
        let same = |other: &&Relative| {
            other.image == Some(image)
                && other.descent.pid != pid
                && matches!(other.state, State::Python(_))
        };
        self.known.values().find(same)
    }

    /// Adds a process to the family, as one that was never looked at.
    pub fn add(&mut self, descent: Descent, parent: i32) {
        self.lives += 1;
        let life = Life(self.lives);
        let state = State::Other(Exam::new(false));
        self.known.insert(descent.pid, Relative { descent, parent, life, image: None, state });
    }

    /// Tells the life of `pid`, whose execution is `image` now: another one than before,
    /// if that has changed.
    pub fn identify(&mut self, pid: i32, image: Option<Image>) -> Option<Life> {
        let next = Life(self.lives + 1);
        let relative = self.known.get_mut(&pid)?;
        let changed = relative.image.is_some() && image.is_some() && relative.image != image;
        relative.image = image.or(relative.image);
        if changed {
            relative.life = next;
            self.lives += 1;
        }
        Some(relative.life)
    }

    /// Whether `pid`, whose execution is `image` now, became another program since it was last
    /// identified; `None` while that cannot be told.
    pub fn is_another(&self, pid: i32, image: Option<Image>) -> Option<bool> {
        let before = self.known.get(&pid).and_then(|relative| relative.image);
        match (before, image) {
            (Some(before), Some(now)) => Some(before != now),
            (Some(_), None) => None,
            (None, _) => Some(false),
        }
    }

    /// Forgets a process that has ended; `started` makes sure that it is that one.
    pub fn forget(&mut self, pid: i32, started: u64) {
        if let Some(relative) = self.known.get(&pid)
            && relative.descent.started == started
        {
            let Relative { descent, parent, image, life, .. } = *relative;
            let title = match &relative.state {
                State::Python(python) => Some((life, python.title.clone())),
                State::Other(_) => None,
            };
            self.known.remove(&pid);
            self.remember(descent, parent, image, title);
        }
    }

    fn remember(
        &mut self,
        descent: Descent,
        parent: i32,
        image: Option<Image>,
        life: Option<(Life, String)>,
    ) {
        let pid = descent.pid;
        self.gone.insert(pid, Gone { when: Instant::now(), descent, parent, image, life });
        // A program that we started is waited for elsewhere.
        if self.adopting && !self.is_root(pid) {
            family::collect(pid);
        }
    }

    fn is_root(&self, pid: i32) -> bool {
        self.roots.iter().any(|root| root.pid == pid)
    }

    /// Whether ids that were given out until `then` may still turn out to be processes.
    pub fn is_unsettled_since(&self, then: Instant) -> bool {
        self.unsettled.iter().any(|(_, since)| *since <= then)
    }

    /// Finds what the family has started since the last look.
    pub fn look(&mut self) {
        if !self.follow {
            return;
        }
        let last = self.births.last();
        let since = std::mem::replace(&mut self.last, last);
        let now = Instant::now();
        let all = match (since, last) {
            (Some(since), Some(last)) if last >= since && last - since < MANY => {
                self.unsettled.extend((since + 1..=last).map(|id| (id, now)));
                false
            }
            _ => true,
        };
        let new: Vec<Descent> = if all {
            // Those whose ids were given out last may not be there to be seen yet.
            self.unsettled.clear();
            if let Some(last) = last {
                let newest = (last - NEWEST).max(1)..=last;
                self.unsettled.extend(newest.map(|id| (id, now)));
            }
            family::all()
        } else {
            let ready = |(id, _): &mut (i32, Instant)| family::is_process(*id);
            let ready: Vec<_> = self.unsettled.extract_if(.., ready).collect();
            self.unsettled.retain(|(_, since)| since.elapsed() < SETTLED);
            ready.iter().filter_map(|(id, _)| family::descent(*id)).collect()
        };
        let table: HashMap<i32, Descent> = new.iter().map(|one| (one.pid, *one)).collect();
        // A parent is mostly older than its child, but ids start over again.
        let mut left = new;
        loop {
            let before = left.len();
            left.retain(|one| !self.consider(one, &table));
            if left.len() == before {
                return;
            }
        }
    }

    /// Adds a process if it is of the family. False if it is not, as far as can be said.
    fn consider(&mut self, one: &Descent, table: &HashMap<i32, Descent>) -> bool {
        let known = self.known.get(&one.pid).map(|relative| relative.descent.started);
        if known == Some(one.started) || one.pid == self.own {
            return true;
        }
        let Some(parent) = self.parent(one, table) else { return false };
        if one.ended {
            self.remember(*one, parent, None, None);
        } else {
            self.add(*one, parent);
        }
        true
    }

    /// The member of the family that a process comes from; `None` if it does not.
    fn parent(&self, one: &Descent, table: &HashMap<i32, Descent>) -> Option<i32> {
        // The id of one that has ended may be another's by now.
        let still = |gone: &Gone| {
            let now = family::descent(gone.descent.pid);
            now.is_none_or(|now| now.started == gone.descent.started)
        };
        let of_family =
            |pid: &i32| self.known.contains_key(pid) || self.gone.get(pid).is_some_and(still);
        if of_family(&one.parent) {
            return Some(one.parent);
        }
        // Its parent may have ended already, so that it has another one now: mostly one of
        // another terminal session. Then it still has the group and session that it got
        // from its parent.
        let parent = table.get(&one.parent).copied().or_else(|| family::descent(one.parent));
        let adopted = self.adopting && one.parent == self.own;
        let new = one.started >= self.began;
        let leads = one.session == one.pid;
        let orphan = match parent {
            None => true,
            Some(parent) => (!leads && parent.session != one.session) || (new && parent.pid == 1),
        };
        if orphan || adopted {
            let leaders = [one.group, one.session];
            if let Some(leader) = leaders.into_iter().find(of_family) {
                return Some(leader);
            }
        }
        if !new || !(orphan || adopted || leads) {
            return None;
        }
        // Daemons leave group and session, but they are still forks of the family, and
        // not of their new parent.
        if let Some(image) = family::image(one.pid)
            && parent.and_then(|parent| family::image(parent.pid)) != Some(image)
        {
            let known = self.known.values().map(|one| (one.image, one.descent));
            let gone = self.gone.values().map(|gone| (gone.image, gone.descent));
            let twins = known.chain(gone).filter(|(of, _)| *of == Some(image));
            // Which of them cannot be told, but all come from the first.
            let first = twins.map(|(_, twin)| (twin.started, twin.pid)).min();
            if let Some((_, pid)) = first {
                return Some(pid);
            }
        }
        self.roots.first().filter(|_| adopted).map(|root| root.pid)
    }

    /// The nearest process that `pid` comes from and that is still there; 0 for none.
    fn living_parent(&self, pid: i32) -> i32 {
        let mut next = pid;
        let mut seen = HashSet::new();
        while seen.insert(next) {
            let known = self.known.get(&next).map(|relative| relative.parent);
            next = known.or_else(|| self.gone.get(&next).map(|gone| gone.parent)).unwrap_or(0);
            if next == 0 || self.known.contains_key(&next) {
                return next;
            }
        }
        0
    }

    /// The processes from a root down to `pid`'s parent. Those that have ended without ever
    /// having been named are left out.
    pub fn ancestors(&mut self, pid: i32) -> Vec<Ancestor> {
        let mut found = Vec::new();
        let mut next = pid;
        let mut seen = HashSet::new();
        while seen.insert(next) {
            let known = self.known.get(&next).map(|relative| relative.parent);
            let Some(parent) = known.or_else(|| self.gone.get(&next).map(|gone| gone.parent))
            else {
                break;
            };
            next = parent;
            let (image, mut command) = called(next);
            if let Some(relative) = self.known.get(&next)
                && image.is_none()
                && relative.image.is_some()
            {
                // It is becoming another program, which this may be the name of.
                command.clear();
            }
            if let Some(life) = self.identify(next, image) {
                if let Some(State::Python(python)) = self.known.get(&next).map(|one| &one.state)
                    && command.is_empty()
                {
                    command.clone_from(&python.title);
                }
                if !command.is_empty() {
                    found.push(Ancestor { life, pid: next, command });
                }
            } else if let Some(Gone { life: Some((life, title)), .. }) = self.gone.get(&next) {
                found.push(Ancestor { life: *life, pid: next, command: title.clone() });
            }
        }
        found.reverse();
        found
    }

    /// Forgets processes that have ended without anybody telling.
    pub fn prune(&mut self) {
        if self.adopting {
            // Also those that were never known: they ended before they were looked at.
            family::collect_ended(|pid| self.is_root(pid) || self.known.contains_key(&pid));
        }
        let ended = |(pid, relative): (&i32, &Relative)| {
            let started = relative.descent.started;
            let lives = |now: Descent| now.started == started && !now.ended;
            let sampled = matches!(relative.state, State::Python(_));
            (!sampled && !family::descent(*pid).is_some_and(lives)).then_some((*pid, started))
        };
        let ended: Vec<(i32, u64)> = self.known.iter().filter_map(ended).collect();
        for (pid, started) in ended {
            self.forget(pid, started);
        }
        let mut needed = HashSet::new();
        for relative in self.known.values() {
            let mut next = relative.parent;
            while let Some(gone) = self.gone.get(&next)
                && needed.insert(next)
            {
                next = gone.parent;
            }
        }
        self.gone.retain(|pid, gone| gone.when.elapsed() < MEMORY || needed.contains(pid));
    }
}

/// A process of a family as it was at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinsman {
    /// Where it comes from.
    pub descent: Descent,
    /// The member of the family that started it, or, where that has ended, one that came before;
    /// 0 for the first ones.
    pub parent: i32,
}

/// The processes `roots` and all that they have started: each before its children, and these in
/// the order in which they were started.
pub fn household(roots: &[i32]) -> Vec<Kinsman> {
    let mut kin = Kin::new(roots, true, false);
    kin.look();
    let mut children: HashMap<i32, Vec<Kinsman>> = HashMap::new();
    for relative in kin.all() {
        let Descent { pid, parent, .. } = relative.descent;
        // One of those asked for may have been started by another one of them.
        let parent = match kin.living_parent(pid) {
            0 if kin.get(parent).is_some() => parent,
            parent => parent,
        };
        let kinsman = Kinsman { descent: relative.descent, parent };
        children.entry(parent).or_default().push(kinsman);
    }
    // From the end of each list, so the last comes first.
    for own in children.values_mut() {
        own.sort_by_key(|one| std::cmp::Reverse((one.descent.started, one.descent.pid)));
    }
    let mut todo = children.remove(&0).unwrap_or_default();
    let place = |one: &Kinsman| roots.iter().position(|root| *root == one.descent.pid);
    todo.sort_by_key(|one| std::cmp::Reverse(place(one)));
    let mut found = Vec::new();
    while let Some(one) = todo.pop() {
        todo.extend(children.remove(&one.descent.pid).unwrap_or_default());
        found.push(one);
    }
    found
}

/// What a process calls itself, with the execution that does: one that becomes another program
/// meanwhile is asked again. Nothing if that does not end.
pub fn called(pid: i32) -> (Option<Image>, String) {
    let mut image = family::image(pid);
    for _ in 0..4 {
        let command = command(pid);
        let after = family::image(pid);
        if after == image {
            return (image, command);
        }
        image = after;
    }
    (image, String::new())
}

/// The command line of a process, or its program for one that hides it.
pub fn command(pid: i32) -> String {
    let command = remote::os::process::arguments(pid).join(" ");
    // A process that gives itself another title fills up what is left of the old one.
    match command.trim_end() {
        "" => remote::os::process::exe(pid).unwrap_or_default(),
        command => command.to_owned(),
    }
}
