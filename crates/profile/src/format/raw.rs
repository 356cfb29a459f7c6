//! Folded stacks: `frame;frame;... weight`, outermost frame first, one stack a line.

use std::io::{self, BufWriter, Write};

use crate::{Format, Recording, Style, escape};

/// Text for flame graph tools. Frames are [escaped](escape), so that `;` and newlines only ever
/// separate.
pub(super) struct Raw;

impl Format for Raw {
    fn write(&self, recording: &Recording, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let mut out = BufWriter::new(out);
        let folded = super::aggregate(recording, style)?;
        folded.try_for_each(|stack, weight| {
            for (index, &label) in stack.iter().enumerate() {
                if index > 0 {
                    out.write_all(b";")?;
                }
                out.write_all(escape(folded.label(label)).as_bytes())?;
            }
            writeln!(out, " {weight}")
        })?;
        out.flush()
    }

    fn needs_timeline(&self) -> bool {
        false
    }

    fn extension(&self) -> &'static str {
        "txt"
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Sample;
    use crate::{FormatKind, Keep, Lines, Process, StackId, Style, Thread, unescape};

    /// Reads folded stacks back.
    fn parse(text: &str) -> Vec<(Vec<String>, u64)> {
        let parse_line = |line: &str| {
            let (stack, weight) = line.rsplit_once(' ').unwrap();
            let frames = stack.split(';').map(|frame| unescape(frame).into_owned()).collect();
            (frames, weight.parse().unwrap())
        };
        text.lines().map(parse_line).collect()
    }

    fn write(sample: &mut Sample, style: &Style) -> String {
        sample.write(FormatKind::Raw, style)
    }

    #[test]
    fn stacks_are_counted_and_sorted() {
        let mut sample = Sample::new(Keep::default());
        sample.tick(&["main:9", "b:2"]);
        sample.tick(&["main:9"]);
        sample.tick(&["main:9", "a"]);
        sample.tick(&["main:9", "b:2"]);
        let expected = "main (app.py:9) 1\n\
                        main (app.py:9);a (app.py:1) 1\n\
                        main (app.py:9);b (app.py:2) 2\n";
        assert_eq!(write(&mut sample, &Style::default()), expected);
    }

    #[test]
    fn lines_decide_what_is_one_frame() {
        let mut sample = Sample::new(Keep::default());
        sample.tick(&["main:9", "b:2"]);
        sample.tick(&["main:10", "b:3"]);
        sample.tick(&["main:10", "b:0"]);
        let style = |lines| Style { lines, ..Style::default() };
        assert_eq!(write(&mut sample, &style(Lines::Line)).lines().count(), 3);
        assert_eq!(
            write(&mut sample, &style(Lines::FunctionFirstLine)),
            "main (app.py:1);b (app.py:1) 3\n"
        );
        assert_eq!(write(&mut sample, &style(Lines::NoLine)), "main (app.py);b (app.py) 3\n");
        let full = Style { full_filenames: true, ..style(Lines::NoLine) };
        assert_eq!(write(&mut sample, &full), "main (/srv/app.py);b (/srv/app.py) 3\n");
    }

    #[test]
    fn threads_and_processes_are_root_frames() {
        let mut sample = Sample::new(Keep::ALL);
        sample.tick(&["main"]);
        let (parent, cmdline) = (Some(sample.process), "worker; \"1\"".to_string());
        let process = sample.recording.add_process(Process { pid: 11, parent, cmdline });
        let thread = sample.recording.add_thread(Thread { process, tid: 12, name: None });
        let stack = sample.stack(&["main"]);
        sample.recording.sample(thread, stack, 2);
        sample.recording.sample(thread, StackId::ROOT, 1);
        let style = Style { show_threads: true, show_processes: true, ..Style::default() };
        let parent = r#"process 10:"python3 app.py""#;
        let child = r#"process 11:"worker\x3b "1"""#;
        let expected = format!(
            "{parent};{child};thread (12);[no frames] 1\n\
             {parent};{child};thread (12);main (app.py:1) 2\n\
             {parent};thread (10): MainThread;main (app.py:1) 1\n"
        );
        assert_eq!(write(&mut sample, &style), expected);
        let expected = "[no frames] 1\nmain (app.py:1) 3\n";
        assert_eq!(write(&mut sample, &Style::default()), expected);
    }

    #[test]
    fn any_name_comes_back() {
        let names = ["a;b", "new\nline 5", "tab\t\r", "\u{1b}[31m", "\\x3b", "é 🐍", "  ", ""];
        let mut sample = Sample::new(Keep::default());
        for name in names {
            sample.tick(&["main", &format!("{name}:4")]);
        }
        let text = write(&mut sample, &Style::default());
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        let mut found = parse(&text);
        found.sort();
        let mut expected: Vec<_> = names
            .iter()
            .map(|&name| if name.is_empty() { "<unnamed>" } else { name })
            .map(|name| (vec!["main (app.py:1)".to_string(), format!("{name} (app.py:4)")], 1))
            .collect();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn nothing_recorded_is_an_empty_file() {
        assert_eq!(write(&mut Sample::new(Keep::default()), &Style::default()), "");
    }

    #[test]
    fn very_deep_stacks_are_written() {
        let mut sample = Sample::new(Keep::default());
        let deep = vec!["f"; 100_000];
        sample.tick(&deep);
        let text = write(&mut sample, &Style::default());
        assert_eq!(parse(&text)[0].0.len(), 100_000);
    }
}
