// SPDX-License-Identifier: GPL-2.0-only

//! Colours and marks: whether output may have them, and which mean what.
//!
//! A command writes `write!(context.out, "{}", context.style.good("compatible"))` wherever its
//! output goes; what may not be coloured comes out plain.

use anstyle::{
    AnsiColor,
    Color,
    Style, //
};
use clap::ColorChoice;

use std::{
    env,
    fmt::{
        self,
        Display, //
    },
    io::IsTerminal, //
};

/// Whether output may be coloured, and whether it may go beyond ASCII.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Palette {
    /// Whether escape sequences of ECMA-48 may be written.
    pub colour: bool,
    /// Whether the locale's character set is UTF-8.
    pub unicode: bool,
}

impl Palette {
    /// Decides for a stream: `choice` first, then `NO_COLOR`, `CLICOLOR_FORCE`, `CLICOLOR` and
    /// `TERM`, then whether it is a terminal.
    pub fn of(
        choice: ColorChoice,
        stream: &(impl IsTerminal + anstream::stream::RawStream),
    ) -> Self {
        let colour = match choice {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                anstream::AutoStream::choice(stream) != anstream::ColorChoice::Never
            }
        };
        Self {
            colour,
            unicode: locale_is_utf8(|name| env::var(name).ok()),
        }
    }

    /// What is well: compatible, equal, available.
    pub const fn good<T: Display>(self, text: T) -> Painted<T> {
        self.paint(foreground(AnsiColor::Green), text)
    }

    /// What is refused.
    pub const fn bad<T: Display>(self, text: T) -> Painted<T> {
        self.paint(foreground(AnsiColor::Red).bold(), text)
    }

    /// What deserves a look.
    pub const fn warning<T: Display>(self, text: T) -> Painted<T> {
        self.paint(foreground(AnsiColor::Yellow), text)
    }

    /// The head of a table, the name of a thing.
    pub const fn heading<T: Display>(self, text: T) -> Painted<T> {
        self.paint(Style::new().bold(), text)
    }

    /// What matters less than its surroundings.
    pub const fn dim<T: Display>(self, text: T) -> Painted<T> {
        self.paint(Style::new().dimmed(), text)
    }

    /// Puts `text` in any other style.
    pub const fn paint<T: Display>(self, style: Style, text: T) -> Painted<T> {
        Painted {
            style: if self.colour { style } else { Style::new() },
            text,
        }
    }

    /// Returns the mark for what holds: `✓`, or `ok` where only ASCII goes.
    pub const fn yes(self) -> &'static str {
        if self.unicode {
            "✓"
        } else {
            "ok"
        }
    }

    /// Returns the mark for what does not hold: `✗`, or `NO` where only ASCII goes.
    pub const fn no(self) -> &'static str {
        if self.unicode {
            "✗"
        } else {
            "NO"
        }
    }
}

const fn foreground(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// A text in a style. Width and alignment of the format apply to the text alone.
#[derive(Clone, Copy, Debug)]
pub struct Painted<T> {
    style: Style,
    text: T,
}

impl<T: Display> Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.style.render())?;
        self.text.fmt(f)?;
        write!(f, "{}", self.style.render_reset())
    }
}

/// Whether POSIX's variables, in their order of precedence, name a locale with UTF-8.
fn locale_is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .is_some_and(|value| {
            let value = value.to_ascii_lowercase();
            value.contains("utf-8") || value.contains("utf8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let of = |values: &'static [(&str, &str)]| {
            locale_is_utf8(|name| {
                let (_, value) = values.iter().find(|(key, _)| *key == name)?;
                Some((*value).to_owned())
            })
        };
        assert!(!of(&[]));
        assert!(!of(&[("LANG", "C")]));
        assert!(of(&[("LANG", "de_DE.UTF-8")]));
        assert!(of(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]));
        assert!(!of(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
    }

    #[test]
    fn plain_output_has_no_escape_sequence() {
        let plain = Palette::default();
        assert_eq!(plain.bad("no").to_string(), "no");
        let coloured = Palette {
            colour: true,
            ..plain
        };
        assert_eq!(coloured.good("yes").to_string(), "\u{1b}[32myes\u{1b}[0m");
    }
}
