// SPDX-License-Identifier: GPL-2.0-only

//! Fetches inventories: files, directories of them, standard input.

use crate::{
    exit::os_text,
    inventory::{
        Inventory,
        ReadError, //
    },
    Error, //
};

use std::{
    collections::HashMap,
    fs,
    io::Read,
    path::{
        Path,
        PathBuf, //
    },
};

/// The greatest size of one inventory file or of standard input, in bytes. A host with hundreds of types takes a
/// hundredth of it.
const MAX_LEN: u64 = 256 * 1024 * 1024;

/// Reads every inventory of these files and directories, sorted by host. `-` is `input`; of a directory it takes
/// the files whose names end in `.json`.
///
/// # Errors
///
/// Names the file that cannot be read, and a host of which there are two inventories: it is not known here which of
/// them still holds.
pub fn load(paths: &[PathBuf], input: &mut dyn Read) -> Result<Vec<Inventory>, Error> {
    let mut inventories = Vec::new();
    let mut origins: HashMap<String, PathBuf> = HashMap::new();
    for path in files(paths)? {
        let text = if path.as_os_str() == "-" {
            read(input, &path)?
        } else {
            let mut file = fs::File::open(&path).map_err(|error| cannot(&path, &error))?;
            read(&mut file, &path)?
        };
        let read = Inventory::read(&text).map_err(|error| match &error {
            ReadError::Io(error) => cannot(&path, error),
            ReadError::Json(_) => {
                Error::new(path.display(), &error).hint("`migver inventory` on a host writes one")
            }
            _ => Error::new(path.display(), &error),
        })?;
        for inventory in read {
            if let Some(first) = origins.insert(inventory.host.clone(), path.clone()) {
                let why = format!("host {} is in {} already", inventory.host, first.display());
                return Err(Error::new(path.display(), why).hint(
                    "leave out the older one; hosts of one name are told apart by `migver inventory --host NAME`",
                ));
            }
            inventories.push(inventory);
        }
    }
    inventories.sort_by(|a, b| a.host.cmp(&b.host));
    Ok(inventories)
}

/// Lists the files, with directories taken apart in the order of their files' names.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(|error| cannot(path, &error))? {
            let file = entry.map_err(|error| cannot(path, &error))?.path();
            if file.extension().is_some_and(|end| end == "json") {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(Error::new(path.display(), "no file in it ends in .json")
                .hint("`migver inventory >HOST.json` on a host writes one"));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

fn read(from: &mut dyn Read, path: &Path) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    from.take(MAX_LEN + 1)
        .read_to_end(&mut text)
        .map_err(|error| cannot(path, &error))?;
    if text.len() as u64 > MAX_LEN {
        let why = format!("longer than {} MiB", MAX_LEN >> 20);
        return Err(Error::new(path.display(), why));
    }
    Ok(text)
}

fn cannot(path: &Path, error: &std::io::Error) -> Error {
    Error::new(path.display(), os_text(error))
}
