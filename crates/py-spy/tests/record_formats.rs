//! What `record` writes, read back by readers that are not ours: a JSON parser,
//! speedscope's schema, an XML parser, a browser.

mod record_kit;
mod support;

use record_kit::{
    Folded, Folder, check, counted, folded, modern, parts, samples, split_truth, total, until, with,
};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::process::Command;
use support::{Run, Target, run, run_py_spy};

/// Records a process into files of a folder, one for each name.
#[track_caller]
fn record(pid: i32, folder: &Folder, names: &[&str], args: &[&str]) -> Run {
    let pid = pid.to_string();
    let outputs = names.iter().flat_map(|name| ["-o".to_owned(), folder.file(name)]);
    let fixed = [&["record", "-p", &pid], args].concat();
    let done = run_py_spy(fixed.into_iter().map(str::to_owned).chain(outputs)).ok();
    assert_eq!(folder.names(), sorted(names), "the files and nothing else");
    assert_eq!(done.stdout, "", "stdout is for results");
    done
}

/// The same, until there are some samples.
#[track_caller]
fn record_some(pid: i32, folder: &Folder, names: &[&str], args: &[&str]) -> Run {
    until("samples", || {
        Some(record(pid, folder, names, args)).filter(|run| samples(&run.stderr) > 0)
    })
}

fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort();
    items
}

