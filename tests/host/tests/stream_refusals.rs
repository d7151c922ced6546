// SPDX-License-Identifier: GPL-2.0-only

//! Every refusal, by a stream that deserves it: the errno, and the reason as a person reads it.
//!
//! The document on the stream lists the same lines.

mod stream_support;

use std::{
    collections::BTreeSet,
    fs, //
};

use migdev_model::{
    Abi,
    Card,
    Ports, //
};
use stream_support::{
    full_card,
    head,
    load_pieces,
    save,
    sealed,
    string,
    string_of,
    Outcome,
    Plain,
    Record,
    CONFIG,
    COUNTERS,
    MANDATORY,
    PORT,
    VERSIONS, //
};

/// Loads a stream into a card of one port that is held at the oldest versions.
fn load_held(bytes: &[u8]) -> Outcome {
    load_as(string_of(1, Ports::One), Ports::One, bytes)
}

/// Loads a stream into a card of one port, whole and byte by byte, which must be the same.
fn load(bytes: &[u8]) -> Outcome {
    load_as(string(Ports::One), Ports::One, bytes)
}

fn load_as(mine: &'static str, ports: Ports, bytes: &[u8]) -> Outcome {
    let outcome = load_pieces(mine, ports, [bytes]);
    assert_eq!(load_pieces(mine, ports, bytes.chunks(1)), outcome);
    outcome
}

/// The stream of a card of one port at power-on, changed.
fn changed(change: impl FnOnce(&mut Plain)) -> Outcome {
    let mut plain = Plain::of(&Card::new(Ports::One, Abi::NEWEST));
    change(&mut plain);
    load(&plain.write())
}

/// The same of a card of two ports.
fn changed_two(change: impl FnOnce(&mut Plain)) -> Outcome {
    let mut plain = Plain::of(&Card::new(Ports::Two, Abi::NEWEST));
    change(&mut plain);
    load_as(string(Ports::Two), Ports::Two, &plain.write())
}

/// The stream of a card with full FIFOs, a byte of whose PORT record was changed.
fn full(at: usize, value: u8) -> Outcome {
    let mut plain = Plain::of(&full_card(Ports::One));
    plain.payload(PORT)[at] = value;
    load(&plain.write())
}

/// The stream of a card at power-on, a byte of whose PORT record was changed.
fn port(at: usize, value: u8) -> Outcome {
    changed(|plain| plain.payload(PORT)[at] = value)
}

/// The stream of a card at power-on, a byte of whose CONFIG record was changed.
fn config(at: usize, value: u8) -> Outcome {
    changed(|plain| plain.payload(CONFIG)[at] = value)
}

/// The stream of a card at power-on, with another byte somewhere and the old checksum.
fn raw(at: usize, value: u8) -> Outcome {
    let mut bytes = save(&Card::new(Ports::One, Abi::NEWEST));
    bytes[at] = value;
    load(&bytes)
}

/// A stream with one record in place of all.
fn record(tag: u16, flags: u16, payload: &[u8]) -> Outcome {
    changed(|plain| plain.records = vec![Record::new(tag, flags, payload)])
}

/// A port in 16450 mode with the break bit set, with these LSR errors and one character.
fn broken_character(lsr: u8, value: u8) -> Outcome {
    changed(|plain| {
        let payload = plain.payload(PORT);
        payload[3] = 0x43;
        payload[5] = lsr;
        payload[11] = 1;
        payload.extend([value, 0]);
    })
}

/// A port in FIFO mode with the break bit set, with these LSR errors and characters.
fn broken_fifo(lsr: u8, characters: &[u8]) -> Outcome {
    changed(|plain| {
        let payload = plain.payload(PORT);
        payload[2] = 0x01;
        payload[3] = 0x43;
        payload[5] = lsr;
        payload[11] = characters.len() as u8;
        payload.extend(characters.iter().flat_map(|value| [*value, 0]));
    })
}

const NEWER: &str = "migver:1,vendor=migdev,model=serial,abi=1.1,stream=3:1-3,param.ports=eq:1";

macro_rules! refusals {
    ($($name:ident: $errno:literal $reason:literal => $outcome:expr;)*) => {
        $(
            #[test]
            fn $name() {
                match $outcome {
                    Outcome::Refused(_, errno, reason) => assert_eq!((errno, &reason[..]), ($errno, $reason)),
                    other => panic!("not refused: {other:?}"),
                }
            }
        )*

        /// Every errno with its reason.
        const ALL: &[(&str, &str)] = &[$(($errno, $reason)),*];
    };
}

