//! What `dump --locals` shows of a target.

use crate::support::{Dump, Local, dump_json};

/// The dump with `-l` given `level` times.
#[track_caller]
pub fn dump(pid: i32, level: usize) -> Dump {
    dump_json(pid, &[&format!("-{}", "l".repeat(level))])
}

/// The variables of the innermost frame whose function is called `name`.
#[track_caller]
pub fn locals<'a>(dump: &'a Dump, name: &str) -> &'a [Local] {
    let frames = || dump.iter().flat_map(|thread| &thread.frames);
    let mut own = frames().filter(|frame| frame.name.rsplit('.').next() == Some(name));
    let frame = own.next().unwrap_or_else(|| {
        panic!("no {name} in {:?}", frames().map(|frame| &frame.name).collect::<Vec<_>>())
    });
    frame.locals.as_ref().expect("it was asked for")
}

/// One of them.
#[track_caller]
pub fn local<'a>(locals: &'a [Local], name: &str) -> &'a Local {
    let own = locals.iter().find(|local| local.name == name);
    own.unwrap_or_else(|| {
        panic!("no {name} in {:?}", locals.iter().map(|local| &local.name).collect::<Vec<_>>())
    })
}