#[track_caller]
fn json(folder: &Folder, name: &str) -> Value {
    serde_json::from_str(&folder.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// A stack as names and lines, outermost first.
type Stack = Vec<(String, u64)>;

/// The stacks of a speedscope file with their weights in seconds, over all of its profiles.
fn speedscope(file: &Value) -> Vec<(Stack, f64)> {
    let frames = file["shared"]["frames"].as_array().unwrap();
    let frame = |frame: &Value| {
        let frame = &frames[frame.as_u64().unwrap() as usize];
        (frame["name"].as_str().unwrap().to_owned(), frame["line"].as_u64().unwrap())
    };
    let mut all = Vec::new();
    for profile in file["profiles"].as_array().unwrap() {
        assert_eq!((&profile["type"], &profile["unit"]), (&"sampled".into(), &"seconds".into()));
        let (samples, weights) =
            (profile["samples"].as_array().unwrap(), profile["weights"].as_array().unwrap());
        assert_eq!(samples.len(), weights.len());
        let stack = |sample: &Value| sample.as_array().unwrap().iter().map(frame).collect();
        all.extend(
            samples
                .iter()
                .zip(weights)
                .map(|(sample, weight)| (stack(sample), weight.as_f64().unwrap())),
        );
    }
    all
}

/// What a chrome trace says each function took, in microseconds, over all threads;
/// recursion counts once. Fails if begins and ends do not nest.
fn spans(events: &Value) -> HashMap<String, u64> {
    let mut open: HashMap<(i64, i64), Vec<(String, u64)>> = HashMap::new();
    let mut took: HashMap<String, u64> = HashMap::new();
    let mut last = 0;
    for event in events.as_array().unwrap() {
        let lane = (event["pid"].as_i64().unwrap(), event["tid"].as_i64().unwrap());
        let name = event["name"].as_str().unwrap().to_owned();
        let time = event["ts"].as_u64().unwrap();
        assert!(time >= last, "time runs backwards: {event}");
        last = time;
        let lane = open.entry(lane).or_default();
        match event["ph"].as_str().unwrap() {
            "M" => {}
            "B" => {
                assert!(event["args"]["filename"].is_string(), "{event}");
                lane.push((name, time));
            }
            "E" => {
                let (begun, since) =
                    lane.pop().unwrap_or_else(|| panic!("an end without a begin: {event}"));
                assert_eq!(begun, name, "{event}");
                if !lane.iter().any(|(outer, _)| *outer == name) {
                    *took.entry(name).or_default() += time - since;
                }
            }
            other => panic!("{other:?}: {event}"),
        }
    }
    assert!(open.values().all(Vec::is_empty), "not ended: {open:?}");
    took
}

/// The stacks that a chrome trace of one thread shows, one after the other.
fn shown(events: &Value) -> Vec<Stack> {
    let events = events.as_array().unwrap().iter().filter(|event| event["ph"] != "M");
    let events: Vec<&Value> = events.collect();
    let mut open = Stack::new();
    let mut all = Vec::new();
    for moment in events.chunk_by(|one, next| one["ts"] == next["ts"]) {
        for event in moment {
            if event["ph"] == "B" {
                let line = event["args"]["line"].as_u64().unwrap();
                open.push((event["name"].as_str().unwrap().to_owned(), line));
            } else {
                open.pop();
            }
        }
        // Nothing is shown of a time in which nothing was seen.
        if !open.is_empty() {
            all.push(open.clone());
        }
    }
    all.dedup();
    all
}

/// How long a process with one thread has had and has waited for a processor, in nanoseconds.
fn used_and_waited(pid: i32) -> [f64; 2] {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let mut numbers = text.split(' ').map(|number| number.parse().unwrap());
    [numbers.next().unwrap(), numbers.next().unwrap()]
}

/// What an XML parser finds in a flame graph.
struct Svg {
    title: String,
    /// Tooltip and depth; the root is at depth 0.
    frames: Vec<(String, usize)>,
}

#[track_caller]
fn svg(path: &str) -> Svg {
    let mut command = Command::new(&modern().path);
    command.arg(support::target::script_path("record_svg.py")).arg(path);
    let file: Value = serde_json::from_str(&run(&mut command).ok().stdout).unwrap();
    let frame = |frame: &Value| (frame[0].as_str().unwrap().to_owned(), frame[1].as_f64().unwrap());
    let frames: Vec<(String, f64)> = file["frames"].as_array().unwrap().iter().map(frame).collect();
    let mut rows: Vec<f64> = frames.iter().map(|(_, y)| *y).collect();
    rows.sort_by(f64::total_cmp);
    rows.dedup();
    let depth = |y: f64| rows.iter().position(|&row| row == y).unwrap();
    let frames = frames.into_iter().map(|(tooltip, y)| (tooltip, depth(y))).collect();
    Svg { title: file["title"].as_str().unwrap().to_owned(), frames }
}

/// `all (1,234 samples, 100%)` is 1234.
#[track_caller]
fn count_of(tooltip: &str) -> u64 {
    let count = tooltip.rsplit_once(" (").and_then(|(_, rest)| rest.split_once(" samples,"));
    let (count, _) = count.unwrap_or_else(|| panic!("{tooltip:?}"));
    count.replace(',', "").parse().unwrap()
}

/// All formats of one run: each is valid, and all tell the same.
#[test]
fn formats_agree_and_are_valid() {
    let mut target = Target::start(modern(), "record_split.py", &[]);
    let folder = Folder::new();
    let names = ["one.svg", "one.txt", "one.speedscope.json", "one.chrometrace.json"];
    let mut before = [0.0; 2];
    // Of 800 instants at least half were seen.
    let run = until("a recording that holds enough", || {
        before = used_and_waited(target.pid());
        let run = record(target.pid(), &folder, &names, &["-d", "2", "-r", "400"]);
        Some(run).filter(|run| samples(&run.stderr) >= 400)
    });
    let after = used_and_waited(target.pid());
    let truth = split_truth(&mut target);
    let sampled = samples(&run.stderr);
    let [missed, dropped] =
        ["missed", "dropped"].map(|what| counted(&run.stderr, what).unwrap_or(0) as f64);

    let raw = folded(&folder.read("one.txt"));
    assert_eq!(total(&raw), sampled);

    let scope = json(&folder, "one.speedscope.json");
    check("check-speedscope.mjs", &[&folder.file("one.speedscope.json")]);
    let stacks = speedscope(&scope);
    assert_eq!(stacks.len() as u64, sampled);
    assert!(stacks.iter().all(|(_, weight)| *weight == 1.0 / 400.0));
    assert_eq!(scope["profiles"].as_array().unwrap().len(), 1);
    assert_eq!(scope["profiles"][0]["name"], format!("Thread {} \"MainThread\"", target.pid()));

    check("check-chrometrace.mjs", &[&folder.file("one.chrometrace.json")]);
    let trace = json(&folder, "one.chrometrace.json");
    let spans = spans(&trace);
    let mut seen: Vec<Stack> = stacks.iter().map(|(stack, _)| stack.clone()).collect();
    seen.dedup();
    assert_eq!(shown(&trace), seen, "the stacks of the trace are those of the samples");

    // What the program waited for a processor may be anywhere, and so may what was not seen.
    let [used, waited] = [0, 1].map(|i| after[i] - before[i]);
    let bound = 0.07 + waited / (used + waited) + (missed + dropped) / 800.0;
    for (name, truth) in truth {
        let sampled = with(&raw, &format!("{name} ("));
        let within = |stack: &Stack| stack.iter().any(|(function, _)| *function == name);
        let scoped = stacks.iter().filter(|(stack, _)| within(stack)).count() as u64;
        assert_eq!(sampled, scoped, "{name}");
        // A trace in which ends come too early or late would not be true.
        let traced = spans[&name] as f64 / spans["<module>"] as f64;
        assert!(
            (traced - truth).abs() < bound,
            "{name}: {traced:.3} of the trace, truth {truth:.3}, bound {bound:.3}"
        );
    }
    // The time line is true: the program computed all the time for two seconds, and each is
    // shown but for gaps of more than five intervals: all of one but two was missed. The start
    // and the end are within a gap's length.
    let traced = spans["<module>"] as f64 / 1e6;
    let unseen = (2.0 * (missed + dropped) + 7.0) / 400.0;
    assert!(
        (2.0 - unseen..=2.0 + 6.0 / 400.0).contains(&traced),
        "{traced} s, {unseen} s not seen: {}",
        run.stderr
    );

    let graph = svg(&folder.file("one.svg"));
    // A long command line may be cut.
    let command = format!(
        "{} {}",
        modern().path.display(),
        support::target::script_path("record_split.py").display()
    );
    let title = graph.title.trim_end_matches('…');
    assert!(title.len() > 20 && command.starts_with(title), "{}", graph.title);
    let depth = |depth: usize| {
        graph.frames.iter().filter(move |(_, at)| *at == depth).map(|(tooltip, _)| tooltip)
    };
    let roots: Vec<&String> = depth(0).collect();
    assert!(roots.len() == 1 && roots[0].starts_with("all ("), "the root is on top: {roots:?}");
    assert_eq!(count_of(roots[0]), sampled);
    assert_eq!(depth(1).map(|tooltip| count_of(tooltip)).sum::<u64>(), sampled);
    check("check-svg.mjs", &[&folder.file("one.svg"), &folder.file("one.png")]);
}

/// Names that hold separators, markup and terminal escapes come back as they were.
#[test]
fn any_name_comes_back_in_every_format() {
    let target = Target::start(modern(), "record_odd.py", &[]);
    let truth: Vec<(String, String)> = target.ready["stack"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()))
        .collect();
    assert!(truth.len() > 10);
    let folder = Folder::new();
    let names = ["odd.svg", "odd.txt", "odd.json", "odd.trace.json"];
    let args = ["-d", "0.4", "-r", "200", "--full-filenames"];
    let run = record_some(target.pid(), &folder, &names, &args);

    let raw: Folded = folded(&folder.read("odd.txt"));
    assert!(!raw.is_empty());
    for (frames, _) in &raw {
        // <module>, the odd ones, burn.
        let found: Vec<(&str, &str)> = frames[1..frames.len() - 1]
            .iter()
            .map(|frame| {
                let (name, file, line) = parts(frame);
                assert_eq!(line, 4, "{frame:?}");
                (name, file)
            })
            .collect();
        assert_eq!(found.len(), truth.len(), "{found:?}");
        for (found, (name, file)) in found.into_iter().zip(&truth) {
            let name = if name.is_empty() { "<unnamed>" } else { name };
            assert_eq!(found, (name, file.as_str()));
        }
    }

    check("check-speedscope.mjs", &[&folder.file("odd.json")]);
    let scope = json(&folder, "odd.json");
    let shown: HashSet<(&str, &str)> = scope["shared"]["frames"]
        .as_array()
        .unwrap()
        .iter()
        .map(|frame| (frame["name"].as_str().unwrap(), frame["file"].as_str().unwrap_or("")))
        .collect();
    check("check-chrometrace.mjs", &[&folder.file("odd.trace.json")]);
    let trace = json(&folder, "odd.trace.json");
    spans(&trace);
    let traced: HashSet<(&str, &str)> = trace
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["ph"] == "B")
        .map(|event| (event["name"].as_str().unwrap(), event["args"]["filename"].as_str().unwrap()))
        .collect();
    for (name, file) in &truth {
        let name = if name.is_empty() { "<unnamed>" } else { name };
        assert!(
            shown.contains(&(name, file.as_str())),
            "speedscope lacks {name:?} {file:?}: {shown:?}"
        );
        assert!(
            traced.contains(&(name, file.as_str())),
            "chrometrace lacks {name:?} {file:?}: {traced:?}"
        );
    }

    // An XML parser reads it, each name is in a frame of its own, and a browser works with it.
    let graph = svg(&folder.file("odd.svg"));
    let text = folder.read("odd.svg");
    assert!(!text.contains("<b onload") && !text.contains("<script>alert"), "markup of the target");
    for (depth, (name, file)) in truth.iter().enumerate() {
        let name = if name.is_empty() { "<unnamed>" } else { name };
        let at: Vec<String> = graph
            .frames
            .iter()
            .filter(|(_, at)| *at == depth + 2)
            .map(|(tooltip, _)| record_kit::unescape(tooltip))
            .collect();
        let expected = format!("{name} ({file}:4) (");
        assert!(
            at.iter().any(|tooltip| tooltip.starts_with(&expected)),
            "no {expected:?} in {at:?}"
        );
    }
    check("check-svg.mjs", &[&folder.file("odd.svg"), &folder.file("odd.png")]);

    let status = run.stderr.replace('\n', "");
    assert!(!status.contains(char::is_control), "{status:?}");
}