refusals! {
    // The framing.
    refuses_what_does_not_begin_as_a_stream:
        "EINVAL" "not a migration stream: byte 0 of the magic is 0x7f, must be 0x89" => load(b"\x7fELF");
    refuses_a_stream_that_was_transferred_as_text:
        "EINVAL" "not a migration stream: byte 4 of the magic is 0x0a, must be 0x0d" => load(b"\x89mig\n\x1a\n");
    refuses_a_string_of_no_length:
        "EINVAL" "head: length of the version string is 0, allowed is 1 to 1022" => load(&head(1, b""));
    refuses_a_string_that_is_too_long:
        "EINVAL" "head: length of the version string is 1023, allowed is 1 to 1022" => load(&head(1, &[b'a'; 1023]));
    refuses_a_reserved_field_in_use:
        "EINVAL" "head: reserved is 0x80000000, allowed is 0x0" => raw(15, 0x80);
    refuses_flags_that_are_not_defined:
        "EINVAL" "record 0x0001 at byte 89: flags is 0x3, allowed is 0x0 or 0x1" => raw(91, 0x03);
    refuses_an_end_that_may_be_skipped:
        "EINVAL" "record END at byte 163: flags is 0x0, allowed is 0x1" => raw(165, 0x00);
    refuses_an_end_of_another_length:
        "EINVAL" "record END at byte 163: length is 5, allowed is 4" => raw(167, 0x05);
    refuses_a_stream_that_is_too_long:
        "EFBIG" "record 0x0007 at byte 89: with a length of 65428 the stream has more than 65536 bytes"
        => record(7, 0, &[0; 65428]);
    refuses_a_wrong_checksum:
        "EBADMSG" "record END: checksum is 0x00000000, but that of what came is 0x765b2725" => {
            let mut bytes = save(&Card::new(Ports::One, Abi::NEWEST));
            bytes[171..].fill(0);
            load(&bytes)
        };
    refuses_bytes_after_the_end:
        "EINVAL" "bytes follow the record END" => {
            let mut bytes = save(&Card::new(Ports::One, Abi::NEWEST));
            bytes.push(0);
            load(&bytes)
        };

    // The version string.
    refuses_a_string_with_a_newline:
        "EINVAL" "head: the version string ends in a newline" => changed(|plain| plain.string.push(b'\n'));
    refuses_a_string_that_cannot_be_read:
        "EINVAL" "head: version string: malformed at byte 0 of 8: expected 'migver:', found 0x61" => load(&head(1, b"anything"));
    refuses_a_card_of_another_model:
        "EXDEV" "model: source parallel, destination serial: they must be the same"
        => load(&head(1, b"migver:1,vendor=migdev,model=parallel,abi=1.1,stream=2:1-2,param.ports=eq:1"));
    refuses_a_card_of_a_newer_stream_version:
        "EPROTO" "stream: source writes 3, destination loads 1-2: the destination is too old"
        => load(&head(3, NEWER.as_bytes()));
    refuses_a_card_of_a_newer_abi:
        "EPROTO" "abi: source 1.1, destination 1.0: the destination is too old"
        => load_held(&head(
            1,
            b"migver:1,vendor=migdev,model=serial,abi=1.1,stream=1:1-1,param.ports=eq:1",
        ));
    refuses_what_needs_a_feature:
        "EOPNOTSUPP" "feature dma: source needs it, destination does not take it: the destination lacks it"
        => load(&head(
            1,
            b"migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,needs=dma,takes=dma,param.ports=eq:1",
        ));
    refuses_a_card_with_another_number_of_ports:
        "ERANGE" "param.ports: source eq:2, destination eq:1: they must be the same"
        => load(&save(&Card::new(Ports::Two, Abi::NEWEST)));
    refuses_a_stream_version_that_it_does_not_load:
        "EPROTO" "head: stream version is 3, allowed is 1 to 2" => changed(|plain| plain.version = 3);
    refuses_version_2_where_cards_are_held_at_version_1:
        "EPROTO" "head: stream version is 2, allowed is 1 to 1" => {
            let mut plain = Plain::of(&Card::new(Ports::One, Abi::NEWEST));
            plain.string = string_of(1, Ports::One).into();
            load_held(&plain.write())
        };
    refuses_version_1_of_a_source_that_writes_version_2:
        "EINVAL" "head: stream version is 1, but the version string says 2" => {
            let mut plain = Plain::of_version(1, &Card::new(Ports::One, Abi::NEWEST));
            plain.string = string(Ports::One).into();
            load(&plain.write())
        };
    refuses_version_2_of_a_source_that_writes_version_1:
        "EINVAL" "head: stream version is 2, but the version string says 1"
        => changed(|plain| plain.string = string_of(1, Ports::One).into());

    // The records, whatever they hold.
    refuses_an_unknown_record_that_is_mandatory:
        "EINVAL" "record 0x0007 at byte 89: it is mandatory and not known" => record(7, MANDATORY, b"");
    refuses_counters_in_version_1:
        "EINVAL" "record 0x0003 at byte 139: it is mandatory and not known" => {
            let mut plain = Plain::of(&Card::new(Ports::One, Abi::NEWEST));
            plain.version = 1;
            plain.string = string_of(1, Ports::One).into();
            load(&plain.write())
        };
    refuses_records_of_version_2_in_version_3:
        "EINVAL" "record 0x0001 at byte 89: it is mandatory and not known" => {
            let mut plain = Plain::of(&Card::new(Ports::One, Abi::NEWEST));
            plain.version = 3;
            plain.string = NEWER.into();
            load_as(NEWER, Ports::One, &plain.write())
        };
    refuses_a_known_record_that_may_be_skipped:
        "EINVAL" "record CONFIG at byte 89: flags is 0x0, allowed is 0x1" => raw(91, 0x00);
    refuses_a_record_that_is_longer_than_any_of_its_kind:
        "EINVAL" "record PORT at byte 89: length is 62, allowed is at most 61" => record(PORT, MANDATORY, &[0; 62]);
    refuses_a_stream_without_configuration_space:
        "EINVAL" "record CONFIG is missing" => changed(|plain| plain.records.clear());
    refuses_a_stream_that_lacks_a_port:
        "EINVAL" "record PORT 1 is missing" => changed_two(|plain| plain.records.truncate(2));

    // The record CONFIG.
    refuses_a_config_record_that_is_too_short:
        "EINVAL" "record CONFIG at byte 89: length is 20, but its fields take 21 bytes"
        => record(CONFIG, MANDATORY, &[0; 20]);
    refuses_a_second_config_record:
        "EINVAL" "record CONFIG at byte 118: it was there before"
        => changed(|plain| plain.records.insert(0, plain.records[0].clone()));
    refuses_a_command_bit_that_is_not_there:
        "EINVAL" "record CONFIG at byte 89: command is 0x2, allowed is bits of 0x545" => config(0, 0x02);
    refuses_a_bar0_that_is_no_io_address:
        "EINVAL" "record CONFIG at byte 89: bar0 is 0x0, allowed is a multiple of the length of BAR0, plus 1"
        => config(4, 0x00);
    refuses_an_msi_control_with_more_vectors:
        "EINVAL" "record CONFIG at byte 89: msi_control is 0x90, allowed is 0x80 or 0x81" => config(9, 0x90);
    refuses_an_msi_address_that_is_not_aligned:
        "EINVAL" "record CONFIG at byte 89: msi_address is 0x2, allowed is a multiple of 4" => config(11, 0x02);

    // The record PORT: its place and its length.
    refuses_a_port_before_configuration_space:
        "EINVAL" "record PORT at byte 89: CONFIG must come before it" => changed(|plain| plain.records.swap(0, 1));
    refuses_ports_out_of_order:
        "EINVAL" "record PORT at byte 118: PORT 0 must come before it"
        => changed_two(|plain| plain.records.swap(1, 2));
    refuses_a_port_that_came_before:
        "EINVAL" "record PORT at byte 139: it was there before"
        => changed(|plain| plain.records.insert(2, plain.records[1].clone()));
    refuses_a_port_that_the_card_does_not_have:
        "EINVAL" "record PORT at byte 118: index is 0x1, allowed is 0x0" => port(0, 1);
    refuses_a_third_port:
        "EINVAL" "record PORT at byte 118: index is 0x2, allowed is 0x0 or 0x1"
        => changed_two(|plain| plain.payload(PORT)[0] = 2);
    refuses_a_port_record_that_is_too_short:
        "EINVAL" "record PORT at byte 118: length is 12, but its fields take 13 bytes"
        => changed(|plain| plain.payload(PORT).truncate(12));
    refuses_a_port_record_that_lacks_characters:
        "EINVAL" "record PORT at byte 118: length is 60, but its fields take 61 bytes" => {
            let mut plain = Plain::of(&full_card(Ports::One));
            plain.payload(PORT).pop();
            load(&plain.write())
        };

    // The record COUNTERS.
    refuses_version_2_without_counters:
        "EINVAL" "record COUNTERS is missing" => changed(|plain| plain.records.truncate(2));
    refuses_counters_that_may_be_skipped:
        "EINVAL" "record COUNTERS at byte 139: flags is 0x0, allowed is 0x1" => raw(141, 0x00);
    refuses_counters_before_configuration_space:
        "EINVAL" "record COUNTERS at byte 89: CONFIG must come before it"
        => changed(|plain| plain.records.rotate_right(1));
    refuses_counters_before_the_port:
        "EINVAL" "record COUNTERS at byte 118: PORT 0 must come before it" => changed(|plain| plain.records.swap(1, 2));
    refuses_counters_before_the_last_port:
        "EINVAL" "record COUNTERS at byte 139: PORT 1 must come before it"
        => changed_two(|plain| plain.records.swap(2, 3));
    refuses_counters_that_came_before:
        "EINVAL" "record COUNTERS at byte 163: it was there before"
        => changed(|plain| plain.records.push(plain.records[2].clone()));
    refuses_a_port_after_the_counters:
        "EINVAL" "record PORT at byte 163: it was there before"
        => changed(|plain| plain.records.push(plain.records[1].clone()));
    refuses_counters_that_are_too_short:
        "EINVAL" "record COUNTERS at byte 160: length is 31, but its fields take 32 bytes"
        => changed_two(|plain| plain.payload(COUNTERS).truncate(31));
    refuses_counters_of_a_port_that_the_card_does_not_have:
        "EINVAL" "record COUNTERS at byte 139: length is 32, but its fields take 16 bytes"
        => changed(|plain| plain.payload(COUNTERS).resize(32, 0));
    refuses_counters_of_more_ports_than_any_card_has:
        "EINVAL" "record COUNTERS at byte 139: length is 33, allowed is at most 32"
        => changed(|plain| plain.payload(COUNTERS).resize(33, 0));

    // The record PORT: its fields.
    refuses_an_ier_bit_that_is_not_there:
        "EINVAL" "record PORT at byte 118: ier is 0x10, allowed is bits of 0xf" => port(1, 0x10);
    refuses_an_fcr_that_no_write_leaves:
        "EINVAL" "record PORT at byte 118: fcr is 0x40, allowed is 0x0, 0x1, 0x41, 0x81 or 0xc1" => port(2, 0x40);
    refuses_an_mcr_bit_that_is_not_there:
        "EINVAL" "record PORT at byte 118: mcr is 0x20, allowed is bits of 0x1f" => port(4, 0x20);
    refuses_a_break_error_without_a_framing_error:
        "EINVAL" "record PORT at byte 118: lsr is 0x10, allowed is 0x0, 0x2, 0x18 or 0x1a" => port(5, 0x10);
    refuses_an_msr_bit_that_is_no_change:
        "EINVAL" "record PORT at byte 118: msr is 0x10, allowed is bits of 0xf" => port(6, 0x10);
    refuses_a_thre_that_is_no_truth_value:
        "EINVAL" "record PORT at byte 118: thre is 0x2, allowed is 0x0 or 0x1" => port(10, 0x02);
    refuses_a_transmitter_that_interrupts_unasked:
        "EINVAL" "record PORT at byte 118: thre is 0x1, allowed is 0x0 unless ier has bit 1 and tx_count is 0x0"
        => port(10, 0x01);
    refuses_a_transmitter_that_interrupts_while_characters_wait:
        "EINVAL" "record PORT at byte 118: thre is 0x1, allowed is 0x0 unless ier has bit 1 and tx_count is 0x0"
        => {
            let mut plain = Plain::of(&full_card(Ports::One));
            plain.payload(PORT)[1] = 0x02;
            plain.payload(PORT)[10] = 0x01;
            load(&plain.write())
        };
    refuses_more_received_characters_than_a_fifo_holds:
        "EINVAL" "record PORT at byte 118: rx_count is 0x11, allowed is 0x0 to 0x10" => full(11, 17);
    refuses_more_waiting_characters_than_a_fifo_holds:
        "EINVAL" "record PORT at byte 118: tx_count is 0x11, allowed is 0x0 to 0x10" => full(12, 17);
    refuses_many_received_characters_without_fifos:
        "EINVAL" "record PORT at byte 118: rx_count is 0x10, allowed is 0x0 or 0x1 in 16450 mode" => full(2, 0x00);
    refuses_many_waiting_characters_without_fifos:
        "EINVAL" "record PORT at byte 118: tx_count is 0x2, allowed is 0x0 or 0x1 in 16450 mode"
        => changed(|plain| {
            plain.payload(PORT)[11..13].copy_from_slice(&[1, 2]);
            plain.payload(PORT).extend([b'a', 0, b'b', b'c']);
        });
    refuses_characters_that_wait_for_nothing:
        "EINVAL" "record PORT at byte 118: tx_count is 0x1, allowed is 0x0 unless the receiver is full and mcr lacks bit 4"
        => changed(|plain| {
            plain.payload(PORT)[12] = 1;
            plain.payload(PORT).push(b'a');
        });
    refuses_an_error_that_characters_do_not_have:
        "EINVAL" "record PORT at byte 118: rx_errors is 0x4, allowed is 0x0 or 0x18" => full(16, 0x04);
    refuses_an_error_of_the_oldest_character:
        "EINVAL" "record PORT at byte 118: rx_errors is 0x18, allowed is 0x0 with the oldest character, \
            whose errors are in lsr"
        => full(14, 0x18);
    refuses_a_break_that_is_not_nul:
        "EINVAL" "record PORT at byte 118: rx_value is 0x41, allowed is 0x0 for a break" => full(16, 0x18);
    refuses_a_character_in_a_break_in_16450_mode:
        "EINVAL" "record PORT at byte 118: rx_value is 0x61, allowed is 0x0 in a break in 16450 mode"
        => broken_character(0, b'a');
    refuses_an_overrun_without_its_break_in_16450_mode:
        "EINVAL" "record PORT at byte 118: lsr is 0x2, allowed is 0x0, 0x18 or 0x1a in a break in 16450 mode \
            with an rx_count of 0x1"
        => broken_character(0x02, 0);
    refuses_a_break_that_left_no_trace_in_a_full_fifo:
        "EINVAL" "record PORT at byte 118: lsr is 0x18, allowed is 0x0, 0x2 or 0x1a in a break that is not in the FIFO"
        => broken_fifo(0x18, &[0; 16]);
}

