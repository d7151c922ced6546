// SPDX-License-Identifier: GPL-2.0-only
//! Whether a history of calls that overlapped in time is one that a model allows.
//!
//! A call is known by the moments at which it began and ended. Whatever it does happens in between, in one step or in
//! several, each of which is indivisible. A history is explained when the steps of all calls can be put into one order
//! in which the model, which knows no concurrency, allows each of them (M. Herlihy and J. Wing, "Linearizability: A
//! Correctness Condition for Concurrent Objects", 1990). The search goes along the history and keeps every state in which
//! the object can be by then, with what the calls under way may have done already; so it is as long as the history, and as
//! wide as there are calls at once.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

/// A call that was made, and when. The moments are numbers of one clock that never repeats one.
#[derive(Clone, Debug)]
pub struct Event<C> {
    /// Before the call.
    pub begin: u64,
    /// After it; `u64::MAX` for one of which it is not known how it ended, as its caller was killed.
    pub end: u64,
    /// What was called, and what it answered.
    pub call: C,
}

impl<C> Event<C> {
    /// Whether there was a moment at which both calls were under way.
    pub fn overlaps<D>(&self, other: &Event<D>) -> bool {
        self.begin < other.end && other.begin < self.end
    }
}

/// How far a call has come; 0 when it begins.
pub type Progress = u8;

/// The progress of a call that has nothing left to do but to return.
pub const DONE: Progress = Progress::MAX;

/// What an object may do.
pub trait Model {
    /// The object, as far as it matters.
    type State: Clone + Debug + Eq + Hash;
    /// A call with its answer.
    type Call: Debug;

    /// Every step that the call may take now, as the state and the progress after it. None when the call, with the answer that
    /// it gave, can do nothing in this state.
    fn steps(
        &self,
        state: &Self::State,
        call: &Self::Call,
        progress: Progress,
    ) -> Vec<(Self::State, Progress)>;

    /// Whether the call, with the answer that it gave, is one step that never changes the state. Such a step is best taken as soon
    /// as it can be, which spares the search half of its possibilities for each.
    fn only_looks(&self, call: &Self::Call) -> bool {
        let _ = call;
        false
    }
}

/// A state in which the object can be, and how far each call that is under way has come then.
type Possibility<S> = (S, BTreeMap<usize, Progress>);

/// How many possibilities are followed at once at most. A history that needs more is not judged.
const MOST: usize = 1 << 20;

/// The states in which the object can be at the end of the history.
///
/// # Errors
///
/// Which call cannot be explained, with what it overlapped and what the object could be then; or that there were too many
/// possibilities.
pub fn explain<M: Model>(
    model: &M,
    start: M::State,
    events: &[Event<M::Call>],
) -> Result<HashSet<M::State>, String> {
    let mut moments: Vec<(u64, bool, usize)> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        moments.push((event.begin, false, index));
        if event.end != u64::MAX {
            moments.push((event.end, true, index));
        }
    }
    moments.sort_unstable();
    let mut possible = HashSet::from([(start, BTreeMap::new())]);
    for (_, is_end, index) in moments {
        possible = if is_end {
            returned(model, events, &possible, index)?
        } else {
            possible
                .into_iter()
                .map(|(state, mut under_way)| {
                    under_way.insert(index, 0);
                    let mut next = (state, under_way);
                    look(model, events, &mut next);
                    next
                })
                .collect()
        };
    }
    Ok(possible.into_iter().map(|(state, _)| state).collect())
}

/// Takes the steps of those that only look.
fn look<M: Model>(model: &M, events: &[Event<M::Call>], possible: &mut Possibility<M::State>) {
    let (state, under_way) = possible;
    for (index, progress) in under_way {
        let call = &events[*index].call;
        if *progress == 0 && model.only_looks(call) && !model.steps(state, call, 0).is_empty() {
            *progress = DONE;
        }
    }
}

/// What is possible once a call has returned: whatever it and the calls beside it can have done, but that it is done.
fn returned<M: Model>(
    model: &M,
    events: &[Event<M::Call>],
    before: &HashSet<Possibility<M::State>>,
    index: usize,
) -> Result<HashSet<Possibility<M::State>>, String> {
    let mut seen = before.clone();
    let mut left: Vec<_> = before.iter().cloned().collect();
    let mut after = HashSet::new();
    while let Some((state, mut under_way)) = left.pop() {
        if under_way.get(&index) == Some(&DONE) {
            under_way.remove(&index);
            after.insert((state, under_way));
            continue;
        }
        for (other, progress) in &under_way {
            if *progress == DONE {
                continue;
            }
            for (state, progress) in model.steps(&state, &events[*other].call, *progress) {
                let mut under_way = under_way.clone();
                under_way.insert(*other, progress);
                let mut next = (state, under_way);
                look(model, events, &mut next);
                if seen.insert(next.clone()) {
                    left.push(next);
                }
            }
        }
        if seen.len() > MOST {
            return Err(format!("more than {MOST} possibilities: not judged"));
        }
    }
    if after.is_empty() {
        return Err(contradiction(events, before, index));
    }
    Ok(after)
}

