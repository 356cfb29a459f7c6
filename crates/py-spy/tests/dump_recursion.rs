//! Recursion 100,000 deep: JSON has all of it, the text is cut in the middle.

mod support;

use support::*;

const DEPTH: usize = 100_000;

#[test]
fn deep_recursion_is_whole_in_json_and_cut_in_text() {
    for_each(one_per_version(), |interpreter| {
        let target = Target::start(interpreter, "recursion.py", &[&DEPTH.to_string()]);
        target.wait_asleep();
        // Not paused on every other version, as that must make no difference.
        let extra: &[&str] = if interpreter.version.1 % 2 == 0 { &["--nonblocking"] } else { &[] };
        let dump = dump_json(target.pid(), extra);
        assert_eq!(dump.len(), 2);
        let deep = &dump[1];
        assert_eq!(deep.thread_name.as_deref(), Some("deep"));
        let names: Vec<&str> = deep.frames.iter().map(|frame| frame.name.as_str()).collect();
        assert_eq!(names[0], "park");
        let calls = names[1..].iter().take_while(|name| **name == "down").count();
        assert_eq!(calls, DEPTH + 1, "{:?}", &names[calls..]);
        assert!(names[calls + 1].contains("<lambda>"), "{:?}", &names[calls..]);
        assert_eq!(names[calls + 2], "stay");
        assert!(names.len() <= calls + 6);
        let frames = names.len();
        let text = dump_text(target.pid(), &[]);
        let thread: Vec<&str> = text
            .lines()
            .skip_while(|line| !line.contains("\"deep\""))
            .skip(1)
            .filter(|line| !line.contains("waits for: "))
            .collect();
        let (cuts, shown): (Vec<&str>, Vec<&str>) =
            thread.iter().partition(|line| line.contains("omitted"));
        let [cut] = cuts[..] else { panic!("{text}") };
        let omitted: usize = cut.split_whitespace().find_map(|word| word.parse().ok()).expect(cut);
        assert_eq!(shown.len() + omitted, frames);
        assert!(shown.len() < 1000, "{} lines", shown.len());
        assert!(
            shown[0].contains("park (") && shown[shown.len() - 1].contains("ootstrap ("),
            "{text}"
        );
    });
}
