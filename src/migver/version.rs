// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A version, built from a driver's own constants or parsed, and how it is written.

use super::{
    list::List,
    parse,
    text,
    Abi,
    Expected,
    Extension,
    Extensions,
    Invalid,
    Names,
    Parameter,
    Parameters,
    ParseError,
    Stream,
    MAX_LEN, //
};

use core::{
    cmp::Ordering,
    fmt, //
};

/// What a driver says about a device, to be made a [`Version`].
#[derive(Clone, Copy, Debug)]
pub struct Description<'a> {
    /// Whose device it is. See `Documentation/migration-version.rst` for who may use which name.
    pub vendor: &'a str,
    /// What the vendor calls the family of devices whose state is alike.
    pub model: &'a str,
    /// What the guest sees.
    pub abi: Abi,
    /// The stream it writes and the streams it loads.
    pub stream: Stream,
    /// The features that the state needs, sorted; each of them is among `takes`.
    pub needs: &'a [&'a str],
    /// The features that the device can take in, sorted.
    pub takes: &'a [&'a str],
    /// The creation parameters, sorted by name.
    pub parameters: &'a [Parameter<'a>],
    /// The extensions, sorted by name.
    pub extensions: &'a [Extension<'a>],
}

/// A valid version: the meaning of one version string.
///
/// # Invariants
///
/// - The string has at most [`MAX_LEN`] bytes.
/// - Names and values are of their characters and length.
/// - `stream.oldest <= stream.writes <= stream.newest`.
/// - The lists are strictly ascending by name, and `takes` holds all that `needs` holds.
///
/// The last two make every version compatible with itself.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    pub(super) vendor: &'a str,
    pub(super) model: &'a str,
    pub(super) abi: Abi,
    pub(super) stream: Stream,
    pub(super) needs: List<'a, &'a str>,
    pub(super) takes: List<'a, &'a str>,
    pub(super) parameters: List<'a, Parameter<'a>>,
    pub(super) extensions: List<'a, Extension<'a>>,
}

impl<'a> Version<'a> {
    /// Makes a version of a driver's own description.
    ///
    /// It can be called in a `const`, where a mistake then fails the build.
    ///
    /// # Errors
    ///
    /// Names the first field that could not be parsed back from the string.
    ///
    /// # Examples
    ///
    /// ```
    /// use migver::{Abi, Description, Parameter, Rule, Stream, Version};
    ///
    /// const SERIAL: Version<'static> = match Version::new(&Description {
    ///     vendor: "migdev",
    ///     model: "serial",
    ///     abi: Abi { major: 1, minor: 0 },
    ///     stream: Stream { writes: 1, oldest: 1, newest: 1 },
    ///     needs: &[],
    ///     takes: &[],
    ///     parameters: &[Parameter { name: "ports", rule: Rule::Equal, value: 2 }],
    ///     extensions: &[],
    /// }) {
    ///     Ok(version) => version,
    ///     Err(_) => panic!("the description of the serial card is wrong"),
    /// };
    ///
    /// assert_eq!(
    ///     SERIAL.to_string(),
    ///     "migver:1,vendor=migdev,model=serial,abi=1.0,stream=1:1-1,param.ports=eq:2",
    /// );
    /// ```
    pub const fn new(description: &Description<'a>) -> Result<Self, Invalid> {
        if let Err(invalid) = validate(description) {
            return Err(invalid);
        }
        // INVARIANT: `validate` has checked each of them.
        Ok(Self {
            vendor: description.vendor,
            model: description.model,
            abi: description.abi,
            stream: description.stream,
            needs: List::Slice(description.needs),
            takes: List::Slice(description.takes),
            parameters: List::Slice(description.parameters),
            extensions: List::Slice(description.extensions),
        })
    }

    /// Reads a string, with or without one newline at its end.
    ///
    /// The text is taken whole or not at all: what is accepted is shown again as the same bytes
    /// (without the newline).
    ///
    /// # Errors
    ///
    /// - [`ParseError::TooLong`] for more than [`MAX_LEN`] bytes, which are not looked at.
    /// - [`ParseError::Schema`] for a string that begins as one of another schema does.
    /// - [`ParseError::Malformed`] for anything else, with the place and what was expected there.
    pub fn parse(text: &'a [u8]) -> Result<Self, ParseError> {
        parse::version(text)
    }

