//! Recordings with --native, and what must hold of their stacks.

use super::{Folded, counted, parts, record_told, samples};
use crate::support::Target;

/// Whether a name is one of those that are looked for.
pub type IsName = fn(&str) -> bool;

/// What was recorded of one program, perhaps in several goes.
#[derive(Debug, Default)]
pub struct Merged {
    /// The names in each stack, outermost first, and its count.
    pub stacks: Vec<(Vec<String>, u64)>,
    /// Samples whose thread was held, or stood still anyway: all that can be merged.
    pub held: u64,
    /// Of these, how many have not been merged.
    pub unmerged: u64,
    /// All other samples. On a busy machine a thread may get no processor to stop on, or
    /// py-spy none to let it go on, so that it has been held for its share of the time: the
    /// recording itself tells how many these are (`-v`).
    pub unheld: u64,
    told: String,
}

/// Records until enough was seen of each of `functions`, each of which the program is in all
/// the time or comes back to soon.
#[track_caller]
pub fn record_merged(target: &Target, functions: &[&str]) -> Merged {
    let mut merged = Merged::default();
    let mut enough = false;
    for _ in 0..12 {
        let args = ["--native", "-v", "-d", "0.8", "-r", "150"];
        let (found, told) = record_told(target.pid(), &args);
        merged.add(found, told);
        let seen = |function: &&str| {
            merged.count(|names| names.iter().any(|name| name == function)) > 4 + merged.unheld
        };
        enough = merged.held > 40 && functions.iter().all(seen);
        // A share of a few in thousands is not told from one in a hundred by a hundred.
        if enough && merged.unmerged * 1000 <= merged.held {
            return merged;
        }
    }
    assert!(enough, "too little was seen of {functions:?}: {}", merged.told);
    merged
}

impl Merged {
    #[track_caller]
    fn add(&mut self, found: Folded, told: String) {
        let marks = ["certain; ", " of them because"];
        let unheld: u64 = told
            .split_once(marks[0])
            .and_then(|(_, rest)| rest.split_once(marks[1])?.0.parse().ok())
            .unwrap_or_else(|| panic!("no count of those that were not held: {told}"));
        self.unheld += unheld;
        self.held += samples(&told) - unheld;
        self.unmerged += counted(&told, "unmerged").unwrap_or(0) - unheld;
        // Generated code is in no file.
        let name = |frame: &String| match frame.starts_with('[') {
            true => frame.clone(),
            false => parts(frame).0.to_owned(),
        };
        let names = |frames: &[String]| frames.iter().map(name).collect();
        self.stacks.extend(found.iter().map(|(frames, count)| (names(frames), *count)));
        self.told += &told;
    }

    /// How many samples have such a stack.
    pub fn count(&self, wanted: impl Fn(&[String]) -> bool) -> u64 {
        self.stacks.iter().filter(|(names, _)| wanted(names)).map(|(_, count)| count).sum()
    }

    /// Fails unless most samples that were in the last of `order` were also in a function
    /// that is `wanted`, and each time below all of `order`, in this order.
    #[track_caller]
    pub fn assert_below(&self, order: &[&str], wanted: IsName) {
        let Some(function) = order.last() else { return };
        let inside = |names: &[String]| names.iter().any(|name| name == function);
        let found = |names: &[String]| inside(names) && names.iter().any(|name| wanted(name));
        let (of, named) = (self.count(inside), self.count(found));
        let expected = of.saturating_sub(self.unheld);
        let all = &self.stacks;
        assert!(named > 0 && named * 2 > expected, "{function}: {named} of {of}: {all:?}");
        for (names, _) in all.iter().filter(|(names, _)| found(names)) {
            let mut rest = names.iter();
            let ordered = order.iter().all(|one| rest.any(|name| name == one));
            assert!(ordered && rest.any(|name| wanted(name)), "not {order:?} first: {names:?}");
        }
    }
}

/// Fails if more than 0.1 % of what could be merged was not, in all of these together.
#[track_caller]
pub fn assert_merged(all: &[Merged]) {
    let sum = |count: fn(&Merged) -> u64| all.iter().map(count).sum::<u64>();
    let (held, unmerged) = (sum(|one| one.held), sum(|one| one.unmerged));
    assert!(
        held > 0 && unmerged * 1000 <= held,
        "{unmerged} of {held} samples are unmerged: {}",
        {
            let told: Vec<&str> = all.iter().map(|one| one.told.as_str()).collect();
            told.join("\n")
        }
    );
}
