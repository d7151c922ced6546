// SPDX-License-Identifier: GPL-2.0-only
//! The cases in which many do everything at once: what was called and answered is held against the two models.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use nix::errno::Errno;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use vfio_client::ktap::{check, Miss, Outcome};
use vfio_client::wait::releases_late;

use crate::board::{Board, Counted, SLOTS};
use crate::history::{explain, Event};
use crate::place::{self, Places, DEVICES};
use crate::registry::{self, note_contention, Presence, Registry, What};
use crate::session::{self, Session};
use crate::worker::{plain, uuid, Record, Said};
use crate::World;

/// What takes part in a race.
struct Plan {
    processes: u64,
    threads: u64,
    /// What each thread does, in numbers.
    ops: u64,
    /// Parents and module come and go meanwhile.
    parents_move: bool,
}

/// As many devices as there may be: one fewer than there are places for.
const LIMIT: u32 = SLOTS as u32 - 1;

/// Several processes of several threads use a few devices.
pub fn devices_in_many_hands(world: &World) -> Outcome {
    race(
        world,
        &Plan {
            processes: 2,
            threads: 3,
            ops: world.amount(1_500, 150),
            parents_move: false,
        },
    )
}

/// The same while cards are unbound and the module is unloaded under them.
pub fn devices_whose_parents_go(world: &World) -> Outcome {
    race(
        world,
        &Plan {
            processes: 2,
            threads: 3,
            ops: world.amount(1_000, 100),
            parents_move: true,
        },
    )
}

fn race(world: &World, plan: &Plan) -> Outcome {
    let board = PathBuf::from(format!("/tmp/endurance-{}", std::process::id()));
    let done = run(world, plan, &board);
    let _ = fs::remove_file(&board);
    done
}

/// A process of the race that has not ended yet.
struct Running(Child, BufReader<ChildStdout>);

impl Running {
    /// Starts one, which waits.
    fn start(world: &World, plan: &Plan, board: &Path, number: u64) -> Result<Self, Miss> {
        let mut command = Command::new(&world.program);
        command.arg("worker").arg("--board").arg(board);
        let seed = world.seed.wrapping_add(number << 32);
        for (name, value) in [
            ("--seed", seed),
            ("--threads", plan.threads),
            ("--ops", plan.ops),
        ] {
            command.arg(name).arg(value.to_string());
        }
        if plan.parents_move {
            command.arg("--rude");
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or(Errno::EPIPE)?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        check!(line == "ready\n", "a process could not begin: {line:?}");
        Ok(Running(child, output))
    }

    /// Waits for its end. What it wrote down.
    fn records(mut self) -> Result<Vec<Record>, Miss> {
        let mut text = String::new();
        self.1.read_to_string(&mut text)?;
        let status = self.0.wait()?;
        check!(status.success(), "a process ended with {status}");
        let lines = text.lines().map(serde_json::from_str);
        lines
            .collect::<Result<_, _>>()
            .map_err(|error| Miss::Failed(format!("a record that is none: {error}")))
    }
}

fn run(world: &World, plan: &Plan, path: &Path) -> Outcome {
    world.begin(LIMIT)?;
    let board = Board::create(path)?;
    let places = Places::find()?;
    let mut running = Vec::new();
    for number in 0..plan.processes {
        running.push(Running::start(world, plan, path, number)?);
    }
    let is_over = AtomicBool::new(false);
    board.start();
    let (ended, moved) = std::thread::scope(|scope| {
        let mover = plan.parents_move.then(|| {
            let (board, places, is_over) = (&board, &places, &is_over);
            scope.spawn(move || move_parents(world, board, places, is_over))
        });
        let readers: Vec<_> = running
            .into_iter()
            .map(|running| scope.spawn(|| running.records()))
            .collect();
        let ended: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        is_over.store(true, SeqCst);
        (ended, mover.map(|mover| mover.join()))
    });
    let mut records = Vec::new();
    for each in ended {
        records.extend(each.map_err(|_| Miss::Failed("a reader panicked".to_owned()))??);
    }
    if let Some(moved) = moved {
        records.extend(moved.map_err(|_| Miss::Failed("the mover panicked".to_owned()))?);
    }
    // A short race may end before anybody has found a device, a stream and the right state at once, and so may one whose parents
    // are mostly gone.
    judge(world.short || plan.parents_move, &places, &records)
}

/// Unbinds cards and unloads the module, again and again, and undoes it.
fn move_parents(
    world: &World,
    board: &Board,
    places: &Places,
    is_over: &AtomicBool,
) -> Vec<Record> {
    let mut rng = SmallRng::seed_from_u64(world.seed);
    let mut records = Vec::new();
    let mut call = |what, act: &dyn Fn() -> Result<(), Errno>| {
        let begin = board.now();
        let done = act();
        let end = board.now();
        let said = Said::Registry(registry::Call {
            what,
            answer: plain(&done).map(|()| 0),
            contended: false,
        });
        records.push(Record { begin, end, said });
        done
    };
    while !is_over.load(SeqCst) {
        // The others are to do some things in between, however slow the machine is.
        let next = board.moments() + rng.random_range(100..600);
        while !is_over.load(SeqCst) && board.moments() < next {
            std::thread::sleep(Duration::from_millis(1));
        }
        let card = rng.random_range(0..places.parents.len());
        let sweeping = Counted::new(&board.notes().sweeping);
        if card > 0 {
            let unbound = call(What::Unbind(card), &|| places.unbind(card));
            drop(sweeping);
            std::thread::sleep(Duration::from_millis(rng.random_range(0..10)));
            if unbound.is_ok() {
                let _ = call(What::Bind(card), &|| places.bind(card));
            }
            continue;
        }
        let unloaded = (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            call(What::Unload, &|| world.module.unload()).is_ok()
        });
        drop(sweeping);
        if unloaded {
            world.module.wait_until_gone();
            let _ = call(What::Load, &|| world.module.load(LIMIT));
        }
    }
    records
}

