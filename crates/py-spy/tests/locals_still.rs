//! Values, and the stack that they belong to, are of one instant.

mod support;

use support::{Target, Thread, dump_json, dump_text, for_each, one_per_version};

/// The tokens that the frames of a thread show, wherever they do.
fn tokens(thread: &Thread) -> Vec<String> {
    let mut found = Vec::new();
    for frame in thread.frames.iter().filter(|frame| frame.name.ends_with("down")) {
        let locals = frame.locals.as_ref().expect("they were asked for");
        for local in locals {
            let words = local.repr.split(|c: char| !c.is_ascii_alphanumeric());
            let is_token = |word: &&str| word.starts_with('t') && word.len() > 1;
            found.extend(words.filter(is_token).map(str::to_owned));
        }
    }
    found
}

#[test]
fn all_frames_show_the_same_round() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "tokens.py", &["2"]);
        let mut deep = 0;
        let mut rounds = std::collections::HashSet::new();
        for _ in 0..15 {
            let dump = dump_json(target.pid(), &["-l"]);
            for thread in &dump {
                let tokens = tokens(thread);
                deep = deep.max(tokens.len());
                for token in &tokens {
                    assert_eq!(token, &tokens[0], "of several rounds: {}", thread.stack());
                }
                rounds.extend(tokens.into_iter().next());
            }
            // Nor is anything of a frame that ended long ago, or not there yet.
            let frames = dump.iter().flat_map(|thread| &thread.frames);
            let locals = frames.flat_map(|frame| frame.locals.iter().flatten());
            for local in locals {
                assert!(!local.repr.contains("unreadable"), "{local:?}");
            }
        }
        assert!(deep > 30, "only {deep} values were seen");
        assert!(rounds.len() > 5, "it stands still: {rounds:?}");
    });
}

#[test]
fn unpaused_reading_says_so() {
    for_each(one_per_version(), |python| {
        let target = Target::start(python, "tokens.py", &["1"]);
        let text = dump_text(target.pid(), &["-l", "--nonblocking"]);
        assert!(text.contains("Note: read without pausing"), "{text}");
        let text = dump_text(target.pid(), &["-l"]);
        assert!(!text.contains("Note:") && text.contains("Arguments:"), "{text}");
    });
}
