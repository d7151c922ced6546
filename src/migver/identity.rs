// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a device says about itself: its version, with the string ready to be handed out.

use super::{
    check,
    list::List,
    text,
    Extension,
    Parameter,
    Refusal,
    Version,
    MAX_LEN, //
};

use core::fmt;

/// A version and its string.
///
/// A driver makes one of each of its versions in a `static`, so that the string is written while the
/// driver is compiled. At run time it is only copied, and a source that says the same is recognised by
/// comparing bytes.
///
/// # Invariants
///
/// The first `len` bytes of `text` are the string of `version`, and `len <= MAX_LEN`.
pub struct Identity<'a> {
    version: Version<'a>,
    text: [u8; MAX_LEN],
    len: usize,
}

impl<'a> Identity<'a> {
    /// Writes down the string of a version.
    ///
    /// # Examples
    ///
    /// ```
    /// use migver::{Abi, Description, Identity, Stream, Version};
    ///
    /// static LAMP: Identity<'static> = match Version::new(&Description {
    ///     vendor: "acme",
    ///     model: "lamp",
    ///     abi: Abi { major: 1, minor: 0 },
    ///     stream: Stream { writes: 1, oldest: 1, newest: 1 },
    ///     needs: &[],
    ///     takes: &[],
    ///     parameters: &[],
    ///     extensions: &[],
    /// }) {
    ///     Ok(version) => Identity::new(version),
    ///     Err(_) => panic!("the description of the lamp is wrong"),
    /// };
    ///
    /// assert_eq!(LAMP.to_string(), "migver:1,vendor=acme,model=lamp,abi=1.0,stream=1:1-1");
    /// assert!(LAMP.check(LAMP.as_bytes()).is_ok());
    /// ```
    pub const fn new(version: Version<'a>) -> Self {
        let mut text = [0; MAX_LEN];
        let free = version_text(&version, &mut text).len();
        // INVARIANT: All of the string was written, as it has at most `MAX_LEN` bytes.
        Self {
            version,
            text,
            len: MAX_LEN.saturating_sub(free),
        }
    }

    /// Returns the version.
    pub const fn version(&self) -> &Version<'a> {
        &self.version
    }

    /// Returns the string: printable ASCII, without a newline.
    pub fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }

    /// Returns the string, without a newline.
    pub fn as_str(&self) -> &str {
        // It is ASCII.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// Returns the length of the string, in bytes.
    #[expect(clippy::len_without_is_empty, reason = "no string is empty")]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Does what [`check()`] does, with this as the destination; at no cost for a source that says the
    /// same.
    ///
    /// # Errors
    ///
    /// As [`check()`].
    #[expect(
        clippy::result_large_err,
        reason = "the refusal is what the caller asked for; it is moved once"
    )]
    pub fn check<'s>(&'s self, source_text: &'s [u8]) -> Result<(), Refusal<'s>> {
        // The same bytes are the same version, which is compatible with itself: what `Version` promises.
        if source_text.strip_suffix(b"\n").unwrap_or(source_text) == self.as_bytes() {
            return Ok(());
        }
        check(source_text, &self.version)
    }
}

impl fmt::Debug for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Writes the string of a version to the front of `out`, and returns what is left of it.
///
/// The same as `Display for Version`, which cannot be called while compiling.
const fn version_text<'o>(version: &Version<'_>, out: &'o mut [u8]) -> &'o mut [u8] {
    let out = put(out, "migver:1,vendor=");
    let out = put(out, version.vendor);
    let out = put(out, ",model=");
    let out = put(out, version.model);
    let out = put(out, ",abi=");
    let out = put_number(out, version.abi.major as u64);
    let out = put(out, ".");
    let out = put_number(out, version.abi.minor as u64);
    let out = put(out, ",stream=");
    let out = put_number(out, version.stream.writes as u64);
    let out = put(out, ":");
    let out = put_number(out, version.stream.oldest as u64);
    let out = put(out, "-");
    let out = put_number(out, version.stream.newest as u64);
    let out = put_names(out, ",needs=", &version.needs);
    let out = put_names(out, ",takes=", &version.takes);
    let out = put_parameters(out, &version.parameters);
    put_extensions(out, &version.extensions)
}

const fn put_names<'o>(mut out: &'o mut [u8], field: &str, names: &List<'_, &str>) -> &'o mut [u8] {
    match names {
        List::Text(text) if text.is_empty() => out,
        List::Text(names) => put(put(out, field), names),
        List::Slice(names) => {
            let mut rest = *names;
            let mut before = field;
            while let [name, tail @ ..] = rest {
                out = put(put(out, before), name);
                before = "+";
                rest = tail;
            }
            out
        }
    }
}

const fn put_parameters<'o>(
    mut out: &'o mut [u8],
    parameters: &List<'_, Parameter<'_>>,
) -> &'o mut [u8] {
    match parameters {
        List::Text(text) if text.is_empty() => out,
        List::Text(elements) => put(put(out, ","), elements),
        List::Slice(parameters) => {
            let mut rest = *parameters;
            while let [parameter, tail @ ..] = rest {
                out = put(put(out, ","), Parameter::PREFIX);
                out = put(put(out, parameter.name), "=");
                out = put(put(out, parameter.rule.as_str()), ":");
                out = put_number(out, parameter.value);
                rest = tail;
            }
            out
        }
    }
}

