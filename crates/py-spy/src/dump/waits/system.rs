//! What a system call and its file descriptors tell.

use super::gather::CallFacts;
use super::{DescriptorView, Teller, WaitView, plain};
use remote::os::blocking::{Children, MAX_DESCRIPTORS};
use remote::os::descriptors::{self, Descriptor, Descriptors, Kind};
use std::time::Duration;

/// Descriptors that are named; of more only the number is told.
const MAX_NAMED: usize = 5;
/// Descriptors that JSON has.
const MAX_LISTED: usize = 100;

impl Teller<'_> {
    pub(super) fn system(&mut self, call: &CallFacts) -> WaitView {
        let blocked = &call.blocked;
        let name = blocked.common_name();
        if call.sleeps {
            let text = match (call.left, call.timeout) {
                (Some(left), _) => format!("a sleep to end, {} left ({name})", seconds(left)),
                (None, Some(whole)) => format!("a sleep of {} to end ({name})", seconds(whole)),
                (None, None) if blocked.is_sleep() => format!("a sleep to end ({name})"),
                (None, None) => format!("a signal ({name})"),
            };
            return plain("sleep", text);
        }
        if let Some(children) = blocked.children() {
            let text = match (children, &self.descriptors) {
                (Children::Any, _) => "the end of any child process".to_owned(),
                (Children::Some, _) => format!("the end of a child process ({name})"),
                (Children::One(pid), Some(other)) if other.counts_otherwise() => {
                    format!("the end of process {pid} (as the program counts)")
                }
                (Children::One(pid), Some(_)) => {
                    format!("the end of process {pid} ({})", descriptors::command_of(pid))
                }
                (Children::One(pid), None) => format!("the end of process {pid}"),
            };
            return plain("process", text);
        }
        if let Some(path) = &call.path {
            return plain("file", format!("{name} of {path}"));
        }
        if let Some(epoll) = blocked.epoll() {
            let Some(descriptors) = &self.descriptors else {
                return self.on_descriptors(&name, &[epoll], call.timeout);
            };
            let watched = descriptors.watched(epoll);
            return self.on_descriptors(&name, &watched, call.timeout);
        }
        if !call.descriptors.is_empty() {
            return self.on_descriptors(&name, &call.descriptors, call.timeout);
        }
        if let Some(futex) = blocked.futex() {
            return plain("futex", format!("futex at {futex:#x}"));
        }
        plain("system_call", name)
    }

    fn on_descriptors(&mut self, name: &str, fds: &[i32], timeout: Option<Duration>) -> WaitView {
        let found: Vec<Descriptor> = match (&mut self.descriptors, fds) {
            (Some(descriptors), [one]) => vec![descriptors.with_peers(*one)],
            (Some(descriptors), many) => {
                many.iter().take(MAX_LISTED).map(|fd| descriptors.get(*fd)).collect()
            }
            (None, fds) => fds.iter().take(MAX_LISTED).map(|fd| Descriptor::unknown(*fd)).collect(),
        };
        let words = |found: &Descriptor| match found.kind {
            Kind::Unknown => found.name.clone(),
            _ => format!("{} (fd {})", found.name, found.fd),
        };
        let mut text = match &found[..] {
            [] => format!("{name} on no descriptor"),
            [one] => format!("{name} on {}{}", words(one), self.peers(one)),
            many => {
                let named: Vec<String> = many.iter().take(MAX_NAMED).map(words).collect();
                let more = if fds.len() > MAX_NAMED { ", ..." } else { "" };
                let least = if fds.len() >= MAX_DESCRIPTORS { "at least " } else { "" };
                let named = named.join(", ");
                format!("{name} on {least}{} descriptors: {named}{more}", fds.len())
            }
        };
        if let Some(timeout) = timeout {
            text += &format!(", for {} at the most", seconds(timeout));
        }
        let descriptors = found.into_iter().map(|found| DescriptorView {
            fd: found.fd,
            kind: kind_name(&found.kind),
            name: found.name,
            peers: found.peers.map(|peers| peers.found.iter().map(|peer| peer.pid).collect()),
        });
        WaitView {
            kind: "descriptor",
            text,
            descriptors: descriptors.collect(),
            descriptor_count: fds.len(),
            ..WaitView::default()
        }
    }

    /// Who has the other end of a pipe.
    fn peers(&self, found: &Descriptor) -> String {
        let Some(peers) = &found.peers else { return String::new() };
        let own = self.descriptors.as_ref().map_or(0, Descriptors::pid);
        let others: Vec<String> = peers
            .found
            .iter()
            .filter(|peer| peer.pid != own)
            .take(3)
            .map(|peer| format!("{} ({})", peer.pid, peer.command))
            .collect();
        match (peers.found.len(), &others[..]) {
            (0, _) => String::new(),
            (_, []) => ", whose other end this process has open itself".to_owned(),
            (_, [one]) => format!(" with process {one} at the other end"),
            (_, many) => format!(" with processes {} at the other end", many.join(", ")),
        }
    }
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Socket => "socket",
        Kind::Pipe => "pipe",
        Kind::File => "file",
        Kind::Terminal => "terminal",
        Kind::Epoll => "epoll",
        Kind::Other => "other",
        Kind::Unknown => "unknown",
    }
}

/// `1.5 s`, `250 ms`, `3 h 20 min`.
fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    match whole {
        0 if time.as_millis() == 0 => "under 1 ms".to_owned(),
        0 => format!("{} ms", time.as_millis()),
        1..=119 => {
            let text = format!("{:.1}", time.as_secs_f64());
            format!("{} s", text.strip_suffix(".0").unwrap_or(&text))
        }
        120..=7199 => format!("{} min {} s", whole / 60, whole % 60),
        7200..=172_799 => format!("{} h {} min", whole / 3600, whole / 60 % 60),
        _ => format!("{} days", whole / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        for (milliseconds, text) in [
            (250, "250 ms"),
            (1500, "1.5 s"),
            (2000, "2 s"),
            (150_000, "2 min 30 s"),
            (10_000_000, "2 h 46 min"),
            (1_000_000_000, "11 days"),
        ] {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), text);
        }
    }
}
