//! What every kernel needs on every architecture, as the assembler reports it, kept in a golden file: a change that
//! makes a kernel spill registers is seen where it is made.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// What one kernel needs on one architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Needs {
    registers: u32,
    shared: u32,
    /// Bytes of local memory for registers that did not fit, stores and loads.
    spilled: u32,
    /// Bytes of local memory in all.
    stack: u32,
}

/// By kernel, then architecture.
#[derive(Default)]
pub(super) struct Table {
    kernels: BTreeMap<String, BTreeMap<u32, Needs>>,
}

/// The number before a word, as in `0 bytes spill stores`.
fn number_before(line: &str, words: &str) -> Option<u32> {
    line[..line.find(words)?].trim_end().rsplit(' ').next()?.parse().ok()
}

impl Table {
    /// Reads what `ptxas --verbose` says.
    pub(super) fn add(&mut self, arch: u32, said: &str) -> Result<()> {
        let mut kernel = None;
        let mut needs = Needs::default();
        for line in said.lines() {
            if let Some(at) = line.find("Compiling entry function '") {
                let name = line[at..].split('\'').nth(1).context("a name between quotes")?;
                (kernel, needs) = (Some(name.to_owned()), Needs::default());
            } else if line.contains("bytes stack frame") {
                needs.stack = number_before(line, "bytes stack frame").context("stack")?;
                needs.spilled = number_before(line, "bytes spill stores").context("spill stores")?
                    + number_before(line, "bytes spill loads").context("spill loads")?;
            } else if line.contains(" registers") {
                needs.registers = number_before(line, "registers").context("registers")?;
                needs.shared = number_before(line, "bytes smem").unwrap_or(0);
                let kernel = kernel.take().with_context(|| format!("a kernel before: {line}"))?;
                self.kernels.entry(kernel).or_default().insert(arch, needs);
            }
        }
        ensure!(self.kernels.values().all(|by_arch| by_arch.contains_key(&arch)), "not all kernels for sm_{arch}");
        ensure!(!self.kernels.is_empty(), "the assembler reports no kernels:\n{said}");
        Ok(())
    }

    /// Compares with the golden file, or writes it if `AILURUS_BLESS` is 1.
    pub(super) fn compare(&self, golden: &Path) -> Result<()> {
        let text = self.to_string();
        let present = std::fs::read_to_string(golden).unwrap_or_default();
        if text == present {
            return Ok(());
        }
        if std::env::var_os("AILURUS_BLESS").is_some_and(|v| v == "1") {
            std::fs::create_dir_all(golden.parent().context("a file in a folder")?)?;
            std::fs::write(golden, text).with_context(|| format!("writing {}", golden.display()))?;
            println!("wrote {}", golden.display());
            return Ok(());
        }
        let changed: Vec<&str> = text.lines().filter(|line| !present.lines().any(|old| old == *line)).collect();
        bail!(
            "kernels need other resources than {} says (AILURUS_BLESS=1 accepts):\n{}",
            golden.display(),
            changed.join("\n")
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Registers per thread / bytes of shared memory per block / bytes spilled / bytes of stack.")?;
        writeln!(f, "# ptxas 12.9.86 on the committed PTX; written by `AILURUS_BLESS=1 cargo xtask cuda`.")?;
        let archs: Vec<u32> = self.kernels.values().next().map(|k| k.keys().copied().collect()).unwrap_or_default();
        write!(f, "{:<34}", "kernel")?;
        archs.iter().try_for_each(|arch| write!(f, " {:>14}", format!("sm_{arch}")))?;
        writeln!(f)?;
        for (kernel, by_arch) in &self.kernels {
            write!(f, "{kernel:<34}")?;
            for n in by_arch.values() {
                write!(f, " {:>14}", format!("{}/{}/{}/{}", n.registers, n.shared, n.spilled, n.stack))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'ailurus_one' for 'sm_75'
ptxas info    : Function properties for ailurus_one
    16 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 80 registers, used 1 barriers, 8320 bytes smem, 408 bytes cmem[0]
ptxas info    : Compiling entry function 'ailurus_two' for 'sm_75'
ptxas info    : Function properties for ailurus_two
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 36 registers, used 0 barriers, 424 bytes cmem[0]
";

    #[test]
    fn reports_of_the_assembler_are_read() {
        let mut table = Table::default();
        table.add(75, SAID).unwrap();
        let text = table.to_string();
        assert!(text.lines().any(|l| l.starts_with("ailurus_one ") && l.ends_with(" 80/8320/20/16")), "{text}");
        assert!(text.lines().any(|l| l.starts_with("ailurus_two ") && l.ends_with(" 36/0/0/0")), "{text}");
        assert!(Table::default().add(75, "").is_err());
        assert!(table.add(80, "nothing about kernels").is_err());
    }
}
