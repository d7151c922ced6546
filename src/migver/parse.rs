// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Reading a version string, from left to right, once.

use super::{
    list::List,
    merge::missing,
    text,
    Abi,
    Expected,
    Extension,
    Marking,
    Parameter,
    ParseError,
    Rule,
    Stream,
    Version,
    MAX_LEN,
    MAX_NAME_LEN,
    SCHEMA, //
};

/// Reads a whole text. See [`Version::parse`].
pub(super) fn version(text: &[u8]) -> Result<Version<'_>, ParseError> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    if text.len() > MAX_LEN {
        return Err(ParseError::TooLong { length: text.len() });
    }
    let mut cursor = Cursor::new(text)?;

    cursor.literal("migver:")?;
    let schema = cursor.number32()?;
    if schema != SCHEMA {
        return Err(cursor.other_schema(schema));
    }

    cursor.literal(",vendor=")?;
    let vendor = cursor.name()?;
    cursor.literal(",model=")?;
    let model = cursor.name()?;
    cursor.literal(",abi=")?;
    let abi = cursor.abi()?;
    cursor.literal(",stream=")?;
    let stream = cursor.stream()?;

    let has_needs = cursor.skip(",needs=");
    let needs_at = cursor.at();
    let needs = cursor.features(has_needs)?;
    let has_takes = cursor.skip(",takes=");
    let takes = cursor.features(has_takes)?;
    cursor.check_taken(&needs, needs_at, &takes)?;

    let parameters = cursor.elements(Parameter::PREFIX, Cursor::parameter)?;
    let extensions = cursor.elements(Extension::PREFIX, Cursor::extension)?;
    cursor.end()?;

    // INVARIANT: each was checked as it was read.
    Ok(Version {
        vendor,
        model,
        abi,
        stream,
        needs,
        takes,
        parameters: List::Text(parameters),
        extensions: List::Text(extensions),
    })
}

