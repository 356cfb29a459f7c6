//! A snapshot as text for a person.

use super::deadlock::Deadlock;
use super::snapshot::{CoreView, FrameView, Snapshot, ThreadView};
use super::tree::{Ancestor, Lineage};
use anstyle::{AnsiColor, Style};
use cpython::value::{Kind, Variable};
use profile::printable;
use std::collections::HashSet;
use std::io::{self, Write};

/// Longer stacks are cut in the middle to this many frames at each end.
const ENDS: (usize, usize) = (300, 100);

const STRONG: Style = Style::new().bold();
const NAME: Style = AnsiColor::Green.on_default();
const ACTIVE: Style = AnsiColor::Red.on_default();
const FILE: Style = AnsiColor::Cyan.on_default();
const WAIT: Style = AnsiColor::Yellow.on_default();
const FAINT: Style = Style::new().dimmed();

/// Writes who started whom, if that was asked for and there are several processes.
pub fn write_tree(snapshots: &[Snapshot], out: &mut dyn Write) -> io::Result<()> {
    /// Command lines are told in full further down.
    const COMMAND_CHARS: usize = 100;
    if snapshots.len() < 2 || snapshots.iter().all(|snapshot| snapshot.lineage.is_none()) {
        return Ok(());
    }
    writeln!(out, "Processes:")?;
    let pythons: HashSet<i32> = snapshots.iter().map(|snapshot| snapshot.pid).collect();
    let mut told = HashSet::new();
    for snapshot in snapshots {
        let ancestors = snapshot.lineage.as_ref().map_or(&[][..], |lineage| &lineage.ancestors);
        let above = ancestors.iter().rev().map(|one| (one.pid, &one.command));
        for (depth, (pid, command)) in above.chain([(snapshot.pid, &snapshot.command)]).enumerate()
        {
            if !told.insert(pid) {
                continue;
            }
            let mut command = printable(command).into_owned();
            if let Some((end, _)) = command.char_indices().nth(COMMAND_CHARS) {
                command.truncate(end);
                command.push_str("...");
            }
            let what = if pythons.contains(&pid) { "" } else { " (no Python)" };
            let indent = "    ".repeat(depth.min(20));
            writeln!(out, "    {indent}{STRONG}{pid}{STRONG:#}: {command}{what}")?;
        }
    }
    writeln!(out)
}

/// Writes `snapshot`. Styles are left to `out` to strip where they do not belong.
pub fn write(snapshot: &Snapshot, full_filenames: bool, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Process {STRONG}{}{STRONG:#}: {}", snapshot.pid, printable(&snapshot.command))?;
    writeln!(
        out,
        "Python v{STRONG}{}{STRONG:#} ({})",
        snapshot.version,
        printable(&snapshot.executable)
    )?;
    if let Some(core) = &snapshot.core {
        write_core(core, out)?;
    }
    if let Some(Lineage { ancestors, orphan }) = &snapshot.lineage
        && let Some(Ancestor { pid, command }) = ancestors.first()
    {
        let what = if *orphan { "Its parent has ended, it comes from" } else { "Parent" };
        writeln!(out, "{what} Process {STRONG}{pid}{STRONG:#}: {}", printable(command))?;
    }
    for note in &snapshot.notes {
        writeln!(out, "Note: {}", printable(note))?;
    }
    if snapshot.collecting {
        writeln!(out, "A garbage collection is in progress.")?;
    }
    let style = FrameStyle { full_filenames, chars: snapshot.chars };
    for thread in &snapshot.threads {
        writeln!(out)?;
        write_thread(thread, style, out)?;
    }
    for deadlock in &snapshot.deadlocks {
        writeln!(out)?;
        write_deadlock(snapshot, deadlock, out)?;
    }
    Ok(())
}

fn write_deadlock(snapshot: &Snapshot, deadlock: &Deadlock, out: &mut dyn Write) -> io::Result<()> {
    let name = |index: &usize| {
        let thread = snapshot.threads.get(*index).map(ThreadView::name_it);
        thread.map(|thread| printable(&thread.text()).into_owned()).unwrap_or_default()
    };
    match deadlock.circle.len() {
        1 => writeln!(out, "{ACTIVE}Deadlock{ACTIVE:#}: a thread waits for itself:")?,
        count => writeln!(out, "{ACTIVE}Deadlock{ACTIVE:#} of {count} threads:")?,
    }
    for index in &deadlock.circle {
        let wait = snapshot.threads.get(*index).and_then(|thread| thread.waits_for.as_ref());
        let text = wait.map_or("", |wait| &wait.text);
        writeln!(out, "    {} waits for {}", name(index), printable(text))?;
    }
    if !deadlock.behind.is_empty() {
        let names: Vec<String> = deadlock.behind.iter().map(name).collect();
        writeln!(out, "  and behind them: {}", names.join(", "))?;
    }
    Ok(())
}

fn write_core(core: &CoreView, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "Core file {}: ", printable(&core.file))?;
    let Some(signal) = core.signal else {
        return writeln!(out, "written while the process was alive, no signal ended it");
    };
    write!(out, "{ACTIVE}{}{ACTIVE:#}", signal.name())?;
    if let Some(address) = signal.address {
        write!(out, " at address {STRONG}{address:#x}{STRONG:#}")?;
    }
    if let Some(reason) = signal.reason() {
        write!(out, " ({reason})")?;
    }
    if let Some((pid, user)) = signal.sender {
        write!(out, " sent by process {pid} (user {user})")?;
    }
    writeln!(out, " in thread {}", core.tid)
}

