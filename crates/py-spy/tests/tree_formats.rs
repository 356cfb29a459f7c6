//! Processes and their threads are told apart in every format, and `--gil`, `--idle` and
//! `--threads` mean the same in a family as in one process.

mod record_kit;
mod support;
mod tree_kit;

use record_kit::{Folded, Folder, Running, counted, folded, modern, parts, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use support::target::script_path;
use support::{Interpreter, for_each, one_per_version};
use tree_kit::{Said, said};

/// Process and thread of each function `compute_<name>`.
type Places = BTreeMap<String, (i64, i64)>;

/// Each thread has this many instants and more.
const INSTANTS: u64 = 75;

/// So many samples there must be of each, of which some are its waits for the GIL.
const LEAST: u64 = 5;

/// As in tree_threads.py.
const TITLE: &str = "renamed: second process";

struct Recorded {
    folder: Folder,
    said: Vec<Said>,
    /// As the threads told themselves.
    threads: Places,
    stderr: String,
}

/// A recording in which all was seen: each thread as often as its instants and the missed ones
/// say, and the second process by its title.
#[track_caller]
fn record(python: &Interpreter, args: &[&str], names: &[&str]) -> Recorded {
    until("a recording that saw all threads", || {
        let recorded = record_once(python, args, names);
        let found = folded(&recorded.folder.read("a.txt"));
        let rooted = rooted(&found);
        // The samples of a thread in its own function.
        let often = |name: &str, place: (i64, i64)| -> u64 {
            let counts = rooted.iter().zip(&found).map(|(stack, (_, count))| (stack, count));
            let own = counts.filter(|((pid, tid, frames), _)| {
                (*pid, *tid) == place && frames.iter().any(|frame| function(frame) == name)
            });
            own.map(|(_, count)| count).sum()
        };
        let all = recorded.threads.iter().all(|(name, place)| often(name, *place) > LEAST);
        let titled = found.iter().any(|(frames, _)| frames[1].contains(TITLE));
        let missed = counted(&recorded.stderr, "missed").unwrap_or(0);
        (all && titled && missed * 3 <= INSTANTS).then_some(recorded)
    })
}

/// Records the program to its end.
#[track_caller]
fn record_once(python: &Interpreter, args: &[&str], names: &[&str]) -> Recorded {
    let folder = Folder::new();
    let outputs: Vec<String> =
        names.iter().flat_map(|name| ["-o".to_owned(), folder.file(name)]).collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let script = script_path("tree_threads.py");
    let program = [python.path.to_str().unwrap(), script.to_str().unwrap()];
    let fixed = ["record", "-s", "-r", "300", "-F"];
    let mut recording = Running::py_spy(&[&fixed, args, &outputs, &["--"], &program].concat());
    let done = recording.wait();
    assert_eq!(done.code(), Some(0), "{}", done.stderr);
    assert_eq!(counted(&done.stderr, "errors"), Some(0), "{}", done.stderr);
    let thread = |line: &str| {
        let mut words = line.strip_prefix("THREAD ")?.split(' ');
        let mut number = || words.next()?.parse().ok();
        let (pid, tid) = (number()?, number()?);
        Some((format!("compute_{}", words.next()?), (pid, tid)))
    };
    let threads: Places = done.stdout.lines().filter_map(thread).collect();
    let said = said(&done.stdout);
    assert_eq!((said.len(), threads.len()), (2, 4), "{}", done.stdout);
    Recorded { folder, said, threads, stderr: done.stderr }
}

/// The versions whose threads know their ids and clocks.
fn versions() -> Vec<&'static Interpreter> {
    one_per_version().into_iter().filter(|python| python.at_least(3, 8)).collect()
}