/// Says what cannot be, for a person to look at.
fn contradiction<C: Debug, S: Debug>(
    events: &[Event<C>],
    before: &HashSet<Possibility<S>>,
    index: usize,
) -> String {
    let failed = &events[index];
    let mut text = format!("cannot be explained: {failed:?}\nmeanwhile:\n");
    for event in events {
        if event.begin != failed.begin && event.overlaps(failed) {
            text += &format!("  {event:?}\n");
        }
    }
    text += "just before:\n";
    let mut earlier: Vec<_> = events
        .iter()
        .filter(|event| event.end < failed.begin)
        .collect();
    earlier.sort_unstable_by_key(|event| event.end);
    for event in earlier.iter().rev().take(8).rev() {
        text += &format!("  {event:?}\n");
    }
    text += &format!("when it returned, {} possibilities:\n", before.len());
    for (state, under_way) in before.iter().take(4) {
        text += &format!("  {state:?}, under way {under_way:?}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A register that is written in one step, and one that is added to in two.
    struct Register;

    #[derive(Clone, Copy, Debug)]
    enum Call {
        Write(u8),
        Read(u8),
        TwoSteps,
    }

    impl Model for Register {
        type State = u8;
        type Call = Call;

        fn steps(&self, state: &u8, call: &Call, progress: Progress) -> Vec<(u8, Progress)> {
            match (call, progress) {
                (Call::Write(value), 0) => vec![(*value, DONE)],
                (Call::Read(value), 0) if value == state => vec![(*state, DONE)],
                (Call::TwoSteps, 0) => vec![(100, 1)],
                (Call::TwoSteps, 1) => vec![(101, DONE)],
                _ => vec![],
            }
        }

        fn only_looks(&self, call: &Call) -> bool {
            matches!(call, Call::Read(_))
        }
    }

    fn at(begin: u64, end: u64, call: Call) -> Event<Call> {
        Event { begin, end, call }
    }

    fn judge(events: &[Event<Call>]) -> Result<HashSet<u8>, String> {
        explain(&Register, 0, events)
    }

    #[test]
    fn calls_one_after_the_other_have_one_order() {
        let write = at(1, 2, Call::Write(7));
        assert_eq!(judge(std::slice::from_ref(&write)), Ok(HashSet::from([7])));
        assert!(judge(&[write.clone(), at(3, 4, Call::Read(7))]).is_ok());
        assert!(judge(&[write.clone(), at(3, 4, Call::Read(0))]).is_err());
        assert!(judge(&[write, at(3, 4, Call::Read(8))]).is_err());
    }

    #[test]
    fn a_call_that_overlaps_may_come_before_or_after() {
        let write = at(1, 5, Call::Write(7));
        for value in [0, 7] {
            assert!(judge(&[write.clone(), at(2, 3, Call::Read(value))]).is_ok());
        }
        // But what was read cannot be taken back.
        let (first, second) = (at(2, 3, Call::Read(7)), at(4, 6, Call::Read(0)));
        assert!(judge(&[write.clone(), first, second]).is_err());
        let (first, second) = (at(2, 3, Call::Read(0)), at(4, 6, Call::Read(7)));
        assert!(judge(&[write, first, second]).is_ok());
    }

    #[test]
    fn two_writes_at_once_leave_one_of_both() {
        let writes = [at(1, 4, Call::Write(7)), at(2, 3, Call::Write(8))];
        assert_eq!(judge(&writes), Ok(HashSet::from([7, 8])));
    }

    #[test]
    fn what_is_between_two_steps_can_be_seen_while_the_call_is_under_way() {
        let call = at(1, 6, Call::TwoSteps);
        let looks = |values: [u8; 2]| {
            judge(&[
                call.clone(),
                at(2, 3, Call::Read(values[0])),
                at(4, 5, Call::Read(values[1])),
            ])
        };
        for values in [[0, 0], [0, 100], [100, 100], [100, 101], [101, 101]] {
            assert!(looks(values).is_ok());
        }
        for values in [[100, 0], [101, 100]] {
            assert!(looks(values).is_err());
        }
        assert!(judge(&[call, at(7, 8, Call::Read(100))]).is_err());
    }

    #[test]
    fn a_call_that_never_returned_may_have_happened_or_not() {
        let killed = at(1, u64::MAX, Call::Write(7));
        for value in [0, 7] {
            assert!(judge(&[killed.clone(), at(8, 9, Call::Read(value))]).is_ok());
        }
        assert!(judge(&[killed, at(8, 9, Call::Read(8))]).is_err());
    }
}
