//! What the file descriptors of a process lead to.

use super::blocking::MAX_DESCRIPTORS;
use super::mounts::{Mounts, is_remote};
use super::{Process, clock, threads};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// More sockets than this are not told apart.
const MAX_SOCKETS: usize = 1 << 20;
/// How long the other ends of pipes are looked for in all, and how long for more of them once
/// there is one.
const SEARCH_NS: u64 = 100_000_000;
const MORE_NS: u64 = 500_000;

/// What a descriptor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Of a network, or of this machine.
    Socket,
    /// A pipe, or a FIFO that has a name.
    Pipe,
    /// A file, a folder, a device.
    File,
    /// A terminal.
    Terminal,
    /// `epoll`.
    Epoll,
    /// Another thing that has no file: `eventfd`, `timerfd`, `inotify` and such.
    Other,
    /// It is closed, or may not be looked at.
    Unknown,
}

/// A file descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its number.
    pub fd: i32,
    /// What it is.
    pub kind: Kind,
    /// What it leads to: `socket 10.0.0.1:5432`, `pipe`, `/etc/passwd`.
    pub name: String,
    /// The processes that have the other end of a pipe; `None` if they were not looked
    /// for.
    pub peers: Option<Peers>,
}

impl Descriptor {
    /// One of which no more than its number is known.
    pub fn unknown(fd: i32) -> Descriptor {
        Descriptor { fd, kind: Kind::Unknown, name: format!("descriptor {fd}"), peers: None }
    }
}

/// The processes that were found at the other end of a pipe. There may always be others: those of
/// other users, outside of a container, or with a descriptor that is on its way through a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers {
    /// Those that were found.
    pub found: Vec<Peer>,
}

/// A process at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub pid: i32,
    /// The name of its program.
    pub command: String,
}

/// Looks descriptors up; reads the tables of sockets, and who has which pipes, once, when
/// the first is asked for.
#[derive(Debug)]
pub struct Descriptors<'a> {
    process: &'a Process,
    sockets: Option<HashMap<u64, String>>,
    pipes: Option<Pipes>,
}

