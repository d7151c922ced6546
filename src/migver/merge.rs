// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Walking two sorted lists side by side, once.

use core::{
    cmp::Ordering,
    iter::Peekable, //
};

/// An iterator over the names of one list that another one lacks.
///
/// Both lists are strictly ascending, so that one walk over each is enough.
pub(super) struct Missing<'a, L, R> {
    few: L,
    many: R,
    /// The first name of `many` that `few` has not gone past.
    candidate: Option<&'a str>,
}

/// Iterates over the names in `few` that are not in `many`.
pub(super) fn missing<'a, L, R>(few: L, mut many: R) -> Missing<'a, L, R>
where
    L: Iterator<Item = &'a str>,
    R: Iterator<Item = &'a str>,
{
    let candidate = many.next();
    Missing {
        few,
        many,
        candidate,
    }
}

impl<'a, L, R> Iterator for Missing<'a, L, R>
where
    L: Iterator<Item = &'a str>,
    R: Iterator<Item = &'a str>,
{
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let name = self.few.next()?;
            while self.candidate.is_some_and(|candidate| candidate < name) {
                self.candidate = self.many.next();
            }
            if self.candidate != Some(name) {
                return Some(name);
            }
        }
    }
}

/// An item of one list or of both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Merged<T> {
    /// Only the left list has an item of this key.
    Left(T),
    /// Only the right list has an item of this key.
    Right(T),
    /// Both lists have an item of this key.
    Both(T, T),
}

/// An iterator over the union of two lists.
///
/// Both lists are strictly ascending by key. Each item is looked at a bounded number of times, so
/// that the walk is linear in the lengths of the lists.
pub(super) struct Merge<'a, T, L, R>
where
    L: Iterator<Item = T>,
    R: Iterator<Item = T>,
{
    left: Peekable<L>,
    right: Peekable<R>,
    key: fn(&T) -> &'a str,
}

/// Merges two lists that are strictly ascending by `key`.
pub(super) fn merge<'a, T, L, R>(left: L, right: R, key: fn(&T) -> &'a str) -> Merge<'a, T, L, R>
where
    L: Iterator<Item = T>,
    R: Iterator<Item = T>,
{
    Merge {
        left: left.peekable(),
        right: right.peekable(),
        key,
    }
}

impl<T, L, R> Iterator for Merge<'_, T, L, R>
where
    L: Iterator<Item = T>,
    R: Iterator<Item = T>,
{
    type Item = Merged<T>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.left.peek(), self.right.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(left), Some(right)) => (self.key)(left).cmp((self.key)(right)),
        };
        match order {
            Ordering::Less => self.left.next().map(Merged::Left),
            Ordering::Greater => self.right.next().map(Merged::Right),
            Ordering::Equal => match (self.left.next(), self.right.next()) {
                (Some(left), Some(right)) => Some(Merged::Both(left, right)),
                _ => None,
            },
        }
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_merge)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_missing() {
        let mut names = missing(
            ["a", "c", "d", "f"].into_iter(),
            ["b", "c", "e"].into_iter(),
        );
        assert!(names.next() == Some("a"));
        assert!(names.next() == Some("d"));
        assert!(names.next() == Some("f"));
        assert!(names.next().is_none());
    }

    #[test]
    fn visits_every_item_once_in_order() {
        let mut merged = merge(
            ["a", "c", "d"].into_iter(),
            ["b", "c", "e"].into_iter(),
            |name| *name,
        );
        assert!(merged.next() == Some(Merged::Left("a")));
        assert!(merged.next() == Some(Merged::Right("b")));
        assert!(merged.next() == Some(Merged::Both("c", "c")));
        assert!(merged.next() == Some(Merged::Left("d")));
        assert!(merged.next() == Some(Merged::Right("e")));
        assert!(merged.next().is_none());
    }
}
