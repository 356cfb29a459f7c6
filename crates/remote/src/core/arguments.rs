//! The command line of a program, whole: notes have only the beginning of it.

use super::Core;
use crate::memory::Memory;

/// `AT_RANDOM` (include/uapi/linux/auxvec.h): where random bytes lie on the stack.
const AT_RANDOM: u64 = 25;
/// The auxiliary vector is at most this far below the random bytes.
const SEARCH: u64 = 4096;
/// Pointers to arguments and environment that are looked through.
const MAX_POINTERS: u64 = 1 << 16;
/// Characters of all arguments that are read.
const MAX_LENGTH: usize = 1 << 20;

impl Core {
    /// The arguments that the program was started with (or that it put there since), its
    /// name first; empty where they cannot be found.
    ///
    /// The kernel lays them out so, from the stack pointer upwards: their number, pointers
    /// to them, 0, pointers to the environment, 0, the auxiliary vector, and above these
    /// some random bytes to which the vector points (fs/binfmt_elf.c,
    /// `create_elf_tables`). So the way goes backwards from the random bytes.
    pub fn arguments(&self) -> Vec<String> {
        self.find_arguments().unwrap_or_default()
    }

    fn find_arguments(&self) -> Option<Vec<String>> {
        let memory = &self.memory;
        let random = self.auxiliary.iter().find(|(kind, _)| *kind == AT_RANDOM)?.1;
        let [first, second, ..] = self.auxiliary[..] else { return None };
        let word = |at: u64| memory.ptr(at).ok();
        let top = random & !7;
        let is_vector = |at: &u64| {
            let pair = |at: u64| Some((word(at)?, word(at.checked_add(8)?)?));
            pair(*at) == Some(first) && at.checked_add(16).and_then(pair) == Some(second)
        };
        let mut places = (0..SEARCH / 8).filter_map(|back| top.checked_sub(8 * back));
        let vector = places.find(is_vector)?;
        // Below it: the 0 behind the environment, the environment, the 0 behind the
        // arguments.
        let mut at = vector.checked_sub(16)?;
        let mut left = MAX_POINTERS;
        while word(at)? != 0 {
            at = at.checked_sub(8)?;
            left = left.checked_sub(1)?;
        }
        let mut pointers = Vec::new();
        loop {
            at = at.checked_sub(8)?;
            let value = word(at)?;
            if value == pointers.len() as u64 {
                break;
            }
            pointers.push(value);
            left = left.checked_sub(1)?;
        }
        let mut length = 0;
        let mut arguments = Vec::new();
        for pointer in pointers.iter().rev() {
            let text = memory.c_string(*pointer, MAX_LENGTH).ok()?;
            length += text.len();
            if length > MAX_LENGTH {
                break;
            }
            arguments.push(String::from_utf8_lossy(&text).into_owned());
        }
        Some(arguments)
    }
}