#[test]
fn the_document_lists_every_refusal() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../Documentation/migration-stream.rst"
    );
    let document = fs::read_to_string(path).expect(path);
    let (_, after) = document
        .split_once("\n.. refusals\n")
        .expect("the mark before the list");
    let listed: BTreeSet<_> = after
        .lines()
        .skip_while(|line| !line.starts_with("    "))
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(errno, reason)| (errno, reason.trim()))
        .collect();
    assert_eq!(listed, ALL.iter().copied().collect());
}

#[test]
fn a_break_that_a_nearly_full_fifo_explains_is_loaded() {
    // One place is free: the oldest was itself a break, or else it is refused.
    let mut characters = [b'a'; 15];
    assert!(broken_fifo(0x18, &characters).is_refused());
    characters[0] = 0;
    assert!(!broken_fifo(0x18, &characters).is_refused());
    // Two places are free.
    assert!(!broken_fifo(0x18, &[b'a'; 14]).is_refused());
    for lsr in [0x00, 0x02, 0x1a] {
        assert!(!broken_fifo(lsr, &[b'a'; 16]).is_refused());
    }
}

#[test]
fn an_empty_stream_with_an_end_only_is_no_state() {
    for version in VERSIONS {
        let bytes = sealed(head(version, string_of(version, Ports::One).as_bytes()));
        assert_eq!(load(&bytes).refusal().1, "record CONFIG is missing");
    }
}