/// A place in a text.
struct Cursor<'a> {
    text: &'a str,
    /// What has not been read; a suffix of `text`.
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Starts to read a text, all of whose bytes are of the characters of a string.
    fn new(text: &'a [u8]) -> Result<Self, ParseError> {
        let error = |at| ParseError::Malformed {
            length: text.len(),
            at,
            expected: Expected::Text,
            found: text.get(at).copied(),
        };
        if let Some(at) = text.iter().position(|byte| !text::is_text(*byte)) {
            return Err(error(at));
        }
        // It is ASCII.
        match core::str::from_utf8(text) {
            Ok(text) => Ok(Self { text, rest: text }),
            Err(other) => Err(error(other.valid_up_to())),
        }
    }

    fn at(&self) -> usize {
        self.text.len().saturating_sub(self.rest.len())
    }

    fn expected(&self, at: usize, expected: Expected) -> ParseError {
        ParseError::Malformed {
            length: self.text.len(),
            at,
            expected,
            found: self.text.as_bytes().get(at).copied(),
        }
    }

    /// Moves over `text` if it stands here.
    fn skip(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn literal(&mut self, text: &'static str) -> Result<(), ParseError> {
        if self.skip(text) {
            Ok(())
        } else {
            Err(self.expected(self.at(), Expected::Literal(text)))
        }
    }

    /// Moves over all bytes from here on that belong, and returns them.
    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a str {
        let (run, rest) = text::split(self.rest, belongs);
        self.rest = rest;
        run
    }

    /// Returns what was read since `start`, which was the rest at an earlier time.
    fn since(&self, start: &'a str) -> &'a str {
        let length = start.len().saturating_sub(self.rest.len());
        start.get(..length).unwrap_or("")
    }

    fn number64(&mut self) -> Result<u64, ParseError> {
        let at = self.at();
        let digits = self.run(|byte| byte.is_ascii_digit());
        text::number(digits).ok_or_else(|| self.expected(at, Expected::Number64))
    }

    fn number32(&mut self) -> Result<u32, ParseError> {
        let at = self.at();
        let digits = self.run(|byte| byte.is_ascii_digit());
        text::number(digits)
            .and_then(|number| number.try_into().ok())
            .ok_or_else(|| self.expected(at, Expected::Number32))
    }

    fn name(&mut self) -> Result<&'a str, ParseError> {
        let at = self.at();
        let name = self.run(text::is_name);
        match text::name_error(name) {
            None => Ok(name),
            Some(offset) => Err(self.expected(at.saturating_add(offset), Expected::Name)),
        }
    }

    /// Reads a name that sorts after `previous`, which is empty for the first.
    fn name_after(&mut self, previous: &str) -> Result<&'a str, ParseError> {
        let at = self.at();
        let name = self.name()?;
        if previous < name {
            Ok(name)
        } else {
            Err(self.expected(at, Expected::Ascending))
        }
    }

    fn abi(&mut self) -> Result<Abi, ParseError> {
        let major = self.number32()?;
        self.literal(".")?;
        let minor = self.number32()?;
        Ok(Abi { major, minor })
    }

    fn stream(&mut self) -> Result<Stream, ParseError> {
        let writes = self.number32()?;
        self.literal(":")?;
        let at = self.at();
        let oldest = self.number32()?;
        self.literal("-")?;
        let newest = self.number32()?;
        let stream = Stream {
            writes,
            oldest,
            newest,
        };
        if stream.is_valid() {
            Ok(stream)
        } else {
            Err(self.expected(at, Expected::Range))
        }
    }

    /// Reads a list of features, if there is one: it is then not empty.
    fn features(&mut self, present: bool) -> Result<List<'a, &'a str>, ParseError> {
        if !present {
            return Ok(List::Text(""));
        }
        let start = self.rest;
        let mut previous = "";
        loop {
            previous = self.name_after(previous)?;
            if !self.skip("+") {
                return Ok(List::Text(self.since(start)));
            }
        }
    }

    fn check_taken(
        &self,
        needs: &List<'_, &str>,
        needs_at: usize,
        takes: &List<'_, &str>,
    ) -> Result<(), ParseError> {
        let Some(missing) = missing(needs.names(), takes.names()).next() else {
            return Ok(());
        };
        // One more for the `+` after each.
        let at = needs
            .names()
            .take_while(|name| *name != missing)
            .fold(needs_at, |at, name| {
                at.saturating_add(name.len()).saturating_add(1)
            });
        Err(self.expected(at, Expected::Taken))
    }

    /// Reads all elements of one kind that stand here: `,` and `prefix`, a name, `=`, and what
    /// `value` reads. Returns them without the first comma.
    fn elements(
        &mut self,
        prefix: &str,
        value: fn(&mut Self) -> Result<(), ParseError>,
    ) -> Result<&'a str, ParseError> {
        let start = self.rest;
        let mut previous = "";
        while let Some(rest) = self
            .rest
            .strip_prefix(",")
            .and_then(|rest| rest.strip_prefix(prefix))
        {
            self.rest = rest;
            previous = self.name_after(previous)?;
            self.literal("=")?;
            value(self)?;
        }
        let elements = self.since(start);
        Ok(elements.strip_prefix(",").unwrap_or(elements))
    }

    fn parameter(&mut self) -> Result<(), ParseError> {
        let at = self.at();
        let rule = self.run(|byte| byte.is_ascii_lowercase());
        if !Rule::ALL.iter().any(|known| known.as_str() == rule) || !self.skip(":") {
            return Err(self.expected(at, Expected::Rule));
        }
        self.number64()?;
        Ok(())
    }

    fn extension(&mut self) -> Result<(), ParseError> {
        let at = self.at();
        let marking = self.run(|byte| byte.is_ascii_lowercase());
        if !Marking::ALL.iter().any(|known| known.as_str() == marking) || !self.skip(":") {
            return Err(self.expected(at, Expected::Marking));
        }
        let at = self.at();
        let value = self.run(text::is_value);
        if text::value_is_valid(value) {
            Ok(())
        } else {
            // It is empty or too long.
            let at = at.saturating_add(value.len().min(MAX_NAME_LEN));
            Err(self.expected(at, Expected::Value))
        }
    }

    fn end(&self) -> Result<(), ParseError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.expected(self.at(), Expected::End))
        }
    }

    /// The rest of another schema's string is not ours to read, but there must be one.
    fn other_schema(&mut self, schema: u32) -> ParseError {
        if self.skip(",") && !self.rest.is_empty() {
            ParseError::Schema { schema }
        } else {
            self.expected(self.at(), Expected::Body)
        }
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_migver_parse)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::super::shown::shows;
    use super::super::Class;
    use super::*;

    const SHORT: &str = "migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0";
    const FULL: &str = "migver:1,vendor=example.com,model=nic-2,abi=4294967295.0,stream=3:1-7,\
                        needs=a+c,takes=a+b+c,param.memory-mib=le:4096,param.ports=eq:2,\
                        ext.firmware=may:7.2-rc1,ext.numa=must:0";

    /// Whether `text` is malformed at `at`, where `expected` would have been right.
    fn breaks(text: &[u8], at: usize, expected: Expected) -> bool {
        match version(text) {
            Err(ParseError::Malformed {
                at: found_at,
                expected: found_expected,
                ..
            }) => found_at == at && found_expected == expected,
            _ => false,
        }
    }

    #[test]
    fn shows_what_it_reads() {
        for text in [SHORT, FULL] {
            assert!(version(text.as_bytes()).is_ok_and(|version| shows(&version, text)));
        }
    }

    #[test]
    fn takes_one_newline_at_the_end() {
        let with = b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0\n";
        assert!(version(with) == version(SHORT.as_bytes()));
        let two = b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0\n\n";
        assert!(breaks(two, 46, Expected::Text));
        let dos = b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0\r\n";
        assert!(breaks(dos, 46, Expected::Text));
    }

    #[test]
    fn refuses_what_is_not_a_string() {
        assert!(breaks(b"", 0, Expected::Literal("migver:")));
        assert!(breaks(b"\n", 0, Expected::Literal("migver:")));
        assert!(breaks(b"migver:1,vendor=v\0", 17, Expected::Text));
        assert!(breaks(b"migver:1,vendor=\xff", 16, Expected::Text));
        assert!(breaks(b"migver:1,vendor=a/b", 17, Expected::Text));
        assert!(breaks(
            b"Migver:1,vendor=v",
            0,
            Expected::Literal("migver:")
        ));
        assert!(breaks(b"migver:1", 8, Expected::Literal(",vendor=")));
        assert!(breaks(
            b"migver:1,model=m",
            8,
            Expected::Literal(",vendor=")
        ));
        assert!(breaks(b"migver:1,vendor=,model=m", 16, Expected::Name));
        assert!(breaks(b"migver:1,vendor=a..b", 18, Expected::Name));
    }

    #[test]
    fn refuses_a_second_spelling_of_a_number() {
        assert!(breaks(b"migver:01,", 7, Expected::Number32));
        assert!(breaks(b"migver:+1,", 7, Expected::Number32));
        assert!(breaks(b"migver:4294967296,", 7, Expected::Number32));
        assert!(breaks(
            b"migver:1,vendor=v,model=m,abi=00.0,stream=0:0-0",
            30,
            Expected::Number32
        ));
        assert!(breaks(
            b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,param.a=eq:18446744073709551616",
            58,
            Expected::Number64
        ));
    }

    #[test]
    fn refuses_a_stream_that_it_could_not_load_itself() {
        for text in [
            "migver:1,vendor=v,model=m,abi=0.0,stream=1:2-3",
            "migver:1,vendor=v,model=m,abi=0.0,stream=4:2-3",
            "migver:1,vendor=v,model=m,abi=0.0,stream=2:3-1",
        ] {
            assert!(breaks(text.as_bytes(), 43, Expected::Range));
        }
    }

    #[test]
    fn refuses_lists_that_are_not_canonical() {
        let cases: [(&[u8], usize, Expected); 10] = [
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,takes=",
                53,
                Expected::Name,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,takes=b+a",
                55,
                Expected::Ascending,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,takes=a+a",
                55,
                Expected::Ascending,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,takes=a+",
                55,
                Expected::Name,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,takes=a,needs=a",
                54,
                Expected::End,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,needs=a",
                53,
                Expected::Taken,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,needs=a+c,takes=a+b",
                55,
                Expected::Taken,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,param.b=eq:1,param.a=eq:1",
                66,
                Expected::Ascending,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,ext.b=may:1,ext.b=must:1",
                63,
                Expected::Ascending,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,ext.b=may:1,param.a=eq:1",
                58,
                Expected::End,
            ),
        ];
        for (text, at, expected) in cases {
            assert!(breaks(text, at, expected));
        }
    }

    #[test]
    fn refuses_elements_that_are_not_whole() {
        let cases: [(&[u8], usize, Expected); 8] = [
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,",
                46,
                Expected::End,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,color=red",
                46,
                Expected::End,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,param.=eq:1",
                53,
                Expected::Name,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,param.a=1",
                55,
                Expected::Rule,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,param.a=ne:1",
                55,
                Expected::Rule,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,param.a=eq:",
                58,
                Expected::Number64,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,ext.a=maybe:1",
                53,
                Expected::Marking,
            ),
            (
                b"migver:1,vendor=v,model=m,abi=0.0,stream=0:0-0,ext.a=may:",
                57,
                Expected::Value,
            ),
        ];
        for (text, at, expected) in cases {
            assert!(breaks(text, at, expected));
        }
    }

    #[test]
    fn bounds_the_length() {
        let mut text = [b'a'; MAX_LEN + 2];
        assert!(
            version(&text)
                == Err(ParseError::TooLong {
                    length: MAX_LEN + 2
                })
        );
        if let Some(last) = text.last_mut() {
            *last = b'\n';
        }
        assert!(
            version(&text)
                == Err(ParseError::TooLong {
                    length: MAX_LEN + 1
                })
        );
        let (_, text) = text.split_at(1);
        assert!(breaks(text, 0, Expected::Literal("migver:")));
    }

    #[test]
    fn knows_another_schema_when_it_sees_one() {
        let other = version(b"migver:2,anything=goes");
        assert!(other == Err(ParseError::Schema { schema: 2 }));
        assert!(other.is_err_and(|error| error.class() == Class::Version));
        assert!(version(b"migver:0,a") == Err(ParseError::Schema { schema: 0 }));
        assert!(breaks(b"migver:2", 8, Expected::Body));
        assert!(breaks(b"migver:2,", 9, Expected::Body));
        assert!(breaks(b"migver:2;a", 8, Expected::Text));
    }

    #[test]
    fn errors_never_repeat_the_text() {
        let error = version(b"migver:1,vendor=\x1b[2J").err();
        assert!(error.is_some_and(|error| shows(
            &error,
            "malformed at byte 16 of 20: expected one of A-Z a-z 0-9 . _ : , + = -, found 0x1b"
        )));
    }
}
