// SPDX-License-Identifier: GPL-2.0-only
//! The programs that a run begins with: `seeds/` has valid uses of the interface, and would have what was once wrong.

use crate::program::Program;

macro_rules! programs {
    ($($folder:literal $name:literal)*) => {
        &[$((
            concat!($folder, "/", $name),
            include_str!(concat!("../", $folder, "/", $name, ".txt")),
        )),*]
    };
}

/// Each with its name.
const PROGRAMS: &[(&str, &str)] = programs! {
    "seeds" "accesses"
    "seeds" "attributes"
    "seeds" "dma-logging"
    "seeds" "information"
    "seeds" "interrupts"
    "seeds" "lifetime"
    "seeds" "mapping"
    "seeds" "precopy"
    "seeds" "region-load"
    "seeds" "region-save"
    "seeds" "save-and-load"
    "seeds" "streams"
};

/// All of them.
///
/// # Errors
///
/// What is wrong with the text of one.
pub fn all() -> Result<Vec<(&'static str, Program)>, String> {
    let parse = |(name, text): &(&'static str, &str)| match text.parse() {
        Ok(program) => Ok((*name, program)),
        Err(wrong) => Err(format!("{name}: {wrong}")),
    };
    PROGRAMS.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_can_be_read() {
        assert_eq!(
            super::all().map(|programs| programs.len()),
            Ok(super::PROGRAMS.len())
        );
    }
}