impl<'a> Descriptors<'a> {
    /// Those of a process.
    pub fn new(process: &'a Process) -> Descriptors<'a> {
        Descriptors { process, sockets: None, pipes: None }
    }

    /// The process's id.
    pub fn pid(&self) -> i32 {
        self.process.pid
    }

    /// Whether the process knows others by other ids than we do.
    pub fn counts_otherwise(&self) -> bool {
        threads::in_namespace(self.process.proc_dir())
    }

    /// One of them, without the other end of a pipe.
    pub fn get(&mut self, fd: i32) -> Descriptor {
        let link = std::fs::read_link(self.process.proc_dir().join(format!("fd/{fd}")));
        let Ok(link) = link else { return Descriptor::unknown(fd) };
        let link = link.to_string_lossy().into_owned();
        let (kind, name) = self.named(fd, &link);
        Descriptor { fd, kind, name, peers: None }
    }

    /// One of them; if it is a pipe, with the processes at its other end.
    pub fn with_peers(&mut self, fd: i32) -> Descriptor {
        let mut descriptor = self.get(fd);
        if descriptor.kind == Kind::Pipe {
            descriptor.peers = self.peers(fd);
        }
        descriptor
    }

    fn named(&mut self, fd: i32, link: &str) -> (Kind, String) {
        if let Some(inode) = inside(link, "socket:") {
            let known = inode.parse().ok().and_then(|inode: u64| self.socket(inode));
            let name = known.unwrap_or_else(|| format!("socket [{inode}]"));
            return (Kind::Socket, name);
        }
        if link.starts_with("pipe:") {
            return (Kind::Pipe, "pipe".to_owned());
        }
        if let Some(what) = link.strip_prefix("anon_inode:") {
            let what = what.trim_start_matches('[').trim_end_matches(']');
            return match what {
                "eventpoll" => (Kind::Epoll, "epoll".to_owned()),
                other => (Kind::Other, other.to_owned()),
            };
        }
        if link.starts_with("/dev/pts/") || link.starts_with("/dev/tty") || link == "/dev/console" {
            return (Kind::Terminal, format!("terminal {link}"));
        }
        // A server that does not answer would make us wait as well.
        if let Some(network) = self.network_file_system(fd) {
            return (Kind::File, format!("{link} ({network})"));
        }
        // Through the link itself, so that files of other namespaces are found.
        let path = self.process.proc_dir().join(format!("fd/{fd}"));
        let fifo = std::fs::metadata(path).is_ok_and(|data| is_fifo(&data));
        if fifo {
            return (Kind::Pipe, format!("pipe {link}"));
        }
        (Kind::File, link.to_owned())
    }

    /// The kind of file system that a descriptor's file is on, if it is not this machine's.
    fn network_file_system(&self, fd: i32) -> Option<String> {
        let info = self.info(fd)?;
        let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
        let mounts = Mounts::of(self.process.proc_dir());
        let kind = &mounts.by_id(mount.parse().ok()?)?.kind;
        is_remote(kind).then(|| kind.clone())
    }

    /// The descriptors that an epoll instance watches (proc(5), fdinfo).
    pub fn watched(&self, epoll: i32) -> Vec<i32> {
        let info = self.info(epoll).unwrap_or_default();
        let fd =
            |line: &str| line.strip_prefix("tfd:")?.split_ascii_whitespace().next()?.parse().ok();
        info.lines().filter_map(fd).take(MAX_DESCRIPTORS).collect()
    }

    fn info(&self, fd: i32) -> Option<String> {
        std::fs::read_to_string(self.process.proc_dir().join(format!("fdinfo/{fd}"))).ok()
    }

    fn socket(&mut self, inode: u64) -> Option<String> {
        let net = self.process.proc_dir().join("net");
        self.sockets.get_or_insert_with(|| sockets(&net)).get(&inode).cloned()
    }

    /// The processes that have the other end of a pipe open.
    fn peers(&mut self, fd: i32) -> Option<Peers> {
        let link = std::fs::read_link(self.process.proc_dir().join(format!("fd/{fd}"))).ok()?;
        let info = self.info(fd)?;
        let ours = (access_of(&info)?, inode_of(&info));
        let own = self.process.pid;
        let pipes = self.pipes.get_or_insert_with(|| {
            let mut pipes = Pipes::new(own);
            // However late it is: the first is the process's own.
            pipes.look();
            pipes
        });
        let more = clock::now_ns() + MORE_NS;
        let mut peers = Vec::new();
        let mut seen = 0;
        loop {
            for (pid, fd) in pipes.ends.get(&link).into_iter().flatten().skip(seen) {
                seen += 1;
                add_peer(&mut peers, *pid, *fd, ours);
            }
            let now = clock::now_ns();
            let enough = peers.iter().any(|peer| peer.pid != own) && now > more;
            if enough || now > pipes.deadline || !pipes.look() {
                break;
            }
        }
        Some(Peers { found: peers })
    }
}

/// Adds a process whose descriptor is of the same pipe as ours, if it is the other end.
/// The path of a FIFO may be another one's in another mount namespace.
fn add_peer(peers: &mut Vec<Peer>, pid: i32, fd: i32, ours: (Access, Option<u64>)) {
    if peers.iter().any(|peer| peer.pid == pid) {
        return;
    }
    let dir = Path::new("/proc").join(pid.to_string());
    let Ok(info) = std::fs::read_to_string(dir.join(format!("fdinfo/{fd}"))) else { return };
    let other = access_of(&info).is_some_and(|other| other.is_other_end_of(ours.0));
    if other && inode_of(&info) == ours.1 {
        peers.push(Peer { pid, command: command(&dir) });
    }
}

/// Who has which pipes, as far as processes have been looked at.
#[derive(Debug)]
struct Pipes {
    /// `pipe:[inode]`, or the path of a FIFO, to processes and their descriptors.
    ends: HashMap<PathBuf, Vec<(i32, i32)>>,
    /// Those that were not, the next one last.
    todo: Vec<i32>,
    /// When to stop.
    deadline: u64,
}

impl Pipes {
    /// To be looked for in the process `own` first, and then in those that were started about
    /// the same time.
    fn new(own: i32) -> Pipes {
        let mut todo = numbers(Path::new("/proc")).unwrap_or_default();
        todo.sort_by_key(|pid| std::cmp::Reverse(pid.abs_diff(own)));
        let deadline = clock::now_ns() + SEARCH_NS;
        Pipes { ends: HashMap::new(), todo, deadline }
    }

