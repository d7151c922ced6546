// SPDX-License-Identifier: GPL-2.0-only

//! Any operations of both versions, mixed, against a small model of what they should do.

mod migration_support;

use migdev_migration::{
    region::{
        DATA_OFFSET,
        DATA_SIZE, //
    },
    State, //
};
use migration_support::{
    cases,
    reference::{
        compare,
        Data,
        Operation, //
    },
    DATA_OFFSET_FIELD,
    DATA_SIZE_FIELD,
    PENDING_BYTES, //
};
use proptest::{
    collection::vec,
    prelude::*, //
};

fn data() -> impl Strategy<Value = Data> {
    prop_oneof![
        4 => (0..400_usize).prop_map(Data::Next),
        4 => Just(Data::Next(usize::MAX)),
        1 => Just(Data::Spoilt),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    let read = |(offset, width)| Just(Operation::Read(offset, width));
    let memory = || prop::bool::weighted(0.9);
    let state = prop::sample::select(State::ALL.to_vec());
    let value =
        (0..8_u32, prop_oneof![Just(0), any::<u32>()]).prop_map(|(bits, all)| all & !7 | bits);
    let back = || prop_oneof![6 => Just(0_u64), 1 => 0..4_u64];
    prop_oneof![
        5 => (state, memory()).prop_map(|(state, memory)| Operation::SetState(state, memory)),
        5 => (value, memory()).prop_map(|(value, memory)| Operation::device_state(value, memory)),
        3 => read(PENDING_BYTES),
        3 => read(DATA_OFFSET_FIELD),
        1 => read(DATA_SIZE_FIELD),
        1 => any::<u8>().prop_map(|byte| Operation::Write(DATA_OFFSET, vec![byte; 400], true)),
        4 => (back(), 0..700_usize).prop_map(|(back, count)| Operation::FileRead(back, count)),
        4 => (back(), data()).prop_map(|(back, data)| Operation::FileWrite(back, data)),
        4 => data().prop_map(Operation::Deliver),
        1 => Just(Operation::data_size(DATA_SIZE as u64 + 1)),
        1 => Just(Operation::Reset),
        1 => any::<u8>().prop_map(Operation::Use),
    ]
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn any_mixture_of_both_versions_does_what_the_model_does(
        operations in vec(operation(), 0..60),
    ) {
        compare(&operations);
    }

    #[test]
    fn nothing_but_a_reset_helps_after_a_failure(
        before in vec(operation(), 0..10),
        after in vec(operation(), 0..30),
    ) {
        compare(&[before, vec![Operation::Fail], after].concat());
    }
}
