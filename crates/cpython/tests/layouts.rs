//! The layout tables: well-formed, sane, and true to the headers of the interpreters on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use cpython::layout::table::Table;

type Offsets = BTreeMap<(String, String), u32>;

/// Structs that grew at their end in patch releases (3.12.1, 3.13.13 and others), so that their size is
/// only that of the release the file was made from. Nothing reads by these sizes.
const GROWING: [&str; 4] =
    ["PyInterpreterState", "_PyRuntimeState", "PyThreadState", "_PyThreadStateImpl"];

#[test]
fn every_file_is_well_formed() {
    for (table, text) in Table::versions().zip(Table::texts()) {
        assert_eq!(Table::check_text(text), Ok(()), "line number in {}", name(&table));
        assert!(text.starts_with("# CPython "), "{}", name(&table));
        let version = text.split_whitespace().nth(2).unwrap_or("").trim_end_matches(',');
        let made_from = (table.major, table.minor, patch_of(version));
        assert!(version.starts_with(&format!("{}.{}.", made_from.0, made_from.1)), "{version}");
        assert!(table.patches.contains(&made_from.2), "{} was made from {version}", name(&table));
        assert_eq!(text.contains("free-threaded"), table.free_threaded, "{}", name(&table));
        assert!(!text.contains("DEBUG BUILD"), "{}", name(&table));
    }
    assert_eq!(Table::check_text("PyObject size=16 ob_type=8\n"), Ok(()));
    let malformed =
        ["PyObject ob_type=8", "PyObject size=1 a=-1", "A size=1\nA size=1", "A size=1 b=1 b=2"];
    assert!(malformed.iter().all(|text| Table::check_text(text).is_err()));
}

#[test]
fn every_table_is_sane() {
    for table in Table::versions() {
        let name = name(&table);
        let word = u32::from(table.pointer_width);
        for owner in table.structs() {
            let size = table.get(owner, "size").expect("size");
            assert!(size > 0, "{name} {owner}");
            for (field, offset) in fields(&table, owner) {
                // flexible arrays start at the end of their struct
                assert!(offset <= size, "{name} {owner}.{field} at {offset} of {size}");
            }
        }
        let pointers = [
            ("PyObject", "ob_type"),
            ("PyThreadState", "next"),
            ("PyThreadState", "interp"),
            ("PyThreadState", "frame"),
            ("PyThreadState", "cframe"),
            ("PyThreadState", "current_frame"),
            ("PyThreadState", "thread_id"),
            ("PyFrameObject", "f_back"),
            ("PyFrameObject", "f_code"),
            ("_PyInterpreterFrame", "previous"),
            ("_PyInterpreterFrame", "f_executable"),
            ("_PyInterpreterFrame", "f_code"),
            ("_PyInterpreterFrame", "prev_instr"),
            ("_PyInterpreterFrame", "instr_ptr"),
            ("_PyInterpreterFrame", "localsplus"),
            ("PyCodeObject", "co_filename"),
            ("PyCodeObject", "co_name"),
            ("PyCodeObject", "co_consts"),
            ("PyInterpreterState", "next"),
            ("PyInterpreterState", "tstate_head"),
            ("PyInterpreterState", "threads.head"),
            ("PyInterpreterState", "ceval.gil"),
            ("_PyRuntimeState", "interpreters.head"),
            ("_PyRuntimeState", "gilstate.tstate_current"),
            ("PyTypeObject", "tp_name"),
            ("PyModuleObject", "md_dict"),
        ];
        for (owner, field) in pointers {
            if let Some(offset) = table.get(owner, field) {
                assert_eq!(offset % word, 0, "{name} {owner}.{field}");
            }
        }
        // what no version can be read without
        let needed = [
            ("PyObject", "ob_type"),
            ("PyTypeObject", "tp_name"),
            ("PyThreadState", "next"),
            ("PyInterpreterState", "next"),
            ("PyCodeObject", "co_filename"),
            ("PyCodeObject", "co_firstlineno"),
            ("PyTupleObject", "ob_item"),
            ("PyModuleObject", "md_dict"),
            ("PyFunctionObject", "func_code"),
        ];
        for (owner, field) in needed {
            assert!(table.get(owner, field).is_some(), "{name} {owner}.{field}");
        }
        let any = |choices: &[(&str, &str)]| choices.iter().any(|(o, f)| table.get(o, f).is_some());
        assert!(any(&[("PyFrameObject", "f_code"), ("_PyInterpreterFrame", "previous")]), "{name}");
        assert!(any(&[
            ("PyInterpreterState", "tstate_head"),
            ("PyInterpreterState", "threads.head")
        ]));
        assert!(any(&[("PyCodeObject", "co_lnotab"), ("PyCodeObject", "co_linetable")]), "{name}");
        assert!(any(&[("PyDictObject", "ma_table"), ("PyDictKeysObject", "dk_usable")]), "{name}");
        assert_eq!(table.get("PyObject", "no such field"), None);
        assert_eq!(table.get("no such struct", "size"), None);
    }
}