    /// Looks at one more process. False if there is none left.
    fn look(&mut self) -> bool {
        let Some(pid) = self.todo.pop() else { return false };
        let dir = Path::new("/proc").join(pid.to_string());
        // Of one that has ended, or is somebody else's, nothing is known.
        for fd in numbers(&dir.join("fd")).unwrap_or_default() {
            let Ok(link) = std::fs::read_link(dir.join(format!("fd/{fd}"))) else { continue };
            let is_path = link.is_absolute() && !link.starts_with("/dev");
            if is_path || link.to_string_lossy().starts_with("pipe:") {
                self.ends.entry(link).or_default().push((pid, fd));
            }
        }
        true
    }
}

/// The names in a folder that are numbers.
fn numbers(dir: &Path) -> Option<Vec<i32>> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    Some(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The name of the program of the process at `dir`.
fn command(dir: &Path) -> String {
    let text = std::fs::read(dir.join("comm")).unwrap_or_default();
    String::from_utf8_lossy(&text).trim_end().to_owned()
}

/// The name of the program of a process.
pub fn command_of(pid: i32) -> String {
    command(&Path::new("/proc").join(pid.to_string()))
}

/// What a descriptor was opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
    Both,
}

impl Access {
    fn is_other_end_of(self, ours: Access) -> bool {
        match ours {
            Access::Read => self != Access::Read,
            Access::Write => self != Access::Write,
            Access::Both => false,
        }
    }
}

/// The `flags:` of fdinfo: octal, the lowest two bits are the access mode.
fn access_of(info: &str) -> Option<Access> {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
    match u32::from_str_radix(flags.trim(), 8).ok()? & 3 {
        0 => Some(Access::Read),
        1 => Some(Access::Write),
        _ => Some(Access::Both),
    }
}

/// The `ino:` of fdinfo (Linux 5.14 and later).
fn inode_of(info: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix("ino:"))?.trim().parse().ok()
}

fn is_fifo(data: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    data.file_type().is_fifo()
}

/// `rest` of `prefix[rest]`.
fn inside<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.strip_prefix('[')?.strip_suffix(']')
}

/// The names of all sockets of a network namespace by their inodes.
fn sockets(net: &Path) -> HashMap<u64, String> {
    let mut found = HashMap::new();
    for (file, parse) in [
        ("tcp", inet as fn(&str, &str) -> Option<(u64, String)>),
        ("tcp6", inet),
        ("udp", inet),
        ("udp6", inet),
        ("raw", inet),
        ("raw6", inet),
        ("unix", |_, line| unix(line)),
        ("netlink", |_, line| last_inode(line).map(|inode| (inode, "netlink socket".to_owned()))),
        ("packet", |_, line| last_inode(line).map(|inode| (inode, "packet socket".to_owned()))),
    ] {
        let Ok(table) = std::fs::File::open(net.join(file)) else { continue };
        for line in BufReader::new(table).split(b'\n').skip(1) {
            let Ok(line) = line else { break };
            if found.len() >= MAX_SOCKETS {
                return found;
            }
            found.extend(parse(file, &String::from_utf8_lossy(&line)));
        }
    }
    found
}

/// A line of `tcp`, `udp` or `raw`: number, local and remote address, state, queues,
/// timer, retransmits, user, timeout, inode.
fn inet(file: &str, line: &str) -> Option<(u64, String)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, remote) = (address(words.get(1)?)?, address(words.get(2)?)?);
    let inode = words.get(9)?.parse().ok()?;
    let protocol = file.trim_end_matches('6');
    let udp = if protocol == "tcp" { String::new() } else { format!("{protocol} ") };
    // include/net/tcp_states.h
    let name = match (*words.get(3)?, protocol) {
        ("0A", "tcp") => format!("socket {local} (listening)"),
        ("02", "tcp") => format!("socket {remote} (connecting)"),
        ("08", "tcp") => format!("socket {remote} (closed by the other side)"),
        _ if remote.port() == 0 => format!("socket {udp}{local}"),
        _ => format!("socket {udp}{remote}"),
    };
    Some((inode, name))
}

