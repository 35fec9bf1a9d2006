//! Runs a child under callgrind and reads which instruction was executed how
//! often.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::Failure;
use crate::child::Order;

/// Fails with what to do if valgrind cannot be run.
pub(crate) fn check() -> Result<(), Failure> {
    let found = Command::new("valgrind").arg("--version").output();
    match found {
        Ok(output) if output.status.success() => Ok(()),
        _ => {
            Err("valgrind is needed and cannot be run; on Debian: apt-get install valgrind".into())
        }
    }
}

/// How often each instruction was executed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Profile {
    /// By object file, then by address in it.
    pub(crate) objects: HashMap<String, HashMap<u64, u64>>,
}

impl Profile {
    /// How many instructions were executed.
    pub(crate) fn instructions(&self) -> u64 {
        self.objects.values().flat_map(HashMap::values).sum()
    }

    /// Reads a file as callgrind writes it with `--dump-instr=yes` and nothing
    /// compressed.
    fn parse(text: &str) -> Result<Self, Failure> {
        let mut profile = Self::default();
        let mut object = String::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("ob=") {
                name.clone_into(&mut object);
            } else if line.starts_with("calls=") {
                // The line after it is what the callee cost.
                lines.next();
            } else if let Some(cost) = line.strip_prefix("0x") {
                let (address, count) = cost.split_once(' ').ok_or("an address without a cost")?;
                let address = u64::from_str_radix(address, 16)?;
                let counts = profile.objects.entry(object.clone()).or_default();
                *counts.entry(address).or_default() += count.trim().parse::<u64>()?;
            }
        }
        Ok(profile)
    }
}

/// A child that runs under callgrind.
pub(crate) struct Run {
    order: Order,
    child: Child,
    output: PathBuf,
}

impl Run {
    /// Starts a child.
    pub(crate) fn start(order: Order) -> Result<Self, Failure> {
        let program = std::env::current_exe()?;
        let folder = program.parent().ok_or("a program lies in a folder")?;
        let name = order.arguments().join("-");
        let output = folder.join(format!("guard-{name}.callgrind"));
        let child = Command::new("valgrind")
            .args(["--tool=callgrind", "--dump-instr=yes", "--dump-line=no"])
            .args(["--compress-pos=no", "--compress-strings=no"])
            .arg(format!("--callgrind-out-file={}", output.display()))
            .arg(program)
            .args(order.arguments())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self {
            order,
            child,
            output,
        })
    }

    /// Waits until it is done; what it executed.
    pub(crate) fn profile(self) -> Result<Profile, Failure> {
        let output = self.child.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("{:?} under callgrind failed: {said}", self.order).into());
        }
        let text = fs::read_to_string(&self.output)?;
        fs::remove_file(&self.output)?;
        Profile::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn what_a_callee_costs_is_not_counted_twice() {
        let text = "events: Ir\n\nob=/bin/a\nfn=main\n0x10 3\ncfn=callee\ncalls=2 0x40\n\
                    0x12 80\n0x12 2\n\nob=/lib/b\nfn=callee\n0x40 80\n";
        let profile = Profile::parse(text).unwrap();
        assert_eq!(profile.instructions(), 85);
        assert_eq!(profile.objects["/bin/a"][&0x12], 2);
        assert_eq!(profile.objects["/lib/b"][&0x40], 80);
    }
}
