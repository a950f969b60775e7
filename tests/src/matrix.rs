//! Families of models against the ways they were exported: the first table of `docs/support.md`.

use crate::{check::Outcome, support::bound};
use std::collections::{BTreeMap, BTreeSet};

/// Columns. A file belongs to the last one that claims it.
const COLUMNS: [&str; 7] = [
    "TorchScript, opset 11 to 14",
    "TorchScript, opset 17",
    "dynamo, opset 18",
    "dynamo, opset 23",
    "optimised",
    "16 bits",
    "8 bits",
];

/// The column of a file, read off its name: `family.exporterOPSET[b][hw][-flags][+after]`.
fn column(name: &str) -> usize {
    let variant = name.split_once('.').map_or("", |(_, v)| v);
    let (export, after) = variant.split_once('+').unwrap_or((variant, ""));
    let opset: u32 = export.chars().skip(2).take_while(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0);
    let steps: Vec<&str> = after.split('+').filter(|s| !s.is_empty()).collect();
    if steps.iter().any(|s| s.starts_with('q')) {
        6
    } else if export.ends_with("-h") || steps.iter().any(|s| s.contains("fp16")) {
        5
    } else if !steps.is_empty() {
        4
    } else {
        match (export.starts_with("dy"), opset) {
            (true, 23..) => 3,
            (true, _) => 2,
            (false, 15..) => 1,
            (false, _) => 0,
        }
    }
}

/// What is said of one family in one column.
#[derive(Default)]
struct Cell {
    files: usize,
    worst: f64,
    refused: BTreeSet<String>,
    gaps: usize,
}

impl Cell {
    fn add(&mut self, outcome: &Outcome) {
        self.files += 1;
        match outcome {
            Outcome::Verified(n) => {
                self.worst = self.worst.max(n.full).max(n.fewer);
                self.refused.extend(n.refused.iter().map(|(layer, code, _)| format!("{code} at {layer}")));
            }
            Outcome::Refused { code, .. } => {
                self.refused.insert(code.clone());
            }
            Outcome::Failed(_) => self.gaps += 1,
        }
    }

    fn text(&self) -> String {
        let refused: Vec<&str> = self.refused.iter().map(String::as_str).collect();
        let verified = (self.worst > 0.0 || refused.is_empty() && self.gaps == 0) && self.files > 0;
        let parts = [
            verified.then(|| bound(self.worst)),
            (!refused.is_empty()).then(|| refused.join(", ")),
            (self.gaps > 0).then(|| "known gap".to_owned()),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// The table.
pub fn table(outcomes: &[(String, Outcome)]) -> String {
    let mut rows: BTreeMap<&str, [Cell; COLUMNS.len()]> = BTreeMap::new();
    for (name, outcome) in outcomes {
        let family = name.split('.').next().unwrap_or(name);
        rows.entry(family).or_default()[column(name)].add(outcome);
    }
    let mut out = format!("| family | {} |\n|---|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for (family, cells) in rows {
        let cells: Vec<String> = cells.iter().map(Cell::text).collect();
        out += &format!("| {family} | {} |\n", cells.join(" | "));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns() {
        for (name, wanted) in [
            ("hf_vit.ts11-eager_t21", 0),
            ("hf_vit.ts17b-eager", 1),
            ("timm_vit_dynseg.dy18bhw", 2),
            ("timm_vit_cls.dy23-f1", 3),
            ("segmenter_mask.ts17b+slim", 4),
            ("hf_vit.ts17b-eager_t21+trfvitmha", 4),
            ("segmenter_mask.ts17-h", 5),
            ("timm_vit_cls.ts17-f0+fp16", 5),
            ("hf_vit.ts17b-eager_t21+trfvit+qdyn+ortext", 6),
        ] {
            assert_eq!(column(name), wanted, "{name}");
        }
    }
}
