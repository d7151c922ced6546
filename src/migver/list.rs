// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The lists of a version string, read as they lie: in the string that was parsed, or in a
//! driver's own constants.

use super::{
    text,
    Extension,
    Parameter, //
};

use core::{
    iter::Copied,
    slice, //
};

/// Where a list lies.
///
/// # Invariants
///
/// The text is empty or a list that [`Version::parse`](super::Version::parse) has accepted. A slice
/// is one that [`Version::new`](super::Version::new) has accepted. Both are strictly ascending by
/// name.
#[derive(Clone, Copy, Debug)]
pub(super) enum List<'a, T> {
    Text(&'a str),
    Slice(&'a [T]),
}

impl<'a, T: Copy> List<'a, T> {
    fn items(&self, separator: u8) -> Items<'a, T> {
        match *self {
            Self::Text(rest) => Items::Text { rest, separator },
            Self::Slice(slice) => Items::Slice(slice.iter().copied()),
        }
    }
}

impl<'a> List<'a, &'a str> {
    pub(super) fn names(&self) -> Names<'a> {
        Names(self.items(b'+'))
    }
}

impl<'a> List<'a, Parameter<'a>> {
    pub(super) fn parameters(&self) -> Parameters<'a> {
        Parameters(self.items(b','))
    }
}

impl<'a> List<'a, Extension<'a>> {
    pub(super) fn extensions(&self) -> Extensions<'a> {
        Extensions(self.items(b','))
    }
}

#[derive(Clone, Debug)]
enum Items<'a, T> {
    Text { rest: &'a str, separator: u8 },
    Slice(Copied<slice::Iter<'a, T>>),
}

impl<'a, T: Copy> Items<'a, T> {
    fn next(&mut self, read: fn(&'a str) -> Option<T>) -> Option<T> {
        match self {
            Self::Text { rest: "", .. } => None,
            Self::Text { rest, separator } => {
                let (element, others) = text::split_once(rest, *separator).unwrap_or((rest, ""));
                *rest = others;
                read(element)
            }
            Self::Slice(items) => items.next(),
        }
    }
}

/// An iterator over feature names, in ascending order of their bytes.
#[derive(Clone, Debug)]
pub struct Names<'a>(Items<'a, &'a str>);

impl<'a> Iterator for Names<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Some)
    }
}

/// An iterator over creation parameters, in ascending order of their names.
#[derive(Clone, Debug)]
pub struct Parameters<'a>(Items<'a, Parameter<'a>>);

impl<'a> Iterator for Parameters<'a> {
    type Item = Parameter<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Parameter::from_element)
    }
}

/// An iterator over extensions, in ascending order of their names.
#[derive(Clone, Debug)]
pub struct Extensions<'a>(Items<'a, Extension<'a>>);

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next(Extension::from_element)
    }
}
