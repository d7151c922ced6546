// SPDX-License-Identifier: GPL-2.0-only

//! Mediated devices (mdev): virtual devices that user space creates under a parent device, each of a type that
//! the parent offers, and that are used through VFIO.
//!
//! A vendor driver implements [`Driver`] and registers it with [`DriverRegistration`]; then it registers one or
//! more parents, each with its [`Type`]s, with [`Parent`]. Writing a UUID into a type's `create` file makes a
//! device and binds it to the driver; writing `1` into the device's `remove` file ends it.
//!
//! - `driver` holds the driver trait and its C callbacks,
//! - `parent` what makes a device a parent,
//! - `ty` the types,
//! - `device` the mediated devices,
//! - `attributes` the files that a driver adds to the sysfs directories of types and devices.
//!
//! C header: [`include/linux/mdev.h`](srctree/include/linux/mdev.h)

mod attributes;
mod device;
mod driver;
mod parent;
mod ty;

pub use self::{
    attributes::{
        DeviceAttribute,
        TypeAttribute,
        MAX_ATTRIBUTES, //
    },
    device::Device,
    driver::{
        no_instances_left,
        Driver,
        DriverRegistration, //
    },
    parent::{
        Parent,
        ParentDevice, //
    },
    ty::{
        Type,
        TypeInfo, //
    },
};
