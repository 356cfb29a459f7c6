//! What of all that is seen is to be shown.

use crate::error::Error;
use crate::sampler::Entry;
use profile::{FrameId, FrameKey, FrameKind, Recording, StackId};
use regex::Regex;

/// What the command line asks to see.
#[derive(Debug, Default)]
pub struct Filter {
    include: Vec<Regex>,
    exclude: Vec<Regex>,
    threads: Vec<ThreadPattern>,
    fold_imports: bool,
}

#[derive(Debug)]
enum ThreadPattern {
    Id(u64),
    Name(Regex),
}

/// Regular expressions that take longer to compile than this many bytes are refused.
const MAX_REGEX: usize = 1 << 20;

impl Filter {
    /// From regular expressions on functions, files and modules, and from names or ids of
    /// threads. With `fold_imports` the import machinery is shown as one frame.
    pub fn new(
        include: &[String],
        exclude: &[String],
        threads: &[String],
        fold_imports: bool,
    ) -> Result<Filter, Error> {
        let all = |texts: &[String]| -> Result<Vec<Regex>, Error> {
            texts.iter().map(|text| regex(text)).collect()
        };
        let thread = |text: &String| match text.parse() {
            Ok(id) => Ok(ThreadPattern::Id(id)),
            Err(_) => regex(text).map(ThreadPattern::Name),
        };
        Ok(Filter {
            include: all(include)?,
            exclude: all(exclude)?,
            threads: threads.iter().map(thread).collect::<Result<_, Error>>()?,
            fold_imports,
        })
    }

    /// Whether a thread of the process `pid` is to be shown.
    pub fn wants_thread(&self, entry: &Entry, pid: i32) -> bool {
        // A program that has not imported `threading` has no names; its main thread would get
        // this one.
        let unnamed = if entry.tid == Some(pid) { "MainThread" } else { "" };
        let name = entry.name.as_deref().unwrap_or(unnamed);
        let fits = |pattern: &ThreadPattern| match pattern {
            ThreadPattern::Id(id) => {
                entry.tid.is_some_and(|tid| u64::try_from(tid) == Ok(*id))
                    || entry.state.pthread_id == *id
            }
            ThreadPattern::Name(regex) => regex.is_match(name),
        };
        self.threads.is_empty() || self.threads.iter().any(fits)
    }

    /// True where every stack is wanted.
    pub fn wants_all_stacks(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }

    /// Whether a stack is to be shown: it has a frame that fits each `include`, and none
    /// that fits an `exclude`.
    pub fn wants_stack(&self, recording: &Recording, stack: StackId) -> bool {
        let has = |regex: &Regex| {
            recording
                .stack_frames(stack)
                .any(|frame| fits(regex, recording, recording.frame(frame)))
        };
        self.include.iter().all(has) && !self.exclude.iter().any(has)
    }

    /// The one frame that stands for the import machinery, if `file` is part of it.
    pub fn fold(&self, recording: &mut Recording, file: &str) -> Option<FrameKey> {
        if !self.fold_imports || !is_import_machinery(file) {
            return None;
        }
        let file = recording.intern_string(IMPORT_FILE);
        Some(FrameKey {
            name: recording.intern_string("import"),
            file,
            short_file: file,
            kind: FrameKind::Marker,
            ..FrameKey::default()
        })
    }

    /// Whether `frame` is one that [`Filter::fold`] made.
    pub fn is_folded(&self, recording: &Recording, frame: FrameId) -> bool {
        recording.frame(frame).kind == FrameKind::Marker
    }
}

const IMPORT_FILE: &str = "<frozen importlib>";

/// The files whose frames are between an import statement and the module's own code.
fn is_import_machinery(file: &str) -> bool {
    // 3.3 and later: Python/frozen.c names them `importlib._bootstrap` and
    // `importlib._bootstrap_external`. `importlib.import_module` is a plain module.
    file.starts_with("<frozen importlib._bootstrap") || {
        let mut parts = file.rsplit(['/', '\\']);
        parts.next() == Some("__init__.py") && parts.next() == Some("importlib")
    }
}

fn regex(text: &str) -> Result<Regex, Error> {
    regex::RegexBuilder::new(text)
        .size_limit(MAX_REGEX)
        .build()
        .map_err(|error| Error::Usage(format!("{text:?} is no regular expression: {error}")))
}

/// Whether `regex` is found in the function's name, its file or its module.
fn fits(regex: &Regex, recording: &Recording, frame: &FrameKey) -> bool {
    regex.is_match(recording.string(frame.name))
        || regex.is_match(recording.string(frame.file))
        || regex.is_match(&module(recording.string(frame.short_file)))
        || frame.module.is_some_and(|module| regex.is_match(recording.string(module)))
}

/// `pkg/sub/mod.py` as `pkg.sub.mod`.
fn module(short_file: &str) -> String {
    let path = short_file.strip_suffix(".py").unwrap_or(short_file);
    path.strip_suffix("/__init__").unwrap_or(path).replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use profile::{Keep, Meta};

    #[test]
    fn stacks_are_chosen_by_function_file_and_module() {
        let mut recording = Recording::new(Meta::default(), Keep::default());
        let mut stack = StackId::ROOT;
        let mut stacks = Vec::new();
        for (name, file, short) in [
            ("main", "/srv/app/main.py", "main.py"),
            ("Query.run", "/srv/lib/db/sql/query.py", "db/sql/query.py"),
        ] {
            let frame = FrameKey {
                name: recording.intern_string(name),
                file: recording.intern_string(file),
                short_file: recording.intern_string(short),
                ..FrameKey::default()
            };
            let frame = recording.intern_frame(frame);
            stack = recording.intern_stack(stack, frame);
            stacks.push(stack);
        }
        let wants = |include: &[&str], exclude: &[&str]| {
            let own =
                |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect::<Vec<_>>();
            let filter = Filter::new(&own(include), &own(exclude), &[], true).expect("valid");
            stacks.iter().map(|stack| filter.wants_stack(&recording, *stack)).collect::<Vec<_>>()
        };
        assert_eq!(wants(&[], &[]), [true, true]);
        assert_eq!(wants(&["^main$"], &[]), [true, true]);
        assert_eq!(wants(&["Query"], &[]), [false, true]);
        assert_eq!(wants(&[r"^db\.sql\.query$"], &[]), [false, true]);
        assert_eq!(wants(&["/srv/lib/"], &[]), [false, true]);
        assert_eq!(wants(&["main", "nowhere"], &[]), [false, false]);
        assert_eq!(wants(&[], &[r"\.run$"]), [true, false]);
        assert!(Filter::new(&["(".to_owned()], &[], &[], true).is_err());
    }

    #[test]
    fn the_import_machinery_is_known_by_its_files() {
        assert!(is_import_machinery("<frozen importlib._bootstrap_external>"));
        assert!(is_import_machinery("/usr/lib/python3.8/importlib/__init__.py"));
        assert!(!is_import_machinery("/usr/lib/python3.8/json/__init__.py"));
        assert!(!is_import_machinery("importlib.py"));
        assert_eq!(module("pkg/__init__.py"), "pkg");
    }
}
