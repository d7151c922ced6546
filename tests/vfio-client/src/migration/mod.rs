// SPDX-License-Identifier: GPL-2.0-only
//! Migration as the user of a device meets it, with the terms of `linux/vfio.h`: the feature protocol ([`v2`]), the
//! migration region that came before it ([`v1`]), the log of DMA ([`logging`]), and the stream that both protocols
//! carry ([`stream`]).
//!
//! The stream is taken apart and put together here without the driver's own code, so that it is the documented layout
//! that the cases hold the driver to.

pub mod guest;
pub mod logging;
pub mod stream;
pub mod v1;
pub mod v2;