    /// Returns whose device it is.
    pub const fn vendor(&self) -> &'a str {
        self.vendor
    }

    /// Returns the family of devices whose state is alike.
    pub const fn model(&self) -> &'a str {
        self.model
    }

    /// Returns what the guest sees.
    pub const fn abi(&self) -> Abi {
        self.abi
    }

    /// Returns the stream that the device writes and the streams that it loads.
    pub const fn stream(&self) -> Stream {
        self.stream
    }

    /// Iterates over the features that the device's state needs.
    pub fn needs(&self) -> Names<'a> {
        self.needs.names()
    }

    /// Iterates over the features that the device can take in.
    pub fn takes(&self) -> Names<'a> {
        self.takes.names()
    }

    /// Iterates over the creation parameters.
    pub fn parameters(&self) -> Parameters<'a> {
        self.parameters.parameters()
    }

    /// Iterates over the extensions.
    pub fn extensions(&self) -> Extensions<'a> {
        self.extensions.extensions()
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.vendor == other.vendor
            && self.model == other.model
            && self.abi == other.abi
            && self.stream == other.stream
            && self.needs().eq(other.needs())
            && self.takes().eq(other.takes())
            && self.parameters().eq(other.parameters())
            && self.extensions().eq(other.extensions())
    }
}

impl Eq for Version<'_> {}

impl fmt::Display for Version<'_> {
    /// Shows the one string of this version, without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "migver:1,vendor={},model={},abi={},stream={}",
            self.vendor, self.model, self.abi, self.stream
        )?;
        for (field, names) in [(",needs=", self.needs()), (",takes=", self.takes())] {
            let mut before = field;
            for name in names {
                f.write_str(before)?;
                f.write_str(name)?;
                before = "+";
            }
        }
        for parameter in self.parameters() {
            write!(f, ",{parameter}")?;
        }
        for extension in self.extensions() {
            write!(f, ",{extension}")?;
        }
        Ok(())
    }
}

/// Checks the invariants of [`Version`].
const fn validate(description: &Description<'_>) -> Result<(), Invalid> {
    if !text::name_is_valid(description.vendor) {
        return invalid("vendor", Expected::Name);
    }
    if !text::name_is_valid(description.model) {
        return invalid("model", Expected::Name);
    }
    if !description.stream.is_valid() {
        return invalid("stream", Expected::Range);
    }
    let length = Length(0)
        .text("migver:1,vendor=,model=,abi=.,stream=:-")
        .text(description.vendor)
        .text(description.model)
        .number(description.abi.major as u64)
        .number(description.abi.minor as u64)
        .number(description.stream.writes as u64)
        .number(description.stream.oldest as u64)
        .number(description.stream.newest as u64);
    let length = match validate_names("needs", description.needs, length) {
        Ok(length) => length,
        Err(invalid) => return Err(invalid),
    };
    let length = match validate_names("takes", description.takes, length) {
        Ok(length) => length,
        Err(invalid) => return Err(invalid),
    };
    if !is_subset(description.needs, description.takes) {
        return invalid("needs", Expected::Taken);
    }
    let length = match validate_parameters(description.parameters, length) {
        Ok(length) => length,
        Err(invalid) => return Err(invalid),
    };
    match validate_extensions(description.extensions, length) {
        Ok(length) if length.0 > MAX_LEN => invalid("string", Expected::Length),
        Ok(_) => Ok(()),
        Err(invalid) => Err(invalid),
    }
}

const fn invalid<T: Copy>(field: &'static str, expected: Expected) -> Result<T, Invalid> {
    Err(Invalid { field, expected })
}

const fn validate_names(
    field: &'static str,
    names: &[&str],
    mut length: Length,
) -> Result<Length, Invalid> {
    let mut rest = names;
    let mut previous = "";
    while let [name, tail @ ..] = rest {
        if !text::name_is_valid(name) {
            return invalid(field, Expected::Name);
        }
        // The empty string sorts before every name.
        if !is_less(previous, name) {
            return invalid(field, Expected::Ascending);
        }
        // One more for the `=` or `+` before each name.
        length = length.text(name).text("+");
        previous = name;
        rest = tail;
    }
    if !names.is_empty() {
        length = length.text(",").text(field);
    }
    Ok(length)
}

