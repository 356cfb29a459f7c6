//! Which processes `dump` shows: those asked for and, with `--subprocesses`, what they have
//! started.

use super::snapshot::{Request, Snapshot};
use crate::error::Error;
use crate::fleet::{self, Kinsman};
use crate::say::say;
use crate::target::Target;
use cpython::discover::NotFound;
use remote::os::family;
use std::collections::HashMap;

/// A process that another one comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

/// What a process comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// The parent first, up to one of those asked for; none for one of these.
    pub ancestors: Vec<Ancestor>,
    /// The parent has ended: the first of `ancestors` came before it.
    pub orphan: bool,
}

/// What could be read, and what could not.
#[derive(Debug, Default)]
pub struct Taken {
    /// In the order in which they are shown.
    pub snapshots: Vec<Snapshot>,
    /// Of processes that were asked for.
    pub failures: Vec<Error>,
}

impl Taken {
    fn add(&mut self, result: Result<Snapshot, Error>) {
        match result {
            Ok(snapshot) => self.snapshots.push(snapshot),
            Err(error) => self.failures.push(error),
        }
    }
}

/// Reads the processes `pids`.
pub fn each(pids: &[i32], request: Request) -> Taken {
    let mut taken = Taken::default();
    for pid in pids {
        taken.add(Snapshot::take(*pid, request));
    }
    taken
}

/// Reads the processes `pids` and all that they have started: one after the other, each at an
/// instant of its own. What is no Python is left out, and so is what ends meanwhile.
pub fn whole(pids: &[i32], request: Request) -> Taken {
    let mut taken = Taken::default();
    let family = fleet::household(pids);
    let parents: HashMap<i32, i32> =
        family.iter().map(|one| (one.descent.pid, one.parent)).collect();
    for one in &family {
        let asked = pids.contains(&one.descent.pid);
        let snapshot = match attach(one, asked) {
            Ok(Some(target)) => Snapshot::of(target, request),
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        match snapshot {
            Ok(snapshot) => {
                let lineage = Some(lineage(one, &parents));
                taken.snapshots.push(Snapshot { lineage, ..snapshot });
            }
            Err(_) if !asked && !is_there(one) => {}
            Err(error) if asked => taken.failures.push(error),
            Err(error) => leave_out(one, &error),
        }
    }
    for pid in pids.iter().filter(|pid| !parents.contains_key(pid)) {
        taken.failures.push(Error::NoSuchProcess(*pid));
    }
    if taken.snapshots.is_empty() && taken.failures.is_empty() {
        // No Python anywhere: it may be about to become one, and otherwise the search tells why
        // not.
        return each(pids, request);
    }
    taken
}

/// Attaches to a process; `None` if it is no Python, or has ended. What cannot be looked at fails.
fn attach(one: &Kinsman, asked: bool) -> Result<Option<Target>, Error> {
    let pid = one.descent.pid;
    // Until it has a memory of its own, it looks like its parent.
    if !asked && family::borrows_memory(pid, one.descent.parent) {
        return Ok(None);
    }
    match Target::try_attach(pid) {
        Ok(Ok(target)) => Ok((target.process.started == one.descent.started).then_some(target)),
        Ok(Err(missing @ NotFound::Unsupported(..))) => Err(Error::not_python(pid, missing)),
        Ok(Err(NotFound::NotRunning(_))) if asked => Target::attach(pid, false).map(Some),
        Ok(Err(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Tells that a process that nobody asked for by name cannot be looked at.
fn leave_out(one: &Kinsman, error: &Error) {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    say(&format!("process {} is left out: {first}", one.descent.pid));
}

/// Whether a process still runs.
fn is_there(one: &Kinsman) -> bool {
    family::descent(one.descent.pid)
        .is_some_and(|now| now.started == one.descent.started && !now.ended)
}

fn lineage(one: &Kinsman, parents: &HashMap<i32, i32>) -> Lineage {
    let up = |pid: &i32| parents.get(pid).copied().filter(|parent| *parent != 0);
    // A table of parents has no circles, unless ids were given anew while it was made.
    let pids = std::iter::successors(up(&one.descent.pid), up).take(parents.len());
    let ancestors: Vec<Ancestor> =
        pids.map(|pid| Ancestor { pid, command: fleet::command(pid) }).collect();
    let orphan = ancestors.first().is_some_and(|parent| parent.pid != one.descent.parent);
    Lineage { ancestors, orphan }
}
