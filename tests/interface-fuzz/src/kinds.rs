// SPDX-License-Identifier: GPL-2.0-only
//! The kinds of arguments that calls have, and which values of each are worth trying.

use crate::random::Random;

/// What an argument is. All are numbers of 64 bits, of which a call takes what it needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A device: 0 has two ports, 1 one port, 2 one port and no migration. 3 more is its second descriptor.
    Device,
    /// How to open: 0 by group, 1 by character device.
    Way,
    /// Where a data file is kept, 0 to 3.
    File,
    /// Where a mapping is kept, 0 or 1.
    Mapping,
    /// Where the argument or the buffer is, see [`memory`].
    Memory,
    /// The length that an argument says it has.
    Argsz,
    /// The index of an interrupt.
    Irq,
    /// `VFIO_IRQ_SET_*`.
    IrqFlags,
    /// The start or the count of a range of interrupts.
    Few,
    /// A descriptor: 0 to 3 are eventfds, 4 is -1, 5 is -2, 6 is not open, 7 is no eventfd, 8 is the device, 9 is the least
    /// number. As a boolean, what it is.
    Fd,
    /// The index of a region.
    Region,
    /// A place in a region.
    Offset,
    /// A place in the file of a device, in all 64 bits.
    Position,
    /// The length of an access.
    Length,
    /// What is written, lowest byte first, again and again.
    Value,
    /// `enum vfio_device_mig_state`.
    State,
    /// The bits of `device_state`.
    DeviceState,
    /// `VFIO_DEVICE_FEATURE_*`, with how it is used.
    Feature,
    /// A number in the payload of a feature.
    Word,
    /// The number of a request, from `VFIO_BASE` on.
    Request,
    /// What becomes of a byte, a field or a record of a stream.
    Change,
    /// A place in a stream, or a number of records.
    Place,
    /// An attribute, see `world::sysfs`.
    Attribute,
    /// A text for an attribute, see `world::sysfs`.
    Text,
    /// Flags for mmap(2): the lowest bit is MAP_PRIVATE, the next takes the right to write away.
    MapFlags,
    /// What a guest does, see `vfio_client::migration::guest`.
    Scene,
}

/// Where the memory is that a call is given.
pub mod memory {
    /// At the start of enough memory.
    pub const GOOD: u64 = 0;
    /// Up to here: the value is how many bytes can be accessed, behind which nothing is mapped.
    pub const CLIFF_MOST: u64 = 0xffff;
    /// No memory at all.
    pub const NULL: u64 = 0x1_0000;
    /// In the kernel.
    pub const KERNEL: u64 = 0x1_0001;
    /// Memory that can be read only.
    pub const FROZEN: u64 = 0x1_0002;
    /// An address that no processor has.
    pub const NOWHERE: u64 = 0x1_0003;
    /// Enough memory, at an odd address.
    pub const ODD: u64 = 0x1_0004;
}

const MEMORY: [u64; 16] = [
    memory::NULL,
    memory::KERNEL,
    memory::FROZEN,
    memory::NOWHERE,
    memory::ODD,
    1,
    4,
    8,
    12,
    16,
    19,
    20,
    24,
    32,
    40,
    100,
];
const ARGSZ: [u64; 14] = [
    0,
    1,
    4,
    8,
    12,
    15,
    16,
    20,
    21,
    24,
    32,
    40,
    4096,
    0xffff_ffff,
];
const IRQ_FLAGS: [u64; 16] = [
    0x21,
    0x22,
    0x24,
    0x09,
    0x0a,
    0x0c,
    0x11,
    0x12,
    0x14,
    0x00,
    0x3f,
    0x03,
    0x27,
    0x38,
    0x40,
    0x8000_0001,
];
const FEW: [u64; 8] = [0, 1, 1, 1, 2, 3, 0x7fff_ffff, 0xffff_ffff];
const REGIONS: [u64; 12] = [0, 0, 7, 7, 9, 9, 9, 1, 5, 8, 10, 0xff_ffff];
const OFFSETS: [u64; 28] = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    0x0c,
    0x10,
    0x14,
    0x18,
    0x1c,
    0x20,
    0x3c,
    0x40,
    0x44,
    0x48,
    0x4c,
    0xf0,
    0xff,
    0x100,
    0xfff,
    0x1000,
    0x1fff,
    0x2000,
    0xff_ffff_ffff,
];
const POSITIONS: [u64; 10] = [
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x7fff_ff00_0000_0000,
    0x700_0000_00ff,
    0x900_0000_1fff,
    0xa00_0000_0000,
    0x900_0000_0000,
    0xffff_ff00_0000_0000,
    0x800_0000_0000,
];
const LENGTHS: [u64; 16] = [
    1, 1, 1, 2, 4, 4, 8, 8, 0, 3, 16, 64, 256, 257, 4096, 0x2_0000,
];
const VALUES: [u64; 20] = [
    0,
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    0x0b,
    0x0f,
    0x10,
    0x40,
    0x80,
    0x83,
    0xc1,
    0xff,
    0x1000,
    0x4041,
    0xffff_ffff,
    0xffff_ffff_ffff_ffff,
];
/// SET, GET and PROBE of `linux/vfio.h`, and what of them can be meant.
const HOW: [u64; 7] = [
    0x1_0000, 0x1_0000, 0x2_0000, 0x2_0000, 0x4_0000, 0x5_0000, 0x7_0000,
];
const WORDS: [u64; 18] = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    0x1000,
    0x2000,
    0x10_0000,
    0x1_0000_0000,
    0xffff_ffff,
    0xffff_ffff_ffff_f000,
    0xffff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0x123,
];

impl Kind {
    /// A value worth trying: mostly one that has a meaning.
    pub fn value(self, random: &mut Random) -> u64 {
        if random.one_in(40) {
            return random.any() >> random.below(64);
        }
        match self {
            Kind::Device => [0, 0, 0, 0, 0, 1, 1, 2, 3, 4][random.below(10)],
            Kind::Way | Kind::Mapping => random.below(2) as u64,
            Kind::File => random.below(4) as u64,
            Kind::Memory if !random.one_in(8) => memory::GOOD,
            Kind::Memory => random.of(&MEMORY),
            Kind::Argsz if random.one_in(2) => 64,
            Kind::Argsz => random.of(&ARGSZ),
            Kind::Irq => random.below(7) as u64,
            Kind::IrqFlags => random.of(&IRQ_FLAGS),
            Kind::Few => random.of(&FEW),
            Kind::Fd if random.one_in(2) => random.below(4) as u64,
            Kind::Fd => random.below(10) as u64,
            Kind::Region => random.of(&REGIONS),
            Kind::Offset => random.of(&OFFSETS),
            Kind::Position => random.of(&POSITIONS),
            Kind::Length => random.of(&LENGTHS),
            Kind::Value if random.one_in(3) => random.any(),
            Kind::Value => random.of(&VALUES),
            Kind::State => random.below(9) as u64,
            Kind::DeviceState => random.below(8) as u64 | (u64::from(random.one_in(8)) << 9),
            Kind::Feature => random.below(14) as u64 | random.of(&HOW),
            Kind::Word => random.of(&WORDS),
            Kind::Request => random.below(32) as u64,
            Kind::Change => random.below(14) as u64,
            Kind::Place => random.below(260) as u64,
            Kind::Attribute | Kind::Text => random.below(16) as u64,
            Kind::MapFlags => random.below(4) as u64,
            Kind::Scene => random.below(8) as u64,
        }
    }
}
