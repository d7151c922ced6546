// SPDX-License-Identifier: GPL-2.0-only
//! The functions of the module, as the kernel lists them, and those of them that a program must be able to reach.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The module's name in the list.
const MODULE: &str = "[migdev]";

/// The callbacks through which the kernel enters the module when a user calls it: part of the path, and the function. Left
/// out are those that run in other contexts, such as the release of what is no longer referred to.
const ENTRIES: [(&str, &str); 29] = [
    ("6vtable", "13open_callback"),
    ("6vtable", "14close_callback"),
    ("6vtable", "13read_callback"),
    ("6vtable", "14write_callback"),
    ("6vtable", "14ioctl_callback"),
    ("6vtable", "24get_region_info_callback"),
    ("6vtable", "13mmap_callback"),
    ("6vtable", "16request_callback"),
    ("9migration", "18get_state_callback"),
    ("9migration", "18set_state_callback"),
    ("9migration", "22get_data_size_callback"),
    ("11dma_logging", "14start_callback"),
    ("11dma_logging", "13stop_callback"),
    ("11dma_logging", "15report_callback"),
    ("9data_file", "13read_callback"),
    ("9data_file", "14write_callback"),
    ("9data_file", "14ioctl_callback"),
    ("9data_file", "13poll_callback"),
    ("9data_file", "16release_callback"),
    ("13TypeDirectory", "16MigrationVersionE13read_callback"),
    ("13TypeDirectory", "16MigrationVersionE14write_callback"),
    ("15DeviceDirectory", "16MigrationVersionE13read_callback"),
    ("15DeviceDirectory", "16MigrationVersionE14write_callback"),
    ("13TypeDirectory", "7PresentE13read_callback"),
    ("13TypeDirectory", "7PresentE14write_callback"),
    ("13TypeDirectory", "9SupportedE13read_callback"),
    ("4mdev6driver", "14probe_callback"),
    ("4mdev6driver", "15remove_callback"),
    ("7debugfs", "13show_callback"),
];

/// The functions of the module by where they begin.
pub struct Symbols(BTreeMap<u64, Vec<String>>);

impl Symbols {
    /// Reads the kernel's list.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn read() -> Result<Self, String> {
        let list = fs::read_to_string("/proc/kallsyms")
            .map_err(|error| format!("/proc/kallsyms: {error}"))?;
        Symbols::parse(&list)
    }

    fn parse(list: &str) -> Result<Self, String> {
        let mut functions: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for line in list.lines().filter(|line| line.ends_with(MODULE)) {
            let mut words = line.split_whitespace();
            let (Some(at), Some("t" | "T"), Some(name)) =
                (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let at = u64::from_str_radix(at, 16).map_err(|_| format!("not a symbol: {line}"))?;
            functions.entry(at).or_default().push(name.to_owned());
        }
        match functions.keys().next() {
            None => Err("the kernel lists no functions of the module".to_owned()),
            Some(0) => Err("the kernel hides where functions are".to_owned()),
            _ => Ok(Symbols(functions)),
        }
    }

    /// Where the module's code begins.
    pub fn start(&self) -> u64 {
        self.0.keys().next().copied().unwrap_or_default()
    }

    /// The entries that none of these addresses is in.
    pub fn not_entered(&self, reached: &BTreeSet<u64>) -> Vec<String> {
        let entered: Vec<&String> = reached
            .iter()
            .filter_map(|at| self.0.range(..=at).next_back())
            .flat_map(|(_, names)| names)
            .collect();
        let is = |name: &str, (path, function): (&str, &str)| {
            name.starts_with("_RNvM") && name.contains(path) && name.contains(function)
        };
        let missing = ENTRIES
            .into_iter()
            .filter(|entry| !entered.iter().any(|name| is(name, *entry)));
        missing
            .map(|(path, function)| format!("{path} {function}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_function_that_begins_before_it() {
        let list = "0000000000001000 t _RNvMNt6migdev4vfio6vtableINtB2_6VTableE13open_callbackB6_\t[migdev]\n\
                    0000000000002000 t _RNvMNt6migdev4vfio6vtableINtB2_6VTableE13mmap_callbackB6_\t[migdev]\n\
                    0000000000003000 d data\t[migdev]\n0000000000004000 t other\t[other]\n";
        let symbols = Symbols::parse(list).unwrap();
        let missing = |reached: &[u64]| symbols.not_entered(&reached.iter().copied().collect());
        assert_eq!(missing(&[]).len(), ENTRIES.len());
        assert!(!missing(&[0x1010]).contains(&"6vtable 13open_callback".to_owned()));
        assert!(missing(&[0x1010]).contains(&"6vtable 13mmap_callback".to_owned()));
        assert_eq!(missing(&[0x1fff, 0x2000]).len(), ENTRIES.len() - 2);
        assert!(Symbols::parse("").is_err());
        assert!(Symbols::parse("0000000000000000 t x\t[migdev]\n").is_err());
    }
}