#[test]
fn versions_find_their_table() {
    let tstate_current = |patch| {
        Table::for_version(3, 7, patch, false, 8)?.get("_PyRuntimeState", "gilstate.tstate_current")
    };
    assert_eq!(tstate_current(3), Some(1392));
    assert_eq!(tstate_current(4), Some(1480));
    let running_loop = |patch, free| {
        Table::for_version(3, 13, patch, free, 8)?.get("_PyThreadStateImpl", "asyncio_running_loop")
    };
    assert_eq!(running_loop(12, false), Some(304));
    assert_eq!(running_loop(13, true), Some(312));
    assert!(Table::for_version(3, 2, 0, false, 8).is_none());
    assert!(Table::for_version(3, 12, 0, true, 8).is_none());
    assert!(Table::for_version(3, 99, 0, false, 8).is_none());
    for free_threaded in [false, true] {
        let newest = Table::newest(free_threaded, 8);
        assert!((newest.major, newest.minor) >= (3, 15));
        assert_eq!(newest.free_threaded, free_threaded);
    }
    // one file a patch release, and no gaps
    for (minor, free_threaded) in Table::versions().map(|t| ((t.major, t.minor), t.free_threaded)) {
        for patch in 0..=u8::MAX {
            let holds = |t: &Table| {
                (t.major, t.minor) == minor
                    && t.free_threaded == free_threaded
                    && t.patches.contains(&patch)
            };
            assert_eq!(Table::versions().filter(holds).count(), 1, "{minor:?} patch {patch}");
        }
    }
}

#[test]
fn old_versions_match_independent_facts() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/facts");
    for (major, minor) in [(2, 3), (2, 4), (2, 5), (2, 6), (3, 3), (3, 4), (3, 5)] {
        let text =
            std::fs::read_to_string(folder.join(format!("{major}.{minor}.json"))).expect("facts");
        let facts = parse_facts(&text);
        assert!(facts.len() > 100, "{major}.{minor}: {} facts", facts.len());
        let table = Table::for_version(major, minor, 0, false, 8).expect("a table");
        for ((owner, field), offset) in facts {
            let field = if field == "sizeof" { "size" } else { &field };
            assert_eq!(table.get(&owner, field), Some(offset), "{major}.{minor} {owner}.{field}");
        }
    }
}

