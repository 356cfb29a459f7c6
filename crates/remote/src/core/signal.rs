//! The signal that ended a process, in words.

use crate::Arch;

/// A signal as `siginfo_t` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub number: i32,
    /// Why it was sent (`si_code`).
    pub code: i32,
    /// The address that could not be used, for signals about an address.
    pub address: Option<u64>,
    /// The process and the user that sent it, if one did.
    pub sender: Option<(i32, u32)>,
}

/// `SI_KERNEL`: sent by the kernel, for no reason of the list.
const SI_KERNEL: i32 = 0x80;

impl Signal {
    /// A signal of which only the number is known.
    pub fn bare(number: i32) -> Signal {
        Signal { number, code: 0, address: None, sender: None }
    }

    /// From a `siginfo_t` of a 64-bit Linux: signal 0, code 8, then from 16 on the address
    /// or the sender's process and user.
    pub fn parse(arch: Arch, bytes: &[u8]) -> Option<Signal> {
        let (number, code) = (arch.i32(bytes, 0)?, arch.i32(bytes, 8)?);
        let mut signal = Signal { number, code, address: None, sender: None };
        if code <= 0 {
            // kill, tgkill, sigqueue; timers and finished input or output have none.
            if matches!(code, 0 | -1 | -6) {
                signal.sender = Some((arch.i32(bytes, 16)?, arch.uint(bytes, 20, 4)? as u32));
            }
        } else if matches!(number, 4 | 5 | 7 | 8 | 11) && code != SI_KERNEL {
            signal.address = Some(arch.uint(bytes, 16, 8)?);
        }
        Some(signal)
    }

    /// `SIGSEGV` and so on.
    pub fn name(&self) -> String {
        const NAMES: [&str; 31] = [
            "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV",
            "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN",
            "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
        ];
        let index = usize::try_from(self.number).ok().and_then(|number| number.checked_sub(1));
        match index.and_then(|index| NAMES.get(index)) {
            Some(name) => format!("SIG{name}"),
            None => format!("signal {}", self.number),
        }
    }

    /// What the code means (include/uapi/asm-generic/siginfo.h).
    pub fn reason(&self) -> Option<&'static str> {
        Some(match (self.number, self.code) {
            (4, 1) => "illegal opcode",
            (4, 2) => "illegal operand",
            (4, 4) => "illegal trap",
            (4, 5) => "privileged opcode",
            (7, 1) => "invalid address alignment",
            (7, 2) => {
                "no such memory: a mapped file is shorter than its mapping, or the disk is full"
            }
            (7, 3) => "hardware error",
            (7, 4 | 5) => "memory error of the hardware",
            (8, 1) => "integer divided by zero",
            (8, 2) => "integer overflow",
            (8, 3) => "floating point number divided by zero",
            (8, 4..=7) => "floating point operation",
            (11, 1) => "nothing is mapped there",
            (11, 2) => "no permission for that",
            (11, SI_KERNEL) => "an address that no memory can have",
            (5, 1) => "breakpoint",
            (31, 1) => "system call forbidden by seccomp",
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_in_words() {
        let mut bytes = [0; 128];
        bytes[0] = 11;
        bytes[8] = 1;
        bytes[16..24].copy_from_slice(&0x1234u64.to_le_bytes());
        let fault = Signal::parse(Arch::LE64, &bytes).expect("whole");
        assert_eq!((fault.name().as_str(), fault.address), ("SIGSEGV", Some(0x1234)));
        assert_eq!(fault.reason(), Some("nothing is mapped there"));
        bytes[0] = 6;
        bytes[8..12].copy_from_slice(&(-6i32).to_le_bytes());
        let abort = Signal::parse(Arch::LE64, &bytes).expect("whole");
        assert_eq!((abort.name().as_str(), abort.sender), ("SIGABRT", Some((0x1234, 0))));
        assert_eq!(abort.address, None);
        assert_eq!(Signal::parse(Arch::LE64, &bytes[..20]), None);
        assert_eq!(Signal::bare(34).name(), "signal 34");
        assert_eq!(Signal::bare(-5).name(), "signal -5");
        assert_eq!(Signal::bare(i32::MIN).reason(), None);
    }
}
