// SPDX-License-Identifier: GPL-2.0-only

//! One source against 10,000 destinations: how long a scheduler waits for an answer.
//!
//! `cargo bench -p migver-cli --bench fleet`. The promise is 20 ms.

#![expect(
    missing_docs,
    reason = "criterion's macro makes a public function of the group"
)]

use migver_cli::{
    fleet::{
        candidates,
        rank, //
    },
    inventory::{
        model::SCHEMA,
        Inventory,
        Parent,
        Type, //
    },
};

use criterion::{
    criterion_group,
    criterion_main,
    Criterion, //
};
use migver::{
    compare,
    Version, //
};

use std::hint::black_box;

const SOURCE: &str =
    "migver:1,vendor=migdev,model=serial,abi=1.1,stream=2:1-2,needs=fifo64,takes=fifo64,param.ports=eq:2";

/// 1000 hosts with 10 types each, of which about a third can take the source in.
fn fleet() -> Vec<Inventory> {
    (0..1000_u32)
        .map(|host| Inventory {
            schema: SCHEMA,
            host: format!("node{host}"),
            collected: String::new(),
            kernel: String::new(),
            parents: vec![Parent {
                name: "migdev".to_owned(),
                types: (0..10).map(|number| kind(host, number)).collect(),
            }],
            devices: Vec::new(),
        })
        .collect()
}

fn kind(host: u32, number: u32) -> Type {
    let minor = 1 + host % 3;
    let newest = 2 + number % 3;
    let ports = 1 + (host + number) % 3;
    Type {
        name: format!("type{number}"),
        pretty_name: String::new(),
        device_api: "vfio-pci".to_owned(),
        available_instances: u64::from(host + number + 1),
        migration_version: Some(format!(
            "migver:1,vendor=migdev,model=serial,abi=1.{minor},stream={newest}:1-{newest},\
             takes=dma+fifo64+rs485,param.ports=eq:{ports}"
        )),
        migration_baseline: None,
    }
}

/// The three things that an answer takes.
fn fleets(criterion: &mut Criterion) {
    let fleet = fleet();
    let source = Version::parse(SOURCE.as_bytes()).expect("the source is valid");
    let parsed: Vec<_> = fleet
        .iter()
        .flat_map(candidates)
        .map(|item| Version::parse(item.string.as_bytes()).expect("the fleet is valid"))
        .collect();
    assert_eq!(parsed.len(), 10_000);
    let mut json = Vec::new();
    for inventory in &fleet {
        inventory.write(&mut json).expect("a vector takes all");
    }

    criterion.bench_function("10000 compared, parsed before", |bencher| {
        bencher.iter(|| {
            let fits = |version: &&Version<'_>| compare(&source, version).is_compatible();
            black_box(parsed.iter().filter(fits).count())
        });
    });
    criterion.bench_function("10000 parsed, compared and ranked", |bencher| {
        bencher.iter(|| black_box(rank(&source, fleet.iter().flat_map(candidates)).len()));
    });
    criterion.bench_function(
        "10000 read from JSON, parsed, compared and ranked",
        |bencher| {
            bencher.iter(|| {
                let fleet = Inventory::read(&json).expect("it was written so");
                black_box(rank(&source, fleet.iter().flat_map(candidates)).len())
            });
        },
    );
}

criterion_group!(benches, fleets);
criterion_main!(benches);
