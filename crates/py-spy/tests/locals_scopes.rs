//! Arguments and locals are told apart, wherever a variable lives, on every interpreter.

mod locals_kit;
mod support;

use cpython::value::{ArgumentKind, Budget, Kind, Storage, Variable};
use support::{Target, for_each, one_per_version};

/// `kind storage name`, as the target says it.
fn described(variable: &Variable) -> [String; 3] {
    let kind = match variable.kind {
        Kind::Argument(ArgumentKind::PositionalOnly) => "only",
        Kind::Argument(ArgumentKind::Positional) => "positional",
        Kind::Argument(ArgumentKind::KeywordOnly) => "keyword",
        Kind::Argument(ArgumentKind::VarArgs) => "varargs",
        Kind::Argument(ArgumentKind::VarKeywords) => "varkeywords",
        Kind::Local => "local",
        Kind::Name => "name",
    };
    let storage = match variable.storage {
        Storage::Frame => "frame",
        Storage::Cell => "cell",
        Storage::Free => "free",
        Storage::Dict => "dict",
    };
    [kind.to_owned(), storage.to_owned(), variable.name.clone()]
}

fn fits(got: &[String; 4], expected: &[&str]) -> bool {
    let text = expected[3];
    let value = match text.strip_suffix('*') {
        Some(start) => got[3].starts_with(start),
        None => got[3] == text,
    };
    value && got[..3] == expected[..3]
}

#[test]
fn variables_of_every_kind_of_scope() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "scopes.py", &[]);
        let seen = py_spy::target::Target::attach(target.pid(), false).unwrap();
        let budget = Budget::level(1);
        let mut wrong = Vec::new();
        for (name, truth) in target.ready["scopes"].as_object().unwrap() {
            let variables = locals_kit::locals_of(&seen, name, budget);
            let mut got: Vec<[String; 4]> = Vec::new();
            for variable in &variables {
                let [kind, storage, name] = described(variable);
                got.push([kind, storage, name, variable.value.repr(budget.chars)]);
            }
            let mut expected: Vec<Vec<&str>> = truth
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect())
                .collect();
            // Arguments keep their order, the others have none that is known.
            let locals = |kind: &str| matches!(kind, "local" | "name");
            got.sort_by_key(|line| locals(&line[0]).then(|| line[2].clone()));
            expected.sort_by_key(|line| locals(line[0]).then(|| line[2].to_owned()));
            let same = got.len() == expected.len()
                && got.iter().zip(&expected).all(|(got, expected)| fits(got, expected));
            if !same {
                wrong.push(format!("{name}:\n  is  {expected:?}\n  got {got:?}"));
            }
        }
        assert!(wrong.is_empty(), "wrong in {} scopes:\n{}", wrong.len(), wrong.join("\n"));

        // The module itself: its variables, without what is defined or imported in it.
        let frames = locals_kit::frames(&seen);
        let (module, _) = frames.last().unwrap();
        let cache = cpython::value::Cache::new(&seen.process.memory);
        let layout = &seen.runtime.layout;
        let objects = cpython::Objects { memory: &cache, layout };
        let locals = |budget| cpython::value::Decoder::new(objects, budget).locals(module).unwrap();
        let names: Vec<String> = locals(budget).into_iter().map(|variable| variable.name).collect();
        for name in ["constant", "text", "_private", "TRUTH", "many", "namespace"] {
            assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
        }
        for name in ["json", "stand", "Class", "__name__", "entry"] {
            assert!(!names.iter().any(|known| known == name), "{name} is in {names:?}");
        }
        let all = locals(Budget { everything: true, ..budget });
        let text = all.iter().find(|variable| variable.name == "text").unwrap();
        assert_eq!(text.value.repr(128), r"'module\x1b[31m'");
        for name in ["json", "stand", "Class", "__name__"] {
            assert!(all.iter().any(|known| known.name == name), "{name} is not there");
        }
    });
}
