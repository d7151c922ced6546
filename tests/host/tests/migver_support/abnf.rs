// SPDX-License-Identifier: GPL-2.0-only

//! As much of ABNF (RFC 5234, RFC 7405) as the document on version strings uses, to hold the
//! grammar in it against the code.

use std::collections::{
    BTreeMap,
    BTreeSet, //
};

/// An expression of a grammar.
#[derive(Debug)]
enum Expression {
    /// One of these.
    Alternation(Vec<Expression>),
    /// All of these, one after the other.
    Concatenation(Vec<Expression>),
    /// From so many to so many of this.
    Repetition(usize, usize, Box<Expression>),
    /// A rule of this name.
    Rule(String),
    /// This text.
    Text(String),
    /// A byte of this range.
    Range(u8, u8),
}

/// A set of rules.
#[derive(Debug)]
pub struct Grammar(BTreeMap<String, Expression>);

impl Grammar {
    /// Reads the rules, each of which begins at the indentation of the first.
    pub fn read(text: &str) -> Self {
        let indentation = |line: &str| line.len() - line.trim_start().len();
        let lines = || text.lines().filter(|line| !line.trim().is_empty());
        let margin = indentation(lines().next().expect("a grammar has rules"));

        let mut rules: Vec<String> = Vec::new();
        for line in lines() {
            if indentation(line) == margin {
                rules.push(String::new());
            }
            let rule = rules.last_mut().expect("the first line begins a rule");
            *rule = format!("{rule} {}", line.trim());
        }
        let rules = rules.iter().map(|rule| {
            let (name, definition) = rule.split_once('=').expect("a rule has a definition");
            let mut reader = Reader(definition);
            let expression = reader.alternation();
            assert_eq!(reader.0, "", "all of {name} is understood");
            (name.trim().to_string(), expression)
        });
        Self(rules.collect())
    }

    /// The names of rules that are used and not defined.
    pub fn undefined(&self) -> BTreeSet<String> {
        fn collect(expression: &Expression, names: &mut BTreeSet<String>) {
            match expression {
                Expression::Alternation(all) | Expression::Concatenation(all) => {
                    all.iter().for_each(|one| collect(one, names));
                }
                Expression::Repetition(_, _, one) => collect(one, names),
                Expression::Rule(name) => {
                    names.insert(name.clone());
                }
                Expression::Text(_) | Expression::Range(..) => {}
            }
        }
        let mut names = BTreeSet::new();
        self.0.values().for_each(|rule| collect(rule, &mut names));
        names.retain(|name| !self.0.contains_key(name) && core_rule(name).is_none());
        names
    }

    /// Whether all of `text` is one `rule`.
    pub fn matches(&self, rule: &str, text: &[u8]) -> bool {
        self.ends(&self.0[rule], text, &BTreeSet::from([0]))
            .contains(&text.len())
    }

    /// Where `expression` can end in `text` if it begins at one of `starts`.
    fn ends(
        &self,
        expression: &Expression,
        text: &[u8],
        starts: &BTreeSet<usize>,
    ) -> BTreeSet<usize> {
        match expression {
            Expression::Alternation(all) => all
                .iter()
                .flat_map(|one| self.ends(one, text, starts))
                .collect(),
            Expression::Concatenation(all) => all
                .iter()
                .fold(starts.clone(), |starts, one| self.ends(one, text, &starts)),
            Expression::Repetition(least, most, one) => {
                let mut ends = BTreeSet::new();
                let mut starts = starts.clone();
                for count in 0..=*most {
                    if starts.is_empty() {
                        break;
                    }
                    if count >= *least {
                        ends.extend(&starts);
                    }
                    starts = self.ends(one, text, &starts);
                }
                ends
            }
            Expression::Rule(name) => match core_rule(name) {
                Some(ranges) => starts
                    .iter()
                    .filter(|start| {
                        let byte = text.get(**start);
                        byte.is_some_and(|byte| ranges.iter().any(|(a, z)| (a..=z).contains(&byte)))
                    })
                    .map(|start| start + 1)
                    .collect(),
                None => self.ends(&self.0[name], text, starts),
            },
            Expression::Text(literal) => starts
                .iter()
                .filter(|start| text[**start..].starts_with(literal.as_bytes()))
                .map(|start| start + literal.len())
                .collect(),
            Expression::Range(a, z) => starts
                .iter()
                .filter(|start| {
                    text.get(**start)
                        .is_some_and(|byte| (a..=z).contains(&byte))
                })
                .map(|start| start + 1)
                .collect(),
        }
    }
}

/// The rules of RFC 5234, appendix B.1, that the document uses.
fn core_rule(name: &str) -> Option<&'static [(u8, u8)]> {
    match name {
        "ALPHA" => Some(&[(b'A', b'Z'), (b'a', b'z')]),
        "DIGIT" => Some(&[(b'0', b'9')]),
        _ => None,
    }
}

/// What has not been read of a definition.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn skip(&mut self, text: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(text);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn run(&mut self, belongs: fn(char) -> bool) -> String {
        let end = self.0.find(|c| !belongs(c)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(end);
        self.0 = rest;
        run.to_string()
    }

    fn alternation(&mut self) -> Expression {
        let mut all = vec![self.concatenation()];
        while self.skip("/") {
            all.push(self.concatenation());
        }
        Expression::Alternation(all)
    }

    fn concatenation(&mut self) -> Expression {
        let mut all = Vec::new();
        loop {
            self.0 = self.0.trim_start();
            if self.0.is_empty() || self.0.starts_with(['/', ')', ']']) {
                return Expression::Concatenation(all);
            }
            all.push(self.repetition());
        }
    }

    fn repetition(&mut self) -> Expression {
        let least = self.run(|c| c.is_ascii_digit());
        if self.skip("*") {
            let most = self.run(|c| c.is_ascii_digit());
            let least = least.parse().unwrap_or(0);
            let most = most.parse().unwrap_or(usize::MAX);
            return Expression::Repetition(least, most, Box::new(self.element()));
        }
        assert_eq!(least, "", "a bare count is not used");
        self.element()
    }

    fn element(&mut self) -> Expression {
        if self.skip("(") {
            let group = self.alternation();
            assert!(self.skip(")"));
            group
        } else if self.skip("[") {
            let option = self.alternation();
            assert!(self.skip("]"));
            Expression::Repetition(0, 1, Box::new(option))
        } else if self.skip("%x") {
            let range = self.run(|c| c.is_ascii_hexdigit() || c == '-');
            let (a, z) = range.split_once('-').expect("a range has two ends");
            let byte = |text| u8::from_str_radix(text, 16).expect("a hexadecimal byte");
            Expression::Range(byte(a), byte(z))
        } else if self.skip("%s\"") {
            self.text()
        } else if self.skip("\"") {
            let text = self.text();
            // Without `%s` a text matches in either case.
            let Expression::Text(literal) = &text else {
                unreachable!("text() reads texts");
            };
            assert!(
                !literal.contains(|c: char| c.is_ascii_alphabetic()),
                "{literal} needs %s"
            );
            text
        } else {
            let name = self.run(|c| c.is_ascii_alphanumeric() || c == '-');
            assert_ne!(name, "", "not an element: {}", self.0);
            Expression::Rule(name)
        }
    }

    fn text(&mut self) -> Expression {
        let text = self.run(|c| c != '"');
        assert!(self.skip("\""));
        Expression::Text(text)
    }
}
