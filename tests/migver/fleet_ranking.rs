// SPDX-License-Identifier: GPL-2.0-only

//! Who is found in a fleet, in which order, and what a matrix of it shows.

use migver_cli::{
    fleet::{
        candidates,
        page,
        rank,
        Candidate,
        Match,
        Matrix,
        Pattern,
        Search, //
    },
    inventory::{
        model::SCHEMA,
        Device,
        Inventory,
        Parent,
        Type, //
    },
};

use migver::{
    compare,
    Version, //
};

use std::{
    cmp::Reverse,
    collections::HashMap, //
};

/// What a generated string says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Numbers {
    vendor: u32,
    minor: u32,
    oldest: u32,
    writes: u32,
    newest: u32,
    ports: u32,
    memory: u32,
    features: u32,
}

const FEATURES: [&str; 3] = ["dma", "fifo64", "rs485"];

impl Numbers {
    fn string(&self) -> String {
        let names = FEATURES
            .iter()
            .zip(0..)
            .filter(|(_, bit)| (self.features >> bit) & 1 == 1);
        let takes: Vec<_> = names.map(|(name, _)| *name).collect();
        let takes = match takes.as_slice() {
            [] => String::new(),
            some => format!(",takes={}", some.join("+")),
        };
        format!(
            "migver:1,vendor=v{},model=m,abi=1.{},stream={}:{}-{}{takes},param.memory=le:{},param.ports=eq:{}",
            self.vendor, self.minor, self.writes, self.oldest, self.newest, self.memory, self.ports
        )
    }

    /// Whether a source that needs none of its features fits, told from the numbers alone.
    fn takes(&self, source: &Self) -> bool {
        self.vendor == source.vendor
            && self.minor >= source.minor
            && self.oldest <= source.oldest
            && self.newest >= source.writes
            && self.ports == source.ports
            && self.memory >= source.memory
    }
}

/// A sequence that is the same each time.
struct Sequence(u64);

impl Sequence {
    fn next(&mut self, below: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 33).unwrap() % below
    }

    /// Some are what the source says.
    fn numbers(&mut self) -> Numbers {
        if self.next(64) == 0 {
            return SOURCE;
        }
        let oldest = 1 + self.next(2);
        let writes = oldest + self.next(2);
        Numbers {
            vendor: u32::from(self.next(8) == 0),
            minor: self.next(4),
            oldest,
            writes,
            newest: writes + self.next(2),
            ports: 1 + u32::from(self.next(4) == 0),
            memory: 1 << self.next(4),
            features: self.next(8),
        }
    }
}

const SOURCE: Numbers = Numbers {
    vendor: 0,
    minor: 1,
    oldest: 2,
    writes: 2,
    newest: 2,
    ports: 1,
    memory: 2,
    features: 2,
};

/// 1000 hosts with 9 types and a device each, and what each of them says.
fn fleet() -> (Vec<Inventory>, Vec<Numbers>) {
    let mut sequence = Sequence(1);
    let mut all = Vec::new();
    let mut string = |sequence: &mut Sequence| {
        let numbers = sequence.numbers();
        all.push(numbers);
        Some(numbers.string())
    };
    let hosts = (0..1000).map(|host| {
        let types = (0..9)
            .map(|number| Type {
                name: format!("type{number}"),
                pretty_name: String::new(),
                device_api: String::new(),
                migration_version: string(&mut sequence),
                available_instances: sequence.next(4).into(),
                migration_baseline: None,
            })
            .collect();
        Inventory {
            schema: SCHEMA,
            host: format!("node{host}"),
            collected: String::new(),
            kernel: String::new(),
            parents: vec![Parent {
                name: "parent".to_owned(),
                types,
            }],
            devices: vec![Device {
                uuid: format!("00000000-0000-0000-0000-{host:012}"),
                parent: "parent".to_owned(),
                type_name: format!("type{}", host % 9),
                migration_version: string(&mut sequence),
            }],
        }
    });
    (hosts.collect(), all)
}

/// The order as the help of `migver find` tells it.
fn order(item: &Match<'_>, numbers: &Numbers, type_name: &str) -> impl Ord {
    let candidate = item.candidate;
    (
        candidate.type_name != type_name,
        *numbers != SOURCE,
        !SOURCE.takes(numbers),
        numbers.minor - SOURCE.minor,
        numbers.writes.abs_diff(SOURCE.writes),
        numbers.memory - SOURCE.memory,
        (numbers.features & !SOURCE.features).count_ones(),
        candidate.uuid().is_some(),
        Reverse(candidate.available().unwrap_or(0)),
        candidate.host.to_owned(),
        candidate.type_name.to_owned(),
    )
}

