// SPDX-License-Identifier: GPL-2.0-only
//! Programs: calls one after the other, and how they are written down.
//!
//! A line is the name of a call and its arguments, numbers in the order of `calls::CALLS`; what follows a `#` is for people.
//! A line may end with `= ok` or `= ERRNO`, which is then what the call must answer. On one line, as they are printed before
//! they are run, calls stand apart by `;`.

use std::fmt;
use std::str::FromStr;

use nix::errno::Errno;

use crate::calls::{self, Call, CALLS};
use crate::random::Random;

/// The most calls that a program gets when it is changed.
const MOST: usize = 60;

/// A call with its arguments.
#[derive(Clone)]
pub struct Step {
    /// The call.
    pub call: &'static Call,
    /// One for each that it has.
    pub arguments: Vec<u64>,
    /// What it must answer, if that is said.
    pub expected: Option<Result<(), Errno>>,
}

/// Calls in their order.
#[derive(Clone, Default)]
pub struct Program(pub Vec<Step>);

impl Step {
    /// Any call, more often one that matters more.
    fn any(random: &mut Random) -> Self {
        let mut left = random.below(CALLS.iter().map(|call| call.weight).sum());
        let chosen = CALLS.iter().find(|call| {
            let is_it = left < call.weight;
            left = left.wrapping_sub(call.weight);
            is_it
        });
        let call = chosen.unwrap_or(&CALLS[0]);
        let arguments = call.arguments.iter().map(|kind| kind.value(random));
        Step {
            call,
            arguments: arguments.collect(),
            expected: None,
        }
    }

    fn named(name: &str, arguments: &[u64]) -> Option<Self> {
        Some(Step {
            call: calls::find(name)?,
            arguments: arguments.to_vec(),
            expected: None,
        })
    }

    /// Gives an argument another value.
    fn vary(&mut self, random: &mut Random) {
        if self.arguments.is_empty() {
            return;
        }
        let at = random.below(self.arguments.len());
        let value = &mut self.arguments[at];
        *value = match random.below(8) {
            0 => value.wrapping_add(1),
            1 => value.wrapping_sub(1),
            2 => *value ^ (1 << random.below(64)),
            _ => self.call.arguments[at].value(random),
        };
    }
}

impl Program {
    /// A new program: an open device, and calls by chance.
    pub fn any(random: &mut Random) -> Self {
        let device = u64::from(random.one_in(4));
        let way = random.below(2) as u64;
        let mut steps: Vec<Step> = Step::named("open", &[device, way]).into_iter().collect();
        steps.extend((0..=random.below(40)).map(|_| Step::any(random)));
        Program(steps)
    }

    /// The same calls, without what they must answer.
    pub fn without_expectations(&self) -> Self {
        let mut program = self.clone();
        program.0.iter_mut().for_each(|step| step.expected = None);
        program
    }

    /// Another program that is made of this one, and perhaps of a second.
    pub fn varied(&self, other: &Program, random: &mut Random) -> Self {
        let mut steps = self.0.clone();
        for _ in 0..=random.below(8) {
            let at = random.below(steps.len().max(1));
            match random.below(12) {
                0..=5 if !steps.is_empty() => steps[at].vary(random),
                6 if steps.len() > 1 => {
                    steps.remove(at);
                }
                7 if !steps.is_empty() => steps.insert(at, steps[at].clone()),
                8 if steps.len() > 1 => {
                    let last = steps.len() - 1;
                    steps.swap(at, (at + 1).min(last));
                }
                9 if !other.0.is_empty() => {
                    let from = random.below(other.0.len());
                    steps.truncate(at + 1);
                    steps.extend_from_slice(&other.0[from..]);
                }
                _ => steps.insert((at + 1).min(steps.len()), Step::any(random)),
            }
        }
        steps.truncate(MOST);
        Program(steps)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.call.name)?;
        for argument in &self.arguments {
            match *argument {
                small @ 0..=9 => write!(f, " {small}")?,
                other => write!(f, " {other:#x}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            let between = if number == 0 { "" } else { "; " };
            write!(f, "{between}{step}")?;
        }
        Ok(())
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (call, expected) = match text.split_once('=') {
            Some((call, expected)) => (call, Some(answer(expected.trim())?)),
            None => (text, None),
        };
        let mut words = call.split_whitespace();
        let name = words.next().unwrap_or_default();
        let call = calls::find(name).ok_or_else(|| format!("there is no call {name}"))?;
        let arguments: Vec<u64> = words.map(number).collect::<Result<_, _>>()?;
        if arguments.len() != call.arguments.len() {
            return Err(format!("{name} has the arguments {:?}", call.arguments));
        }
        Ok(Step {
            call,
            arguments,
            expected,
        })
    }
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(line));
        let calls = lines.flat_map(|line| line.split(';')).map(str::trim);
        let steps = calls.filter(|call| !call.is_empty()).map(str::parse);
        steps.collect::<Result<_, _>>().map(Program)
    }
}

fn number(word: &str) -> Result<u64, String> {
    let parsed = match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| format!("{word} is no number"))
}

fn answer(word: &str) -> Result<Result<(), Errno>, String> {
    if word == "ok" {
        return Ok(Ok(()));
    }
    let errnos = (1..=133).map(Errno::from_raw);
    let found = errnos
        .into_iter()
        .find(|errno| format!("{errno:?}") == word);
    found.map(Err).ok_or_else(|| format!("{word} is no errno"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_the_same_when_it_was_written_down() {
        let mut random = Random::new(1);
        let mut before = Program::any(&mut random);
        for _ in 0..500 {
            let other = Program::any(&mut random);
            let program = before.varied(&other, &mut random);
            let text = program.to_string();
            assert_eq!(
                text.parse::<Program>().map(|read| read.to_string()),
                Ok(text)
            );
            assert!(program.0.len() <= MOST);
            before = program;
        }
    }

    #[test]
    fn a_line_may_say_what_is_to_come() {
        let program: Program = "# about\nopen 0 0x1 = ok # by group\n\ndrain 1 2=ENOMSG; reset 0"
            .parse()
            .unwrap();
        let expected: Vec<_> = program.0.iter().map(|step| step.expected).collect();
        assert_eq!(expected, [Some(Ok(())), Some(Err(Errno::ENOMSG)), None]);
        assert!("open 0".parse::<Program>().is_err());
        assert!("reset 0 = EWHAT".parse::<Program>().is_err());
        assert!("nothing 0".parse::<Program>().is_err());
    }
}
