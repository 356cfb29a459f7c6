//! What is shown of values is what `repr` prints in the target, on every interpreter.

mod locals_kit;
mod support;

use locals_kit::{dump, local, locals};
use support::{Target, for_each, one_per_version};

/// With this many `-l`, everything that the target has fits.
const WHOLE: usize = 12;

#[test]
fn values_show_as_repr_prints_them() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "values.py", &[]);
        target.wait_asleep();
        let truth = target.ready["values"].as_array().unwrap();
        assert!(truth.len() > 150, "{} values", truth.len());
        let dumps = [1, 2, WHOLE].map(|level| dump(target.pid(), level));
        let [one, two, whole] = dumps.each_ref().map(|dump| locals(dump, "stand"));
        let mut wrong = Vec::new();
        for (i, pair) in truth.iter().enumerate() {
            let (label, expected) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
            let name = format!("v{i}");
            let got = &local(whole, &name).repr;
            // What only its own code knows how to print shows its attributes.
            let own = label.ends_with("with its own repr")
                && got.starts_with(&format!("{}: ", expected.trim_end_matches('>')));
            if got != expected && !own {
                wrong.push(format!("{label}:\n  is  {expected:.300}\n  got {got:.300}"));
            }
            // Less of it holds to its budget, and is the same where that is enough.
            for (chars, variables) in [(128, one), (256, two)] {
                let small = &local(variables, &name).repr;
                let length = small.chars().count();
                if length > chars + 120 || small.contains('\n') {
                    wrong.push(format!("{label}, {chars}: {length} characters: {small}"));
                }
                if expected.chars().count() <= chars && !small.ends_with('>') && small != got {
                    wrong.push(format!("{label}, {chars}:\n  is  {got}\n  got {small}"));
                }
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} values are wrong:\n{}",
            wrong.len(),
            truth.len(),
            wrong.join("\n")
        );
    });
}
