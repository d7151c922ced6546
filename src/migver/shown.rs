// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! For tests: what a value is shown as, compared without memory to keep it in.

use core::fmt::{
    Display,
    Error,
    Result,
    Write, //
};

/// What is still expected.
struct Rest<'a>(&'a str);

impl Write for Rest<'_> {
    fn write_str(&mut self, text: &str) -> Result {
        self.0 = self.0.strip_prefix(text).ok_or(Error)?;
        Ok(())
    }
}

/// Whether `value` is shown as `text`.
pub(super) fn shows(value: &dyn Display, text: &str) -> bool {
    let mut rest = Rest(text);
    write!(rest, "{value}").is_ok() && rest.0.is_empty()
}