/// Process and thread of each stack by its root frames, with the rest of it.
fn rooted(found: &Folded) -> Vec<(i64, i64, Vec<String>)> {
    let number = |text: &str| -> i64 {
        text.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let stack = |(frames, _): &(Vec<String>, u64)| {
        let processes = frames.iter().take_while(|frame| frame.starts_with("process ")).count();
        let pid = number(frames[processes - 1].strip_prefix("process ").unwrap());
        let tid = number(frames[processes].strip_prefix("thread (").unwrap());
        (pid, tid, frames[processes + 1..].to_vec())
    };
    found.iter().map(stack).collect()
}

fn function(frame: &str) -> &str {
    parts(frame).0
}

#[test]
fn every_format_tells_processes_and_threads_apart() {
    for_each(versions(), |python| {
        let names = ["a.txt", "a.svg", "a.speedscope.json", "a.chrometrace.json"];
        let Recorded { folder, said, threads, stderr } = record(python, &["-t"], &names);
        let [first, second] =
            ["first", "second"].map(|role| said.iter().find(|one| one.role == role).unwrap().pid);

        let raw = folded(&folder.read("a.txt"));
        let mut found = Places::new();
        for (pid, tid, frames) in rooted(&raw) {
            for frame in &frames {
                if function(frame).starts_with("compute_") {
                    let place = found.entry(function(frame).to_owned()).or_insert((pid, tid));
                    assert_eq!(*place, (pid, tid), "{frames:?}");
                }
            }
        }
        assert_eq!(found, threads, "{stderr}");
        // The second below the first, by the title that it gave itself.
        for (frames, _) in &raw {
            assert!(frames[0].starts_with(&format!("process {first}:\"")), "{frames:?}");
            let title = format!("process {second}:\"{TITLE}\"");
            assert_eq!(frames[1] == title, !frames[1].starts_with("thread ("), "{frames:?}");
        }

        let svg = folder.read("a.svg");
        let named = |text: String| svg.contains(&text);
        assert!(named(format!("process {first}:")) && named(format!("process {second}:")));
        for (pid, tid) in threads.values() {
            assert!(named(format!("thread ({tid})")), "{pid} {tid}");
        }

        let file: Value = serde_json::from_str(&folder.read("a.speedscope.json")).unwrap();
        let frames = file["shared"]["frames"].as_array().unwrap();
        let mut found = BTreeMap::new();
        for profile in file["profiles"].as_array().unwrap() {
            let title = profile["name"].as_str().unwrap().to_owned();
            let stacks = profile["samples"].as_array().unwrap().iter();
            for frame in stacks.flat_map(|stack| stack.as_array().unwrap()) {
                let name = frames[frame.as_u64().unwrap() as usize]["name"].as_str().unwrap();
                if name.starts_with("compute_") {
                    let known = found.entry(name.to_owned()).or_insert_with(|| title.clone());
                    assert_eq!(*known, title);
                }
            }
        }
        let expected = threads.iter().map(|(name, (pid, tid))| {
            let thread = name.strip_prefix("compute_").unwrap();
            (name.clone(), format!("Process {pid} Thread {tid} \"{thread}\""))
        });
        assert_eq!(found, expected.collect());

        let events: Value = serde_json::from_str(&folder.read("a.chrometrace.json")).unwrap();
        let mut found: BTreeMap<String, BTreeSet<(i64, i64)>> = BTreeMap::new();
        for event in events.as_array().unwrap() {
            let name = event["name"].as_str().unwrap();
            if event["ph"] == "B" && name.starts_with("compute_") {
                let number = |field: &str| event[field].as_i64().unwrap();
                let place = (number("pid"), number("tid"));
                found.entry(name.to_owned()).or_default().insert(place);
            }
        }
        let expected = threads.iter().map(|(name, place)| (name.clone(), BTreeSet::from([*place])));
        assert_eq!(found, expected.collect());
    });
}

/// Each process has a GIL of its own; who waits is only shown when asked for.
#[test]
fn the_gil_and_idle_threads_of_each_process() {
    let python = modern();
    let tally = |found: &Folded, prefix: &str| -> BTreeMap<i64, u64> {
        let mut tally = BTreeMap::new();
        for ((pid, _, frames), (_, count)) in rooted(found).into_iter().zip(found) {
            if frames.iter().any(|frame| function(frame).starts_with(prefix)) {
                *tally.entry(pid).or_default() += count;
            }
        }
        tally
    };
    for (args, idle) in [(&["-t", "-g"][..], false), (&["-t"], false), (&["-t", "-i"], true)] {
        let Recorded { folder, said, threads, stderr } = record(python, args, &["a.txt"]);
        let found = folded(&folder.read("a.txt"));
        let (computing, waiting) = (tally(&found, "compute_"), tally(&found, "wait_for"));
        let seen: BTreeSet<i64> = rooted(&found).into_iter().map(|(_, tid, _)| tid).collect();
        assert!(threads.values().all(|(_, tid)| seen.contains(tid)), "{args:?}: {found:?}");
        for pid in said.iter().map(|one| i64::from(one.pid)) {
            let [computing, waiting] = [&computing, &waiting].map(|of| of.get(&pid).copied());
            let (computing, waiting) = (computing.unwrap_or(0), waiting.unwrap_or(0));
            // Waiting begins and ends with some computing; of two threads that compute, both
            // are active and one has the GIL.
            let right = match idle {
                true => computing > 10 && waiting * 5 > computing,
                false => computing > 10 && waiting * 5 < computing,
            };
            assert!(right, "{args:?}: {computing} {waiting}: {stderr}");
        }
    }
}