/// Without -f the file's ending decides, -f beats it, and -f is not particular about case.
#[test]
fn the_format_comes_from_the_flag_else_the_ending() {
    let target = Target::start(modern(), "record_life.py", &["burn"]);
    let is = |text: &str| {
        if text.starts_with("<?xml") {
            "flamegraph"
        } else if text.starts_with('[') {
            "chrometrace"
        } else if text.contains("speedscope.app") {
            "speedscope"
        } else {
            assert!(!folded(text).is_empty());
            "raw"
        }
    };
    let endings = [
        ("a.svg", "flamegraph"),
        ("A.SVG", "flamegraph"),
        ("plain", "flamegraph"),
        ("a.txt", "raw"),
        ("a.folded", "raw"),
        ("a.json", "speedscope"),
        ("a.trace.json", "chrometrace"),
    ];
    let folder = Folder::new();
    let names = endings.map(|(name, _)| name);
    record_some(target.pid(), &folder, &names, &["-d", "0.1"]);
    for (name, format) in endings {
        assert_eq!(is(&folder.read(name)), format, "{name}");
    }
    for format in ["RAW", "Flamegraph", "speedscope", "chromeTrace"] {
        let folder = Folder::new();
        record_some(target.pid(), &folder, &["a.svg", "b.json"], &["-d", "0.1", "-f", format]);
        for name in ["a.svg", "b.json"] {
            assert_eq!(is(&folder.read(name)), format.to_lowercase(), "{name} by -f {format}");
        }
    }
}

/// Nothing sampled is no error, and every format is still valid.
#[test]
fn nothing_to_sample_is_a_valid_profile() {
    let target = Target::start(modern(), "record_threads.py", &["sleeper"]);
    target.wait_asleep();
    let folder = Folder::new();
    let names = ["none.svg", "none.txt", "none.json", "none.trace.json"];
    let run = record(target.pid(), &folder, &names, &["-d", "0.3"]);
    assert_eq!(samples(&run.stderr), 0);
    assert_eq!(folder.read("none.txt"), "");
    check("check-speedscope.mjs", &[&folder.file("none.json")]);
    check("check-chrometrace.mjs", &[&folder.file("none.trace.json")]);
    let graph = svg(&folder.file("none.svg"));
    assert!(graph.frames.len() <= 2, "{:?}", graph.frames);
}
