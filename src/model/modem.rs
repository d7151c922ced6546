// SPDX-License-Identifier: GPL-2.0-only

//! The modem lines of a port: the modem control and the modem status register.
//!
//! The plug returns RTS to CTS, and DTR to DSR and DCD; RI is open, which reads 0. In loopback mode (MCR bit 4) the
//! chip takes its inputs from its own outputs instead: CTS from RTS, DSR from DTR, RI from OUT1, DCD from OUT2.
//!
//! The chip finds changes behind the switch that chooses between the two. So a change of mode is a change of input
//! wherever the two sources differ, and nothing else: with OUT1 set, leaving loopback mode is a trailing edge of RI.

use super::port::field;
use super::registers::{
    MCR_BITS,
    MCR_DTR,
    MCR_LOOP,
    MCR_OUT1,
    MCR_OUT2,
    MCR_RTS,
    MSR_CTS,
    MSR_DCD,
    MSR_DCTS,
    MSR_DDCD,
    MSR_DDSR,
    MSR_DELTAS,
    MSR_DSR,
    MSR_INPUT_SHIFT,
    MSR_RI,
    MSR_TERI, //
};
use crate::migration::stream::RecordError;

/// The modem lines of one port.
///
/// # Invariants
///
/// - `control` has only bits of [`MCR_BITS`] set.
/// - `deltas` has only bits 0 to 3 set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Modem {
    control: u8,
    deltas: u8,
}

impl Modem {
    /// All outputs off, no change seen.
    pub(super) const fn new() -> Self {
        // INVARIANT: No bit is set.
        Self {
            control: 0,
            deltas: 0,
        }
    }

    /// Modem lines as they were saved: MCR, and the changes that MSR has yet to tell.
    pub(super) fn restore(control: u8, deltas: u8) -> Result<Self, RecordError> {
        if control & !MCR_BITS != 0 {
            return Err(field("mcr", control, "bits of 0x1f"));
        }
        if deltas & !MSR_DELTAS != 0 {
            return Err(field("msr", deltas, "bits of 0xf"));
        }
        // INVARIANT: Both were checked.
        Ok(Self { control, deltas })
    }

    /// The changes that MSR has yet to tell.
    pub(super) fn deltas(&self) -> u8 {
        self.deltas
    }

    /// MCR as it reads.
    pub(super) fn control(&self) -> u8 {
        self.control
    }

    /// Whether the port is in loopback mode.
    pub(super) fn loopback(&self) -> bool {
        self.control & MCR_LOOP != 0
    }

    /// Writes MCR, and notes what that changed at the inputs.
    pub(super) fn set_control(&mut self, value: u8) {
        let before = self.inputs();
        // INVARIANT: The other bits are masked.
        self.control = value & MCR_BITS;
        let after = self.inputs();

        let changed = (before ^ after) >> MSR_INPUT_SHIFT;
        let fallen = (before & !after) >> MSR_INPUT_SHIFT;
        // INVARIANT: Both terms are masked to delta bits.
        self.deltas |= changed & (MSR_DCTS | MSR_DDSR | MSR_DDCD) | fallen & MSR_TERI;
    }

    /// Reads MSR: the inputs, and the changes since it was last read.
    pub(super) fn take_status(&mut self) -> u8 {
        // INVARIANT: No bit is left.
        self.inputs() | core::mem::take(&mut self.deltas)
    }

    /// Whether a change has not been read yet.
    pub(super) fn changed(&self) -> bool {
        self.deltas != 0
    }

    /// The inputs, where MSR has them.
    fn inputs(&self) -> u8 {
        let when = |output: u8, inputs: u8| match self.control & output {
            0 => 0,
            _ => inputs,
        };
        let clear_to_send = when(MCR_RTS, MSR_CTS);
        if self.loopback() {
            clear_to_send
                | when(MCR_DTR, MSR_DSR)
                | when(MCR_OUT1, MSR_RI)
                | when(MCR_OUT2, MSR_DCD)
        } else {
            clear_to_send | when(MCR_DTR, MSR_DSR | MSR_DCD)
        }
    }
}

#[cfg_attr(
    CONFIG_MIGDEV_KUNIT_TEST,
    kernel::prelude::kunit_tests(migdev_model_modem)
)]
#[cfg(any(test, CONFIG_MIGDEV_KUNIT_TEST))]
mod tests {
    use super::*;

    /// A port whose MCR went through `writes`, with the deltas of all but the last write read away.
    fn after(writes: &[u8]) -> Modem {
        let mut modem = Modem::new();
        for &value in writes {
            modem.take_status();
            modem.set_control(value);
        }
        modem
    }

    #[test]
    fn the_plug_returns_rts_to_cts_and_dtr_to_dsr_and_dcd() {
        assert_eq!(after(&[0x02]).take_status(), MSR_CTS | MSR_DCTS);
        assert_eq!(
            after(&[0x01]).take_status(),
            MSR_DSR | MSR_DCD | MSR_DDSR | MSR_DDCD
        );
    }

    #[test]
    fn the_plug_leaves_out1_out2_and_ri_open() {
        assert_eq!(after(&[0x0c]).take_status(), 0);
    }

    #[test]
    fn loopback_returns_each_output_to_its_own_input() {
        assert_eq!(after(&[0x11]).take_status(), MSR_DSR | MSR_DDSR);
        assert_eq!(after(&[0x12]).take_status(), MSR_CTS | MSR_DCTS);
        assert_eq!(after(&[0x14]).take_status(), MSR_RI);
        assert_eq!(after(&[0x18]).take_status(), MSR_DCD | MSR_DDCD);
    }

    #[test]
    fn ring_is_noted_at_its_trailing_edge_only() {
        assert_eq!(after(&[0x14]).take_status(), MSR_RI);
        assert_eq!(after(&[0x14, 0x10]).take_status(), MSR_TERI);
    }

    #[test]
    fn deltas_last_until_they_are_read_and_no_longer() {
        let mut modem = after(&[0x02]);
        modem.set_control(0);
        assert!(modem.changed());
        assert_eq!(modem.take_status(), MSR_DCTS);
        assert!(!modem.changed());
        assert_eq!(modem.take_status(), 0);
    }

    #[test]
    fn a_delta_is_not_lost_to_a_later_one() {
        let mut modem = after(&[0x02]);
        modem.set_control(0x03);
        assert_eq!(modem.take_status() & 0x0f, MSR_DCTS | MSR_DDSR | MSR_DDCD);
    }

    #[test]
    fn rewriting_the_same_value_changes_nothing() {
        assert!(!after(&[0x1f, 0x1f]).changed());
    }

    #[test]
    fn entering_loopback_changes_only_the_inputs_whose_sources_differ() {
        // DTR and RTS set: CTS and DSR stay as they are, DCD falls as OUT2 is off.
        assert_eq!(
            after(&[0x03, 0x13]).take_status(),
            MSR_CTS | MSR_DSR | MSR_DDCD
        );
        // With OUT2 as well, nothing changes at all.
        assert_eq!(
            after(&[0x0b, 0x1b]).take_status(),
            MSR_CTS | MSR_DSR | MSR_DCD
        );
    }

    #[test]
    fn leaving_loopback_with_out1_set_is_a_trailing_edge_of_ri() {
        assert_eq!(after(&[0x14, 0x04]).take_status(), MSR_TERI);
    }

    #[test]
    fn the_three_upper_bits_of_mcr_read_zero() {
        assert_eq!(after(&[0xff]).control(), 0x1f);
    }
}
