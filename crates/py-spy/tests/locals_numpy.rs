//! NumPy's arrays show their shape, type and first items; scalars their value.

mod locals_kit;
mod support;

use locals_kit::{dump, local, locals};
use std::path::PathBuf;
use std::process::Command;
use support::*;

/// The lines of `scripts/setup/numpy.txt`: Python's version and the packages.
fn listed() -> Vec<(String, String)> {
    let list = std::fs::read_to_string(project().join("scripts/setup/numpy.txt")).unwrap();
    let lines = list.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            (words.next().unwrap().to_owned(), words.collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// Where `scripts/setup-tests` has put an interpreter's packages.
fn folder(interpreter: &Interpreter) -> PathBuf {
    let threads = if interpreter.free_threaded() { "t" } else { "" };
    let (major, minor, _) = interpreter.version;
    cache().join("numpy").join(format!("{major}.{minor}{threads}"))
}

/// The interpreters of this machine that have a release with this package.
#[track_caller]
fn with_package(package: &str) -> Vec<&'static Interpreter> {
    let mut found = Vec::new();
    for (version, packages) in listed() {
        let folder_of = cache().join("numpy").join(&version);
        let Some(one) = interpreters().iter().find(|one| folder(one) == folder_of) else {
            eprintln!("no CPython {version} on this machine: {packages} is not looked into");
            continue;
        };
        if packages.contains(&format!("{package}==")) {
            assert!(folder_of.join(package).exists(), "no {packages}: run scripts/setup-tests");
            found.push(one);
        }
    }
    found
}

fn start(interpreter: &Interpreter, script: &str) -> Target {
    let mut command = Command::new(&interpreter.path);
    command.arg(targets_dir().join(script)).env("PYTHONPATH", folder(interpreter));
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Target::start_command(&format!("{} {script}", interpreter.label), command)
}

fn start_newest(script: &str) -> Target {
    let mut command = Command::new(need("targets/bin/python"));
    command.arg(targets_dir().join(script));
    Target::start_command(script, command)
}

/// As they show: `U'` and `B'` begin strings and bytes, which Python 2 writes otherwise.
const ARRAYS: &[(&str, &str)] = &[
    ("matrix", "array([[0, 1, 2], [3, 4, 5]], shape=(2, 3), dtype=int64)"),
    ("turned", "array([[0, 3], [1, 4], [2, 5]], shape=(3, 2), dtype=int64)"),
    ("floats", "array([1.5, -0.25], shape=(2,), dtype=float64)"),
    ("small", "array([0.1, 10000000000.0], shape=(2,), dtype=float32)"),
    ("half", "array([0.1, 65500.0], shape=(2,), dtype=float16)"),
    ("nothing", "array([], shape=(0,), dtype=uint8)"),
    ("single", "array(5, shape=(), dtype=int32)"),
    ("steps", "array([9, 6, 3, 0], shape=(4,), dtype=int16)"),
    ("swapped", "array([1, -2], shape=(2,), dtype=int32)"),
    ("truth", "array([True, False], shape=(2,), dtype=bool)"),
    ("words", "array([U'a', U'béd'], shape=(2,), dtype=U3)"),
    ("raw", "array([B'x'], shape=(1,), dtype=S5)"),
    ("objects", "array([None, {'a': 1}], shape=(2,), dtype=object)"),
    ("complexes", "array([(1+2j), 0.5j], shape=(2,), dtype=complex128)"),
    ("days", "array(['2024-02-29', NaT], shape=(2,), dtype=datetime64[D])"),
    ("spans", "array([90], shape=(1,), dtype=timedelta64[s])"),
    ("extended", "array([1.5, -0.25, 0.0, inf], shape=(4,), dtype=float128)"),
    ("pairs", "array([(1, 2.5), (3, 4.5)], shape=(2,), dtype=[('a', '<i4'), ('b', '>f8')])"),
    ("back", "array([(3, 4.5), (1, 2.5)], shape=(2,), dtype=[('a', '<i4'), ('b', '>f8')])"),
    ("column", "array([2.5, 4.5], shape=(2,), dtype=float64)"),
    (
        "nested",
        "array([([None], [[1.0, 2.0], [3.0, 4.0]], (True, B'ab', '2024-02-29'), U'hi', \
         b'\\x01\\xFF', [(1, 2.5), (3, 4.5)])], shape=(1,), dtype=[('o', 'O'), \
         ('g', '<f8', (2, 2)), ('n', [('x', '?'), ('y', 'S3'), ('z', '<M8[D]')]), \
         ('u', '<U2'), ('v', 'V2'), ('p', [('a', '<i4'), ('b', '>f8')], (2,))])",
    ),
    ("apart", "array([(5, 2.5), (-6, 3.5)], shape=(2,), dtype=[('a', 'i1'), ('b', '<f8')])"),
    ("aligned", "array([(5, 6, 7)], shape=(1,), dtype=[('a', 'i1'), ('b', '<i8'), ('c', 'u1')])"),
    ("titled", "array([(7,)], shape=(1,), dtype=[('a', '<i2')])"),
    ("plane", "array([[(0,), (0,)], [(0,), (0,)]], shape=(2, 2), dtype=[('a', 'u1')])"),
    ("rows", "rec.array([(1, 2.5), (3, 4.5)], shape=(2,), dtype=[('a', '<i4'), ('b', '>f8')])"),
    ("blanks", "array([b'\\x01\\x61\\xFF', b'\\x00\\x00\\x00'], shape=(2,), dtype=V3)"),
];

/// What is not as it should be.
fn compare(target: &Target, python: u8) {
    let seen = dump(target.pid(), 3);
    let variables = locals(&seen, "stand");
    let mut wrong = Vec::new();
    let mut check = |name: &str, expected: &str| {
        let text = &local(variables, name).repr;
        if text != expected {
            wrong.push(format!("{name}: {text}\n   not {expected}"));
        }
    };
    let (string, bytes) = if python == 2 { ("u'", "'") } else { ("'", "b'") };
    for (name, expected) in ARRAYS {
        let expected = expected.replace("U'", string).replace("B'", bytes);
        check(name, &if python == 2 { expected.replace('é', "\\xe9") } else { expected });
    }
    for (name, expected) in target.ready["expected"].as_object().unwrap() {
        check(name, expected.as_str().unwrap());
    }
    for (name, begin, end) in [
        ("big", "array([[0.0, 0.0,", " (len 1000), shape=(1000, 1000), dtype=float64)"),
        (
            "images",
            "array([(B'', [[0, 0,",
            "shape=(2,), dtype=[('name', 'S2'), ('pixels', 'u1', (600, 600))])",
        ),
        ("many", "array([(0, 0,", "..."),
    ] {
        let text = &local(variables, name).repr;
        if !text.starts_with(&begin.replace("B'", bytes)) || !text.contains(end) {
            wrong.push(format!("{name}: {text}"));
        }
    }
    let release = target.ready["numpy"].as_str().unwrap();
    assert!(wrong.is_empty(), "NumPy {release}:\n{}", wrong.join("\n"));
}

#[test]
fn arrays_and_scalars() {
    compare(&start_newest("numpy_values.py"), 3);
}

#[test]
fn arrays_and_scalars_of_other_releases() {
    for_each(with_package("numpy"), |interpreter| {
        compare(&start(interpreter, "numpy_values.py"), interpreter.version.0);
    });
}

/// The layout of NumPy 2: `targets` has that.
#[test]
fn types_that_cannot_be_are_no_reason_to_fail() {
    let target = start_newest("numpy_broken.py");
    for level in [1, 3, 6] {
        let begin = std::time::Instant::now();
        let seen = dump(target.pid(), level);
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
        let variables = locals(&seen, "stand");
        let text = |name: &str| local(variables, name).repr.as_str();
        assert_eq!(
            text("strings"),
            "array([<str>, <str>, <unreadable>, <str>, <str>, 'f'], shape=(6,), dtype=StringDType())"
        );
        assert_eq!(text("homeless"), "array([<str>, 'b'], shape=(2,), dtype=StringDType())");
        assert_eq!(text("wild"), "<unreadable>");
        assert_eq!(text("nameless"), "<unreadable>");
        assert_eq!(text("offsets"), "<unreadable>");
        let far = "array([(<unreadable>, 1.0), (<unreadable>, 1.0)], shape=(2,), \
                   dtype=[('a', '<i4'), ('b', '<f8')])";
        assert_eq!(text("far"), far);
        for name in ["itself", "crowd", "deep", "circle"] {
            let text = text(name);
            assert!(text.starts_with("array([(") && text.len() < 1 << 15, "{name}: {text}");
        }
    }
}

#[test]
fn pandas_frames_show_their_shape() {
    compare_frames(&start_newest("pandas_values.py"));
}

#[test]
fn frames_of_other_releases_show_their_shape() {
    for_each(with_package("pandas"), |interpreter| {
        compare_frames(&start(interpreter, "pandas_values.py"));
    });
}

fn compare_frames(target: &Target) {
    let seen = dump(target.pid(), 1);
    let variables = locals(&seen, "stand");
    let shapes = target.ready["shapes"].as_object().unwrap();
    assert_eq!(shapes.len(), 12);
    let mut wrong = Vec::new();
    for (name, shape) in shapes {
        let lengths: Vec<String> =
            shape.as_array().unwrap().iter().map(|length| length.to_string()).collect();
        let comma = if lengths.len() == 1 { "," } else { "" };
        let expected = format!("shape=({}{comma})", lengths.join(", "));
        let text = &local(variables, name).repr;
        if !text.contains(&expected) {
            wrong.push(format!("{name}: {expected} is not in {text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (name, columns) in [
        ("frame", "columns=['a', 'b']"),
        ("mixed", "columns=['n', 's', 'when']"),
        ("part", "columns=['w', 'x']"),
    ] {
        let text = &local(variables, name).repr;
        assert!(text.contains(columns), "{name}: {text}");
    }
}
