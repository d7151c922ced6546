// SPDX-License-Identifier: GPL-2.0-only

//! What is tried with a type: at each of its baselines, with a device created there.

use std::{
    collections::BTreeMap,
    io,
    thread,
    time::Duration, //
};

use migver::{
    check,
    Baseline,
    Class,
    Refusal,
    Version, //
};

use crate::{
    log::Log,
    places::{
        Answer,
        Attribute,
        Type, //
    },
    random::Random,
    texts, //
};

/// How many results there are for a type.
pub const RESULTS: usize = 4;

/// How many texts are written to a type and to a device at each baseline.
const TEXTS: usize = 400;

/// How many of them are written to `migration_baseline`.
const BASELINES: usize = 60;

/// How many refusals are looked for in the log, at one baseline of each type: as many as it takes of a parent in a while.
const LOGGED: usize = 10;

/// That while, and a little more.
const SILENCE: Duration = Duration::from_millis(5300);

const EBUSY: Answer = 16;
const EOPNOTSUPP: Answer = 95;

/// What is tried, and what came of it.
pub struct Trial {
    random: Random,
    /// Every string that was read, for the other places.
    known: Vec<String>,
    answers: BTreeMap<Answer, usize>,
    /// How many types were tried.
    types: usize,
    /// Of the present type: how many texts, accepted ones, lines of the log and baselines were tried.
    counts: [usize; RESULTS],
    /// What is wrong with each.
    wrong: [Vec<String>; RESULTS],
    /// What went wrong besides.
    pub found: Vec<String>,
}

const VERDICT: usize = 0;
const PREDICTED: usize = 1;
const LOG: usize = 2;
const BASELINE: usize = 3;

impl Trial {
    /// Starts with what the types say now.
    pub fn new(random: Random, types: &[Type]) -> Self {
        let read = |ty: &Type| ty.version().and_then(|file| file.read()).ok();
        Self {
            random,
            known: types.iter().filter_map(read).collect(),
            answers: BTreeMap::new(),
            types: 0,
            counts: [0; RESULTS],
            wrong: Default::default(),
            found: Vec::new(),
        }
    }

    /// Tries all with a type, and leaves it as it was.
    ///
    /// # Errors
    ///
    /// What a call answers that should succeed.
    pub fn run(&mut self, ty: &Type) -> io::Result<()> {
        self.counts = [0; RESULTS];
        self.wrong = Default::default();
        let baselines = ty.baselines()?;
        let before = ty.baseline()?.read()?;
        self.types += 1;
        for (index, baseline) in baselines.iter().enumerate() {
            self.hold(ty, baseline)?;
            if index == self.types % baselines.len() {
                self.try_log(ty)?;
            }
            self.try_verdicts(ty, baseline)?;
            self.try_baselines(ty, &baselines)?;
        }
        self.hold(ty, &before)
    }

