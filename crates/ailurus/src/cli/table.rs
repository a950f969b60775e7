//! Text tables.

/// A table: numbers to the right, the rest to the left.
pub struct Table {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(header: &[&'static str]) -> Self {
        Table { header: header.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The table, each line indented.
    pub fn render(&self, indent: &str) -> String {
        let header: Vec<String> = self.header.iter().map(|h| (*h).to_owned()).collect();
        let length = |s: &str| s.chars().count();
        let cells = |at: usize| self.rows.iter().filter_map(move |r| r.get(at));
        let widths: Vec<usize> = (0..header.len())
            .map(|at| cells(at).map(|c| length(c)).chain([length(&header[at])]).max().unwrap_or(0))
            .collect();
        let number = |at: usize| {
            !self.rows.is_empty() && cells(at).all(|c| c.is_empty() || c.starts_with(|x: char| x.is_ascii_digit()))
        };
        let mut out = String::new();
        for row in [&header].into_iter().chain(&self.rows) {
            let mut line = indent.to_owned();
            for (at, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = " ".repeat(width - length(cell));
                line += &if number(at) { format!("{gap}{cell}  ") } else { format!("{cell}{gap}  ") };
            }
            out += line.trim_end();
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let mut table = Table::new(&["block", "stream"]);
        table.row(vec!["1".into(), "/add".into()]);
        table.row(vec!["10".into(), "x".into()]);
        assert_eq!(table.render("  "), "  block  stream\n      1  /add\n     10  x\n");
    }
}
