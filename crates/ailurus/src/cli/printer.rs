//! The only place that prints: results on stdout, progress and diagnostics on stderr.

use std::io::{self, IsTerminal, Write};

use miette::{GraphicalReportHandler, GraphicalTheme};

use super::failure::Failure;

/// Width of diagnostics where the terminal's is not known.
const WIDTH: usize = 100;

/// Prints what commands have to say.
pub struct Printer {
    /// stderr is a terminal: progress is shown, and removed again.
    terminal: bool,
    /// Colours are wanted there.
    colour: bool,
}

impl Printer {
    /// Looks at the surroundings.
    pub fn new() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
        let terminal = io::stderr().is_terminal();
        let dumb = std::env::var_os("TERM").is_some_and(|v| v == "dumb");
        Printer { terminal: terminal && !dumb, colour: terminal && !dumb && !set("NO_COLOR") }
    }

    /// A result. A reader that went away is no fault.
    pub fn result(&self, text: &str) -> io::Result<()> {
        self.clear();
        let mut out = io::stdout().lock();
        let written = out
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
        match written.and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }

    /// A result as JSON.
    pub fn json<T: serde::Serialize>(&self, value: &T) -> io::Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
        self.result(&text)
    }

    /// What is going on, on a terminal; the next call replaces it.
    pub fn progress(&self, text: &str) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[2K{text} …");
        }
    }

    fn clear(&self) {
        if self.terminal {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }

    /// Why it did not work.
    pub fn failure(&self, failure: &Failure) {
        self.clear();
        let theme = match (self.terminal, self.colour) {
            (true, true) => GraphicalTheme::unicode(),
            (true, false) => GraphicalTheme::unicode_nocolor(),
            (false, _) => GraphicalTheme::none(),
        };
        let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_break_words(false)
            .with_width(columns.unwrap_or(WIDTH).max(40));
        let mut text = String::new();
        if handler.render_report(&mut text, failure).is_err() {
            text = failure.to_string();
        }
        // Nobody is left to tell when this fails, too.
        let _ = writeln!(io::stderr(), "{}", text.trim_end());
    }
}