/// Holds what was written down, and what is there now, against the models.
fn judge(may_be_idle: bool, places: &Places, records: &[Record]) -> Outcome {
    let mut calls = Vec::new();
    let mut sessions: BTreeMap<u64, Vec<Event<session::Call>>> = BTreeMap::new();
    let mut saved = 0;
    for Record { begin, end, said } in records {
        let (begin, end) = (*begin, *end);
        match said {
            Said::Registry(call) => calls.push(Event {
                begin,
                end,
                call: *call,
            }),
            Said::Session(name, call) => sessions.entry(*name).or_default().push(Event {
                begin,
                end,
                call: *call,
            }),
            Said::Saved => saved += 1,
            Said::Wrong(text) => return Err(Miss::Failed(text.clone())),
        }
    }
    tell(&calls, &sessions, saved);
    for (name, events) in &sessions {
        explain(&Session, session::State::fresh(), events)
            .map_err(|text| Miss::Failed(format!("the time {name} of a device: {text}")))?;
    }
    let count = calls.iter().filter_map(|event| device_of(event.call.what));
    let count = count.max().map_or(SLOTS, |most| most + 1);
    // What is there when all is quiet, as calls that come last.
    let mut moment = records.iter().map(|record| record.end).max().unwrap_or(0);
    let mut last = |what, answer| {
        moment += 2;
        calls.push(Event {
            begin: moment,
            end: moment + 1,
            call: registry::Call {
                what,
                answer,
                contended: false,
            },
        });
    };
    for parent in 0..places.parents.len() {
        let available = places.available(parent).map_err(|errno| errno as i32);
        last(What::Available(parent), available);
    }
    let mut there = 0;
    for id in 0..count {
        let version = place::read(&place::device(&uuid(id)).join("migration_version"));
        there += usize::from(version.is_ok());
        last(
            What::Look(id),
            version.map(|_| 0).map_err(|errno| errno as i32),
        );
    }
    let model = Registry {
        limit: LIMIT,
        releases_late: releases_late(),
    };
    note_contention(&mut calls);
    let ends = explain(&model, registry::State::without_devices(count), &calls)
        .map_err(|text| Miss::Failed(format!("the devices: {text}")))?;
    for state in &ends {
        let half_way = |presence| !matches!(presence, Presence::Absent | Presence::Present(_));
        let is_quiet = |device: &registry::Device| !device.open && !half_way(device.presence);
        check!(
            state.devices.iter().all(is_quiet),
            "it ends in the middle of something: {state:?}"
        );
    }
    let entries = fs::read_dir(DEVICES)?.count();
    check!(
        entries == there,
        "{entries} devices in sysfs, of which {there} are known"
    );
    // That it was a race.
    let loads =
        |event: &&Event<session::Call>| matches!(event.call, session::Call::Feed(_, Ok(())));
    let loaded = sessions.values().flatten().filter(loads).count();
    check!(
        may_be_idle || saved > 0 && loaded > 0,
        "nothing was saved and loaded"
    );
    Ok(())
}

fn device_of(what: What) -> Option<usize> {
    match what {
        What::Create(id, _)
        | What::Remove(id)
        | What::Open(id)
        | What::Close(id)
        | What::Look(id) => Some(id),
        _ => None,
    }
}

/// Says how often what came of what.
fn tell(
    calls: &[Event<registry::Call>],
    sessions: &BTreeMap<u64, Vec<Event<session::Call>>>,
    saved: usize,
) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for event in calls {
        let what = format!("{:?}", event.call.what);
        let what = what.split('(').next().unwrap_or_default();
        let came = match event.call.answer {
            Ok(_) => "ok".to_owned(),
            Err(errno) => format!("{:?}", Errno::from_raw(errno)),
        };
        *counts.entry(format!("{what} {came}")).or_default() += 1;
    }
    let of_sessions: usize = sessions.values().map(Vec::len).sum();
    let list = counts.iter().map(|(what, count)| format!("{what} {count}"));
    println!("# {}", list.collect::<Vec<_>>().join(", "));
    println!(
        "# {of_sessions} calls in {} sessions, {saved} streams saved whole",
        sessions.len()
    );
}