const fn validate_parameters(
    parameters: &[Parameter<'_>],
    mut length: Length,
) -> Result<Length, Invalid> {
    let mut rest = parameters;
    let mut previous = "";
    while let [parameter, tail @ ..] = rest {
        if !text::name_is_valid(parameter.name) {
            return invalid("param", Expected::Name);
        }
        if !is_less(previous, parameter.name) {
            return invalid("param", Expected::Ascending);
        }
        length = length
            .text(",=:")
            .text(Parameter::PREFIX)
            .text(parameter.name)
            .text(parameter.rule.as_str())
            .number(parameter.value);
        previous = parameter.name;
        rest = tail;
    }
    Ok(length)
}

const fn validate_extensions(
    extensions: &[Extension<'_>],
    mut length: Length,
) -> Result<Length, Invalid> {
    let mut rest = extensions;
    let mut previous = "";
    while let [extension, tail @ ..] = rest {
        if !text::name_is_valid(extension.name) {
            return invalid("ext", Expected::Name);
        }
        if !is_less(previous, extension.name) {
            return invalid("ext", Expected::Ascending);
        }
        if !text::value_is_valid(extension.value) {
            return invalid("ext", Expected::Value);
        }
        length = length
            .text(",=:")
            .text(Extension::PREFIX)
            .text(extension.name)
            .text(extension.marking.as_str())
            .text(extension.value);
        previous = extension.name;
        rest = tail;
    }
    Ok(length)
}

const fn is_less(left: &str, right: &str) -> bool {
    matches!(text::order(left, right), Ordering::Less)
}

/// Whether all of `few` is among `many`. Both are strictly ascending.
const fn is_subset(mut few: &[&str], mut many: &[&str]) -> bool {
    while let [name, few_tail @ ..] = few {
        let [candidate, many_tail @ ..] = many else {
            return false;
        };
        match text::order(name, candidate) {
            Ordering::Less => return false,
            Ordering::Equal => few = few_tail,
            Ordering::Greater => {}
        }
        many = many_tail;
    }
    true
}

/// A length in bytes that is being added up.
#[derive(Clone, Copy)]
struct Length(usize);

impl Length {
    const fn text(self, text: &str) -> Self {
        Self(self.0.saturating_add(text.len()))
    }

    const fn number(self, number: u64) -> Self {
        Self(self.0.saturating_add(text::digits(number)))
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_version)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::shown::shows;
    use super::super::{
        Marking,
        Rule, //
    };
    use super::*;

    const FULL: Description<'static> = Description {
        vendor: "example.com",
        model: "nic-2",
        abi: Abi {
            major: u32::MAX,
            minor: 0,
        },
        stream: Stream {
            writes: 3,
            oldest: 1,
            newest: 7,
        },
        needs: &["a", "c"],
        takes: &["a", "b", "c"],
        parameters: &[
            Parameter {
                name: "memory-mib",
                rule: Rule::AtMost,
                value: 4096,
            },
            Parameter {
                name: "ports",
                rule: Rule::Equal,
                value: 2,
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
    const TEXT: &str = "migver:1,vendor=example.com,model=nic-2,abi=4294967295.0,stream=3:1-7,\
                        needs=a+c,takes=a+b+c,param.memory-mib=le:4096,param.ports=eq:2,\
                        ext.firmware=may:7.2-rc1,ext.numa=must:0";

    /// Whether `description` is wrong in `field`, where `expected` would have been right.
    fn is_wrong(description: Description<'_>, field: &'static str, expected: Expected) -> bool {
        Version::new(&description) == Err(Invalid { field, expected })
    }

    #[test]
    fn a_built_version_and_a_read_one_are_the_same() {
        let built = Version::new(&FULL);
        assert!(built.is_ok_and(|built| shows(&built, TEXT)));
        let read = Version::parse(TEXT.as_bytes());
        assert!(read.is_ok_and(|read| built == Ok(read)));
    }

    #[test]
    fn refuses_a_description_that_no_string_can_hold() {
        let name = Expected::Name;
        assert!(is_wrong(Description { vendor: "", ..FULL }, "vendor", name));
        assert!(is_wrong(Description { model: "A", ..FULL }, "model", name));
        let stream = Stream {
            writes: 0,
            ..FULL.stream
        };
        assert!(is_wrong(
            Description { stream, ..FULL },
            "stream",
            Expected::Range
        ));

        let ascending = Expected::Ascending;
        let takes = &["a", "c", "b"];
        assert!(is_wrong(Description { takes, ..FULL }, "takes", ascending));
        let takes = &["a", "b"];
        assert!(is_wrong(
            Description { takes, ..FULL },
            "needs",
            Expected::Taken
        ));
        let needs = &["a", "a"];
        assert!(is_wrong(Description { needs, ..FULL }, "needs", ascending));

        let [first, second] = [FULL.parameters, FULL.parameters].map(|list| list.first().copied());
        if let (Some(first), Some(second)) = (first, second) {
            let parameters = &[first, second];
            assert!(is_wrong(
                Description { parameters, ..FULL },
                "param",
                ascending
            ));
        }
        let extensions = &[Extension {
            name: "e",
            marking: Marking::Optional,
            value: "a/b",
        }];
        assert!(is_wrong(
            Description { extensions, ..FULL },
            "ext",
            Expected::Value
        ));
    }

    #[test]
    fn refuses_a_description_that_is_too_long() {
        const LONG: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
        let extension = |name| Extension {
            name,
            marking: Marking::Required,
            value: LONG,
        };
        let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"].map(extension);
        let (fits, _) = all.split_at(11);
        let fits = Description {
            extensions: fits,
            ..FULL
        };
        assert!(Version::new(&fits).is_ok());
        let extensions = &all;
        assert!(is_wrong(
            Description { extensions, ..FULL },
            "string",
            Expected::Length
        ));
    }
}
