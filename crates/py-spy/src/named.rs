//! A running Python program by its name.

use crate::error::Error;
use crate::target::Target;
use remote::os::family::{self, Descent};
use remote::os::process;
use std::collections::HashMap;
use std::path::Path;

/// More processes of one name than this are not looked into.
const MAX_LOOKED_AT: usize = 64;
/// So many of them are named when there is more than one.
const MAX_NAMED: usize = 12;

/// The id of the one Python process called `name`, or of the one that started the others.
pub fn find(name: &str) -> Result<i32, Error> {
    let all: HashMap<i32, Descent> =
        family::all().into_iter().map(|descent| (descent.pid, descent)).collect();
    // Whoever started us may have the name in its command line.
    let own: Vec<i32> = ancestors(&all, std::process::id() as i32).collect();
    let candidates = || all.keys().copied().filter(|pid| !own.contains(pid));
    let mut fits: Vec<i32> = candidates().filter(|pid| is_called(*pid, name)).collect();
    if fits.is_empty() {
        fits =
            candidates().filter(|pid| process::arguments(*pid).join(" ").contains(name)).collect();
    }
    fits.sort_unstable();
    fits.truncate(MAX_LOOKED_AT);
    fits.retain(|pid| matches!(Target::try_attach(*pid), Ok(Ok(_)) | Err(Error::Permission(..))));
    let is_first =
        |pid: &&i32| fits.iter().all(|other| ancestors(&all, *other).any(|one| one == **pid));
    if let Some(first) = fits.iter().find(is_first) {
        return Ok(*first);
    }
    Err(Error::Usage(if fits.is_empty() {
        format!("no running Python program is called {name:?}")
    } else {
        let line = |pid: &i32| format!("\n  {pid}: {}", process::arguments(*pid).join(" "));
        let lines: String = fits.iter().take(MAX_NAMED).map(line).collect();
        format!("{} Python programs are called {name:?}: give one by -p{lines}", fits.len())
    }))
}

/// `pid` itself, its parent, and so on.
fn ancestors(all: &HashMap<i32, Descent>, pid: i32) -> impl Iterator<Item = i32> + '_ {
    let up = move |pid: &i32| all.get(pid).map(|descent| descent.parent);
    std::iter::successors(Some(pid), up).take(all.len() + 1)
}

/// Whether the program, its script or its module has that name.
fn is_called(pid: i32, name: &str) -> bool {
    let arguments = process::arguments(pid);
    let is = |argument: &String| {
        let file = Path::new(argument).file_name().and_then(|file| file.to_str()).unwrap_or("");
        file == name || file.strip_suffix(".py") == Some(name)
    };
    let module = || {
        let at = arguments.iter().position(|argument| argument == "-m")?;
        arguments.get(at + 1).map(|module| module == name)
    };
    // The interpreter's own flags are not looked through: its script comes soon.
    arguments.iter().take(4).any(is) || module() == Some(true) || title(&arguments, name)
}

/// `gunicorn: master [app]`, as programs call themselves.
fn title(arguments: &[String], name: &str) -> bool {
    let rest = arguments.first().and_then(|first| first.strip_prefix(name));
    rest.is_some_and(|rest| rest.starts_with([':', ' ']))
}
