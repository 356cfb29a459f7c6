//! Arguments and locals are told apart, wherever a variable lives, on every interpreter.

mod locals_kit;
mod support;

use locals_kit::{dump, local, locals};
use support::{Dump, Local, Target, for_each, one_per_version};

/// Kind, storage, name and value, as the target says them.
fn described(local: &Local) -> [String; 4] {
    let kind = match local.kind.as_str() {
        "positional_only" => "only",
        "keyword_only" => "keyword",
        "var_args" => "varargs",
        "var_keywords" => "varkeywords",
        other => other,
    };
    assert_eq!(local.arg, !matches!(kind, "local" | "name"), "{local:?}");
    [kind, &local.storage, &local.name, &local.repr].map(str::to_owned)
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
        target.wait_asleep();
        let seen = dump(target.pid(), 1);
        let mut wrong = Vec::new();
        for (name, truth) in target.ready["scopes"].as_object().unwrap() {
            let mut got: Vec<_> = locals(&seen, name).iter().map(described).collect();
            let mut expected: Vec<Vec<&str>> = truth
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect())
                .collect();
            // Arguments keep their order, the others have none that is known.
            let is_local = |kind: &str| matches!(kind, "local" | "name");
            got.sort_by_key(|line| is_local(&line[0]).then(|| line[2].clone()));
            expected.sort_by_key(|line| is_local(line[0]).then(|| line[2].to_owned()));
            let same = got.len() == expected.len()
                && got.iter().zip(&expected).all(|(got, expected)| fits(got, expected));
            if !same {
                wrong.push(format!("{name}:\n  is  {expected:?}\n  got {got:?}"));
            }
        }
        assert!(wrong.is_empty(), "wrong in {} scopes:\n{}", wrong.len(), wrong.join("\n"));

        // The module itself: its variables, without what is defined or imported in it.
        let outermost = |dump: &Dump| dump[0].frames.last().unwrap().locals.clone().unwrap();
        let module = outermost(&seen);
        let names: Vec<&str> = module.iter().map(|local| local.name.as_str()).collect();
        for name in ["constant", "text", "_private", "TRUTH", "many", "namespace"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        for name in ["json", "stand", "Class", "__name__", "entry"] {
            assert!(!names.contains(&name), "{name} is in {names:?}");
        }
        let all = outermost(&dump(target.pid(), 3));
        assert_eq!(local(&all, "text").repr, r"'module\x1b[31m'");
        for name in ["json", "stand", "Class", "__name__"] {
            assert!(all.iter().any(|known| known.name == name), "{name} is not there");
        }
    });
}
