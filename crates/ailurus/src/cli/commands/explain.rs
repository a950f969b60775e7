//! `ailurus explain`: what a code means.

use crate::cli::Outcome;
use crate::cli::args::ExplainArgs;
use crate::cli::failure::Failure;
use crate::cli::printer::Printer;
use crate::codes::{self, Entry};

/// Width of the explanations.
const WIDTH: usize = 88;

pub fn run(args: &ExplainArgs, printer: &Printer) -> Outcome {
    match &args.code {
        None if args.json => printer.json(&codes::all())?,
        None => {
            let line = |e: Entry| format!("{}  {}\n", e.code, e.title);
            printer.result(&codes::all().into_iter().map(line).collect::<String>())?;
        }
        Some(code) => {
            let entry = codes::explain(code)
                .ok_or_else(|| Failure::Usage(format!("there is no code {code}; `ailurus explain` lists them all")))?;
            if args.json {
                printer.json(&entry)?;
            } else {
                printer.result(&format!("{}: {}\n\n{}\n", entry.code, entry.title, wrap(entry.text)))?;
            }
        }
    }
    Ok(())
}

fn wrap(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().filter(|l| l.is_empty() || l.len() + 1 + word.len() <= WIDTH);
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_filled() {
        let text = "word ".repeat(40);
        let wrapped = wrap(&text);
        assert_eq!(wrapped.split_whitespace().count(), 40);
        assert!(wrapped.lines().all(|l| l.len() <= WIDTH && l.len() > 40 || l.ends_with("word")));
        assert_eq!(wrapped.lines().count(), 3);
    }
}