/// How frames are shown.
#[derive(Debug, Clone, Copy)]
struct FrameStyle {
    full_filenames: bool,
    /// Characters of a value.
    chars: usize,
}

fn write_thread(thread: &ThreadView, style: FrameStyle, out: &mut dyn Write) -> io::Result<()> {
    let id = match thread.tid {
        Some(tid) => tid.to_string(),
        None => format!("{:#x}", thread.pthread_id),
    };
    let (colour, status) = match (thread.active, thread.gil) {
        (true, true) => (ACTIVE, "active+gil"),
        (true, false) => (ACTIVE, "active"),
        (false, true) => (ACTIVE, "idle+gil"),
        (false, false) => (FAINT, "idle"),
    };
    let crashed = if thread.crashed { ", crashed" } else { "" };
    write!(out, "Thread {STRONG}{id}{STRONG:#} ({colour}{status}{crashed}{colour:#})")?;
    match &thread.name {
        Some(name) => writeln!(out, ": \"{}\"", printable(name))?,
        None => writeln!(out)?,
    }
    if thread.collects {
        writeln!(out, "    {WAIT}collects garbage{WAIT:#}")?;
    }
    if let Some(wait) = &thread.waits_for {
        writeln!(out, "    {WAIT}waits for: {}{WAIT:#}", printable(&wait.text))?;
    }
    let frames = &thread.frames;
    if frames.is_empty() {
        return writeln!(out, "    {FAINT}(no Python frames){FAINT:#}");
    }
    let cut = frames.len().saturating_sub(ENDS.0 + ENDS.1);
    if cut <= 1 {
        return write_frames(frames, style, out);
    }
    write_frames(&frames[..ENDS.0], style, out)?;
    writeln!(out, "    {FAINT}... {cut} frames omitted ...{FAINT:#}")?;
    write_frames(&frames[ENDS.0 + cut..], style, out)
}

fn write_frames(frames: &[FrameView], style: FrameStyle, out: &mut dyn Write) -> io::Result<()> {
    for frame in frames {
        let file = if style.full_filenames { &frame.filename } else { &frame.short_filename };
        write!(out, "    {NAME}{}{NAME:#}", printable(&frame.name))?;
        match (file.as_str(), frame.position.line) {
            // Generated code is nowhere.
            ("", _) => writeln!(out)?,
            (file, 0) => writeln!(out, " ({FILE}{}{FILE:#})", printable(file))?,
            (file, line) => writeln!(out, " ({FILE}{}{FILE:#}:{line})", printable(file))?,
        }
        let locals = frame.locals.as_deref().unwrap_or_default();
        let is_argument = |variable: &&Variable| matches!(variable.kind, Kind::Argument(_));
        let (arguments, others): (Vec<_>, Vec<_>) = locals.iter().partition(is_argument);
        for (title, variables) in [("Arguments", arguments), ("Locals", others)] {
            if !variables.is_empty() {
                writeln!(out, "        {title}:")?;
            }
            for variable in variables {
                // Both have their control characters escaped already.
                let text = variable.value.repr(style.chars);
                writeln!(out, "            {NAME}{}{NAME:#}: {text}", variable.name)?;
            }
        }
    }
    Ok(())
}