#[test]
fn finds_all_that_fit_of_10000_destinations_best_first() {
    let (fleet, numbers) = fleet();
    let everything: Vec<_> = fleet.iter().flat_map(candidates).collect();
    assert_eq!((everything.len(), numbers.len()), (10_000, 10_000));
    let text = SOURCE.string();
    let source = Version::parse(text.as_bytes()).unwrap();
    let search = Search {
        type_name: Some("type3"),
        ..Search::new(&source)
    };
    let found = search.run(everything.iter().copied());

    let name = |candidate: &Candidate<'_>| format!("{} {candidate}", candidate.host);
    let all: HashMap<_, _> = everything.iter().map(name).zip(&numbers).collect();
    assert_eq!(all.len(), 10_000);
    let said = |candidate: &Candidate<'_>| all[&name(candidate)];
    let fits = |(candidate, numbers): &(&Candidate<'_>, &Numbers)| {
        numbers.takes(&SOURCE) && candidate.available() != Some(0)
    };
    let expected = everything.iter().zip(&numbers).filter(fits).count();
    assert!(expected > 500);
    assert_eq!(found.matches.len(), expected);
    assert_eq!(found.refused.len(), 10_000 - expected);
    for item in &found.matches {
        assert!(fits(&(&item.candidate, said(&item.candidate))));
    }
    for item in &found.refused {
        assert!(!fits(&(&item.candidate, said(&item.candidate))));
        assert!(item.why.count() > 0);
        assert_eq!(item.why.reasons().len(), item.why.count());
        assert_eq!(item.why.reasons()[0], item.why.first());
    }
    let keys: Vec<_> = found
        .matches
        .iter()
        .map(|item| order(item, said(&item.candidate), "type3"))
        .collect();
    assert!(keys.is_sorted());
    assert!(found.matches[0].is_same_type());
    assert!(found.matches.iter().any(Match::is_equal));
}

#[test]
fn the_order_of_the_inventories_has_no_influence() {
    let (fleet, _) = fleet();
    let text = SOURCE.string();
    let source = Version::parse(text.as_bytes()).unwrap();
    let names = |matches: Vec<Match<'_>>| -> Vec<String> {
        let name = |item: &Match<'_>| format!("{} {}", item.candidate.host, item.candidate);
        matches.iter().map(name).collect()
    };
    let forward = names(rank(&source, fleet.iter().flat_map(candidates)));
    let backward = names(rank(&source, fleet.iter().rev().flat_map(candidates)));
    assert_eq!(forward, backward);
}

#[test]
fn a_device_is_not_found_as_its_own_destination() {
    let (fleet, _) = fleet();
    let device = &fleet[7].devices[0];
    let text = device.migration_version.as_ref().unwrap();
    let source = Version::parse(text.as_bytes()).unwrap();
    let upper = device.uuid.to_uppercase();
    let search = Search {
        uuid: Some(&upper),
        ..Search::new(&source)
    };
    let found = search.run(fleet.iter().flat_map(candidates));
    assert_eq!(found.matches.len() + found.refused.len(), 9_999);
    let is_it = |uuid: Option<&str>| uuid == Some(&device.uuid);
    assert!(!found
        .matches
        .iter()
        .any(|item| is_it(item.candidate.uuid())));
}

#[test]
fn a_matrix_has_every_pair_once_and_everyone_in_it() {
    let (fleet, _) = fleet();
    // Some come twice, so that there is something to fold.
    let few = fleet[..6].iter().chain(&fleet[..2]);
    let matrix = Matrix::new(few.flat_map(candidates), &[], &[]);
    let members: usize = matrix.rows().iter().map(|row| row.members.len()).sum();
    assert_eq!(members, 80);
    assert!(matrix.rows().len() <= 60);
    for row in matrix.rows() {
        assert!(row.members.iter().all(|member| member.string == row.text));
    }
    let json = matrix.json();
    let cells = json["cells"].as_array().unwrap();
    assert_eq!(cells.len(), matrix.rows().len().pow(2));
    for cell in cells {
        let text = |side: &str| {
            let number = usize::try_from(cell[side].as_u64().unwrap()).unwrap();
            matrix.rows()[number - 1].text.as_bytes()
        };
        let source = Version::parse(text("source")).unwrap();
        let destination = Version::parse(text("destination")).unwrap();
        let verdict = compare(&source, &destination);
        assert_eq!(cell["compatible"], verdict.is_compatible());
        assert_eq!(cell["refusal"].is_null(), verdict.is_compatible());
        if let Some(reasons) = cell["refusal"]["reasons"].as_array() {
            assert_eq!(reasons.len(), verdict.reasons().count());
        }
    }
}

#[test]
fn patterns_choose_sources_and_destinations() {
    let (fleet, _) = fleet();
    let patterns = |text: &str| [text.parse::<Pattern>().unwrap()];
    let matrix = Matrix::new(
        fleet.iter().flat_map(candidates),
        &patterns("node1/type?"),
        &patterns("node2/00000000-*"),
    );
    let sources: usize = matrix
        .sources()
        .map(|(_, row)| {
            row.members
                .iter()
                .filter(|member| member.host == "node1")
                .count()
        })
        .sum();
    // Nine types and the device of one of them.
    assert_eq!(sources, 10);
    assert_eq!(matrix.destinations().count(), 1);
}

#[test]
fn nothing_in_an_inventory_becomes_part_of_the_page() {
    let evil = r#"<script>alert('1')</script>"&"#;
    let inventory = Inventory {
        schema: SCHEMA,
        host: evil.to_owned(),
        collected: String::new(),
        kernel: String::new(),
        parents: vec![Parent {
            name: evil.to_owned(),
            types: vec![Type {
                name: evil.to_owned(),
                pretty_name: String::new(),
                device_api: String::new(),
                available_instances: 1,
                migration_version: Some(evil.to_owned()),
                migration_baseline: None,
            }],
        }],
        devices: Vec::new(),
    };
    let matrix = Matrix::new(candidates(&inventory), &[], &[]);
    let mut out = Vec::new();
    page(&matrix, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(!out.contains("<script"));
    assert!(!out.contains(evil));
    assert!(out.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&quot;&amp;"));
}