const fn put_extensions<'o>(
    mut out: &'o mut [u8],
    extensions: &List<'_, Extension<'_>>,
) -> &'o mut [u8] {
    match extensions {
        List::Text(text) if text.is_empty() => out,
        List::Text(elements) => put(put(out, ","), elements),
        List::Slice(extensions) => {
            let mut rest = *extensions;
            while let [extension, tail @ ..] = rest {
                out = put(put(out, ","), Extension::PREFIX);
                out = put(put(out, extension.name), "=");
                out = put(put(out, extension.marking.as_str()), ":");
                out = put(out, extension.value);
                rest = tail;
            }
            out
        }
    }
}

/// Writes `text` to the front of `out`, and returns what is left of it.
const fn put<'o>(mut out: &'o mut [u8], text: &str) -> &'o mut [u8] {
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        let Some((to, free)) = out.split_first_mut() else {
            return &mut [];
        };
        *to = *byte;
        out = free;
        rest = tail;
    }
    out
}

const fn put_number(out: &mut [u8], mut number: u64) -> &mut [u8] {
    let Some((mut place, free)) = out.split_at_mut_checked(text::digits(number)) else {
        return &mut [];
    };
    // From the last digit to the first.
    while let Some((to, head)) = place.split_last_mut() {
        *to = b'0'.saturating_add((number % 10) as u8);
        number /= 10;
        place = head;
    }
    free
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_identity)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::shown::shows;
    use super::super::{
        Abi,
        Class,
        Description,
        Marking,
        Rule,
        Stream, //
    };
    use super::*;

    const LEAST: Description<'static> = Description {
        vendor: "v",
        model: "m",
        abi: Abi { major: 0, minor: 0 },
        stream: Stream {
            writes: 0,
            oldest: 0,
            newest: 0,
        },
        needs: &[],
        takes: &[],
        parameters: &[],
        extensions: &[],
    };
    const MOST: Description<'static> = Description {
        vendor: "example.com",
        model: "nic-2",
        abi: Abi {
            major: u32::MAX,
            minor: 10,
        },
        stream: Stream {
            writes: 3,
            oldest: 1,
            newest: 70,
        },
        needs: &["a", "c"],
        takes: &["a", "b", "c"],
        parameters: &[
            Parameter {
                name: "memory-mib",
                rule: Rule::AtMost,
                value: u64::MAX,
            },
            Parameter {
                name: "ports",
                rule: Rule::AtLeast,
                value: 0,
            },
        ],
        extensions: &[
            Extension {
                name: "firmware",
                marking: Marking::Optional,
                value: "7.2-rc1",
            },
            Extension {
                name: "numa",
                marking: Marking::Required,
                value: "0",
            },
        ],
    };

    /// Whether an identity says what is shown of its version.
    fn is_shown(version: Version<'_>) -> bool {
        let identity = Identity::new(version);
        shows(&version, identity.as_str())
            && identity.len() == identity.as_str().len()
            && *identity.version() == version
    }

    #[test]
    fn the_string_is_the_one_that_is_shown() {
        for description in [LEAST, MOST] {
            let built = Version::new(&description);
            assert!(built.is_ok_and(is_shown));
            // What was read lies in memory in another way.
            let identity = built.map(Identity::new);
            let read = identity
                .as_ref()
                .map(|identity| Version::parse(identity.as_bytes()));
            assert!(matches!(read, Ok(Ok(read)) if is_shown(read)));
        }
    }

    #[test]
    fn the_longest_string_has_room() {
        const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
        let extension = |name| Extension {
            name,
            marking: Marking::Required,
            value: LONG,
        };
        // With its 46 bytes, `LEAST` leaves 976: 13 of 75 and a vendor with one byte more.
        let all = [
            "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m",
        ]
        .map(extension);
        let longest = Version::new(&Description {
            vendor: "vv",
            extensions: &all,
            ..LEAST
        });
        assert!(longest.is_ok_and(is_shown));
        let len = longest.map(|longest| Identity::new(longest).len());
        assert_eq!(len, Ok(MAX_LEN));
    }

    #[test]
    fn a_source_that_says_the_same_fits_and_no_other_goes_unseen() {
        let mine = match Version::new(&MOST) {
            Ok(version) => Identity::new(version),
            Err(_) => panic!("not a valid version"),
        };
        fn class(mine: &Identity<'_>, text: &[u8]) -> Option<Class> {
            mine.check(text).err().map(|refusal| refusal.class())
        }
        assert!(mine.check(mine.as_bytes()).is_ok());
        let mut text = [b'\n'; MAX_LEN];
        for (to, from) in text.iter_mut().zip(mine.as_bytes()) {
            *to = *from;
        }
        let len = mine.len();
        assert!(class(&mine, &text[..len]).is_none() && class(&mine, &text[..len + 1]).is_none());
        assert!(class(&mine, &text[..len + 2]) == Some(Class::Malformed));
        assert!(class(&mine, &text[..len - 1]) == Some(Class::Malformed));
        assert!(class(&mine, &text[1..len]) == Some(Class::Malformed));
        assert!(class(&mine, b"") == Some(Class::Malformed));
        // Of `ext.numa=must:0`.
        text[len - 1] = b'1';
        assert!(class(&mine, &text[..len]) == Some(Class::Feature));
    }
}