    fn hold(&mut self, ty: &Type, baseline: &str) -> io::Result<()> {
        match ty.baseline()?.write(baseline.as_bytes())? {
            0 => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn try_verdicts(&mut self, ty: &Type, baseline: &str) -> io::Result<()> {
        let of_type = ty.version()?;
        let own = of_type.read()?;
        let version = Version::parse(own.as_bytes()).map_err(io::Error::other)?;
        if Baseline::of(&version).to_string() != baseline {
            self.wrong[BASELINE].push(format!("held at {baseline} it says {own}"));
        }
        if !self.known.contains(&own) {
            self.known.push(own.clone());
        }
        let device = ty.create()?;
        let of_device = device.version()?;
        if of_device.read()? != own {
            let says = of_device.read()?;
            self.wrong[PREDICTED].push(format!("the type says {own}, its device {says}"));
        }
        for _ in 0..TEXTS {
            let text = texts::text(&mut self.random, &own, &self.known);
            self.try_text(&text, &version, &of_type, &of_device)?;
        }
        Ok(())
    }

    /// Writes a text to a type and to a device that both say `own`.
    fn try_text(
        &mut self,
        text: &[u8],
        own: &Version<'_>,
        of_type: &Attribute,
        of_device: &Attribute,
    ) -> io::Result<()> {
        let refusal = check(text, own).err();
        let expected = refusal.map_or(0, |refusal| refusal.class().errno());
        let answers = [of_type.write(text)?, of_device.write(text)?];
        for (place, answer) in ["the type", "the device"].iter().zip(answers) {
            *self.answers.entry(answer).or_default() += 1;
            self.counts[VERDICT] += 1;
            if answer != expected {
                let said = refusal.map_or("compatible".into(), |refusal| refusal.to_string());
                let text = text.escape_ascii();
                self.wrong[VERDICT].push(format!(
                    "{place} that says {own} answers {answer}, migver {expected} ({said}): {text}"
                ));
            }
        }
        if answers[0] == 0 {
            self.counts[PREDICTED] += 1;
            if answers[1] != 0 {
                let text = text.escape_ascii();
                self.wrong[PREDICTED].push(format!("{own}: the device refuses {text}"));
            }
        }
        Ok(())
    }

    /// Looks for the reasons of refusals by a type and by its device in the log.
    fn try_log(&mut self, ty: &Type) -> io::Result<()> {
        let own = ty.version()?.read()?;
        let version = Version::parse(own.as_bytes()).map_err(io::Error::other)?;
        let device = ty.create()?;
        let places = [
            (ty.name(), ty.version()?),
            (device.uuid(), device.version()?),
        ];
        // Until then, the log may take no more of what is written under this parent.
        thread::sleep(SILENCE);
        for (place, file) in places.iter().cycle().take(LOGGED) {
            let (text, expected) = loop {
                let text = texts::text(&mut self.random, &own, &self.known);
                if let Err(refusal) = check(&text, &version) {
                    let expected = expected_lines(place, &refusal);
                    break (text, expected);
                }
            };
            let mut log = Log::from_now()?;
            file.write(&text)?;
            let lines = log.lines()?;
            let given: Vec<_> = lines
                .iter()
                .filter_map(|line| line.find(place).map(|at| &line[at..]))
                .collect();
            if given != expected {
                let text = text.escape_ascii();
                self.wrong[LOG].push(format!("{text}: {lines:?}, not {expected:?}"));
            }
            self.counts[LOG] += 1;
        }
        Ok(())
    }

    /// Writes to `migration_baseline`, half of the time while there is a device.
    fn try_baselines(&mut self, ty: &Type, baselines: &[String]) -> io::Result<()> {
        let file = ty.baseline()?;
        let mut device = None;
        for index in 0..BASELINES {
            if index == BASELINES / 2 {
                device = Some(ty.create()?);
            }
            let now = file.read()?;
            let text = texts::baseline(&mut self.random, &now, baselines);
            if text.is_empty() {
                continue;
            }
            let (answer, after) = (file.write(&text)?, file.read()?);
            let expected = match baseline_of(&now).and_then(|present| present.changed(&text)) {
                None => (Class::Malformed.errno(), now.clone()),
                Some(wanted) if wanted.to_string() == now => (0, now.clone()),
                Some(wanted) if !baselines.contains(&wanted.to_string()) => {
                    (EOPNOTSUPP, now.clone())
                }
                Some(_) if device.is_some() => (EBUSY, now.clone()),
                Some(wanted) => (0, wanted.to_string()),
            };
            self.counts[BASELINE] += 1;
            if (answer, &after) != (expected.0, &expected.1) {
                let text = text.escape_ascii();
                self.wrong[BASELINE].push(format!(
                    "at {now}, {text}: {answer} and {after}, not {expected:?}"
                ));
            }
        }
        Ok(())
    }

    /// The names of the results of a type, each with what is wrong.
    pub fn results(&mut self, ty: &Type) -> [(String, Vec<String>); RESULTS] {
        let [texts, accepted, logged, baselines] = self.counts;
        let names = [
            format!("{texts} verdicts are those of user space"),
            format!("a device accepts the {accepted} texts that its type accepts"),
            format!("the log has the reasons of {logged} refusals"),
            format!("{baselines} baselines are answered as user space reads them"),
        ];
        self.wrong[VERDICT].append(&mut self.found);
        for (index, count) in self.counts.into_iter().enumerate() {
            if count == 0 {
                self.wrong[index].push("none was tried".into());
            }
        }
        let mut wrong = std::mem::take(&mut self.wrong).into_iter();
        names.map(|name| {
            let name = format!("{}: {name}", ty.name());
            (name, wrong.next().unwrap_or_default())
        })
    }

    /// How often each answer was given.
    pub fn answers(&self) -> String {
        let name = |errno: &Answer| {
            let class = Class::ALL.into_iter().find(|class| class.errno() == *errno);
            class.map_or(errno.to_string(), |class| class.errno_name().into())
        };
        let counts: Vec<_> = self
            .answers
            .iter()
            .map(|(errno, count)| match errno {
                0 => format!("accepted {count}"),
                _ => format!("{} {count}", name(errno)),
            })
            .collect();
        counts.join(", ")
    }

    /// The answers that were given too seldom to say anything.
    pub fn missing(&self) -> Vec<String> {
        [0].into_iter()
            .chain(Class::ALL.map(Class::errno))
            .filter(|errno| self.answers.get(errno).is_none_or(|count| *count < 20))
            .map(|errno| format!("fewer than 20 texts were answered with {errno}"))
            .collect()
    }
}

/// Reads what `migration_baseline` says.
fn baseline_of(text: &str) -> Option<Baseline> {
    let any = Baseline {
        abi: migver::Abi { major: 0, minor: 0 },
        stream: 0,
    };
    any.changed(text.as_bytes())
}

/// What the log is to say of a refusal: a line for each of the first eight reasons.
fn expected_lines(place: &str, refusal: &Refusal<'_>) -> Vec<String> {
    const MAX_REASONS: usize = 8;
    let reasons: Vec<_> = match refusal {
        Refusal::Unreadable(error) => vec![error.to_string()],
        Refusal::Incompatible(verdict) => {
            let mut reasons: Vec<_> = verdict.reasons().map(|reason| reason.to_string()).collect();
            let more = reasons.len().saturating_sub(MAX_REASONS);
            reasons.truncate(MAX_REASONS);
            if more != 0 {
                reasons.push(format!("{more} more reasons"));
            }
            reasons
        }
    };
    let errno = refusal.class().errno_name();
    reasons
        .iter()
        .map(|reason| format!("{place}: migration_version refused ({errno}): {reason}"))
        .collect()
}
