//! Counts the atomic read-modify-writes that were executed: instructions with
//! the prefix `lock`, and `xchg` with memory, which is locked without it.

use std::collections::HashMap;
use std::fs;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSegment};

use crate::Failure;
use crate::callgrind::Profile;

/// No instruction is longer.
const LONGEST: u64 = 15;

/// What is known of the instructions of the object files.
#[derive(Default)]
pub(crate) struct Locked {
    objects: HashMap<String, Vec<u8>>,
}

impl Locked {
    /// How many of the executed instructions were atomic read-modify-writes.
    pub(crate) fn count(&mut self, profile: &Profile) -> Result<u64, Failure> {
        let mut sum = 0;
        for (name, counts) in &profile.objects {
            // What callgrind cannot name is its own or the kernel's.
            if name.starts_with('/') {
                sum += self.count_in(name, counts)?;
            }
        }
        Ok(sum)
    }

    fn count_in(&mut self, name: &str, counts: &HashMap<u64, u64>) -> Result<u64, Failure> {
        let bytes = match self.objects.entry(name.to_owned()) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(unknown) => unknown.insert(fs::read(name)?),
        };
        let file: ElfFile64<'_> = ElfFile64::parse(&**bytes)?;
        let locked = counts
            .iter()
            .filter(|(address, _)| code_at(&file, **address).is_some_and(is_locked));
        Ok(locked.map(|(_, count)| count).sum())
    }
}

/// The bytes that lie at an address.
fn code_at<'a>(file: &ElfFile64<'a>, address: u64) -> Option<&'a [u8]> {
    file.segments().find_map(|segment| {
        let end = segment.address() + segment.size();
        let length = LONGEST.min(end.checked_sub(address)?);
        segment.data_range(address, length).ok().flatten()
    })
}

fn is_locked(code: &[u8]) -> bool {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let instruction: Instruction = decoder.decode();
    let exchanges = instruction.mnemonic() == Mnemonic::Xchg
        && (0..2).any(|operand| instruction.op_kind(operand) == OpKind::Memory);
    instruction.has_lock_prefix() || exchanges
}

#[cfg(test)]
mod tests {
    use super::is_locked;

    #[test]
    fn locked_instructions_are_told_from_others() {
        let lock_inc = [0xf0, 0x48, 0xff, 0x00];
        let xchg_memory = [0x48, 0x87, 0x07];
        let xchg_registers = [0x48, 0x87, 0xc7];
        let inc = [0x48, 0xff, 0x00];
        assert!(is_locked(&lock_inc) && is_locked(&xchg_memory));
        assert!(!is_locked(&xchg_registers) && !is_locked(&inc));
    }
}