/// `0100007F:1F90`: words of the address as the machine stores them, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |i: usize| {
        let digits = address.get(8 * i..8 * i + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let address: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let whole: [u8; 16] = words.concat().try_into().ok()?;
            let v6 = Ipv6Addr::from(whole);
            v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// `Num RefCount Protocol Flags Type St Inode Path`, where the path may have blanks.
fn unix(line: &str) -> Option<(u64, String)> {
    let mut rest = line;
    let mut word = || {
        let (word, behind) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        rest = behind;
        word
    };
    let columns = [(); 7].map(|()| word());
    let flags = u32::from_str_radix(columns[3], 16).ok()?;
    let inode = columns[6].parse().ok()?;
    // __SO_ACCEPTCON
    let listening = if flags & 1 << 16 != 0 { " (listening)" } else { "" };
    // Abstract names begin with an @ here.
    let name =
        if rest.is_empty() { "unix socket".to_owned() } else { format!("unix socket {rest}") };
    Some((inode, name + listening))
}

/// The last number of a line.
fn last_inode(line: &str) -> Option<u64> {
    line.split_ascii_whitespace().next_back()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn lines_of_the_tables() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1 0 100";
        #[cfg(target_endian = "little")]
        assert_eq!(
            inet("tcp", line),
            Some((12345, "socket 127.0.0.1:8080 (listening)".to_owned()))
        );
        let line = "   1: 00000000000000000000000001000000:D431 00000000000000000000000001000000:1538 01 00000000:00000000 00:00000000 00000000     0        0 7 1";
        #[cfg(target_endian = "little")]
        assert_eq!(inet("tcp6", line), Some((7, "socket [::1]:5432".to_owned())));
        let line = "0000000000000000: 00000002 00000000 00010000 0001 01 999 /run/x.sock";
        assert_eq!(unix(line), Some((999, "unix socket /run/x.sock (listening)".to_owned())));
        let line = "0000000000000000: 00000002 00000000 00000000 0001 01    42 /run/my sock (x) ";
        assert_eq!(unix(line), Some((42, "unix socket /run/my sock (x) ".to_owned())));
        let line = "0000000000000000: 00000002 00000000 00000000 0001 01 42";
        assert_eq!(unix(line), Some((42, "unix socket".to_owned())));
        assert_eq!((inet("tcp", "no"), unix("no")), (None, None));
        assert_eq!(inode_of("pos:\t0\nino:\t12\n"), Some(12));
        assert_eq!(access_of("pos:\t0\nflags:\t0100001\n"), Some(Access::Write));
    }

    #[test]
    fn our_own() {
        let us = Process::open(std::process::id() as i32).expect("ourselves");
        let mut descriptors = Descriptors::new(&us);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        let address = listener.local_addr().expect("an address");
        let found = descriptors.get(listener.as_raw_fd());
        assert_eq!(
            (found.kind, found.name),
            (Kind::Socket, format!("socket {address} (listening)"))
        );
        let (read, write) = std::io::pipe().expect("a pipe");
        let found = descriptors.with_peers(read.as_raw_fd());
        assert_eq!((found.kind, found.name.as_str()), (Kind::Pipe, "pipe"));
        let peers = found.peers.expect("we have it").found;
        assert!(peers.iter().any(|peer| peer.pid == us.pid), "{peers:?}");
        drop(write);
        let file = tempfile::NamedTempFile::new().expect("a file");
        let found = descriptors.get(file.as_file().as_raw_fd());
        assert_eq!(
            (found.kind, found.name),
            (Kind::File, file.path().to_string_lossy().into_owned())
        );
        assert_eq!(descriptors.get(1 << 20).kind, Kind::Unknown);
    }
}