/// The headers of every interpreter that can be found, against the committed files.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn generator_agrees_with_the_files() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/layout-gen");
    let mut compared = 0;
    let mut wrong = Vec::new();
    for python in interpreters() {
        let output =
            Command::new("python3").arg(&script).arg(&python).output().expect("python3 runs");
        let python = python.display();
        if !output.status.success() {
            println!(
                "{python}: {}",
                String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("")
            );
            continue;
        }
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(Table::check_text(&text), Ok(()), "{python}");
        let header: Vec<&str> = text.lines().take(2).collect();
        let version =
            header[0].trim_start_matches("# CPython ").trim_end_matches(", free-threaded");
        let free_threaded = header[0].ends_with("free-threaded");
        if header[1].contains("DEBUG BUILD") {
            println!("{python}: CPython {version}, a debug build, not compared");
            continue;
        }
        let mut numbers = version.split('.').map(patch_of);
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let patch = numbers.next().unwrap_or(0);
        let Some(table) = Table::for_version(major, minor, patch, free_threaded, 8) else {
            println!("{python}: CPython {version} has no table");
            continue;
        };
        let differences = differences(&table, &parse_text(&text));
        // fields still move before a final release: reported, not asserted
        let prerelease = version.contains(|c: char| c.is_ascii_alphabetic());
        println!("{python}: CPython {version} compared, {} differences", differences.len());
        compared += 1;
        for difference in differences {
            println!("    {difference}");
            if !prerelease {
                wrong.push(format!("{python} {version}: {difference}"));
            }
        }
    }
    assert!(compared > 0, "no interpreter with headers was found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn differences(table: &Table, found: &Offsets) -> Vec<String> {
    let mut differences = Vec::new();
    for owner in table.structs() {
        for (field, offset) in fields(table, owner) {
            if field == "size" && GROWING.contains(&owner) {
                continue;
            }
            let now = found.get(&(owner.to_string(), field.to_string()));
            if now != Some(&offset) {
                differences.push(format!("{owner}.{field} is {now:?}, the file says {offset}"));
            }
        }
    }
    differences
}

fn fields<'a>(table: &'a Table, owner: &str) -> impl Iterator<Item = (&'static str, u32)> + 'a {
    table.fields(owner).unwrap_or_default().iter().copied()
}

fn name(table: &Table) -> String {
    let suffix = if table.free_threaded { "t" } else { "" };
    format!("{}.{} {:?}{suffix}", table.major, table.minor, table.patches)
}

/// The number a word begins with: `0rc2` is 0.
fn patch_of(word: &str) -> u8 {
    let last = word.rsplit('.').next().unwrap_or(word);
    let digits: String = last.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn parse_text(text: &str) -> Offsets {
    let mut offsets = Offsets::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let owner = words.next().unwrap_or_default();
        for (field, offset) in words.filter_map(|word| word.split_once('=')) {
            offsets.insert((owner.into(), field.into()), offset.parse().expect("a number"));
        }
    }
    offsets
}

/// The facts are JSON of one shape, a line an item: `"Struct": {` and `"field": 16,`.
fn parse_facts(text: &str) -> Offsets {
    let mut offsets = Offsets::new();
    let mut owner = String::new();
    for line in text.lines() {
        let Some((key, value)) = line.trim().trim_end_matches(',').split_once(": ") else {
            continue;
        };
        let key = key.trim_matches('"').to_string();
        match value {
            "{" => owner = key,
            _ => {
                offsets.insert((owner.clone(), key), value.parse().expect("a number"));
            }
        }
    }
    offsets
}

/// Interpreters in the usual places: the search path, `/usr`, pyenv, uv, and builds that tests cache.
fn interpreters() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    folders.extend(["/usr/bin", "/usr/local/bin"].map(PathBuf::from));
    if let Some(home) = std::env::home_dir() {
        for roots in [".pyenv/versions", ".cache/py-spy-tests", ".local/share/uv/python"] {
            let entries = std::fs::read_dir(home.join(roots)).into_iter().flatten().flatten();
            folders.extend(entries.map(|entry| entry.path().join("bin")));
        }
    }
    // pyenv's wrappers stand for interpreters that are found by themselves
    folders.retain(|folder| !folder.ends_with("shims"));
    let mut found = BTreeMap::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let file = entry.file_name();
            let Some(version) = file.to_str().and_then(|f| f.strip_prefix("python")) else {
                continue;
            };
            // python3.11, python3.13t; not python, python3, python3.11-config
            let digits = version.trim_end_matches('t');
            let named = digits.split('.').count() == 2
                && digits
                    .split('.')
                    .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
            if let (true, Ok(real)) = (named, path.canonicalize()) {
                // one interpreter may have several names
                found.entry(real).or_insert(path);
            }
        }
    }
    found.into_values().collect()
}
