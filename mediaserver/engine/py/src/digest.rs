//! SHA-256 of everything the native module is built from. Compiled twice: into build.rs, which
//! stores the digest of what it builds, and into the module, which compares at import.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Folders whose Rust sources count, and single files; relative to the engine's folder.
pub const FOLDERS: [&str; 4] = ["core/src", "data/src", "net/src", "py/src"];
pub const FILES: [&str; 7] = [
    "Cargo.lock",
    "Cargo.toml",
    "core/Cargo.toml",
    "data/Cargo.toml",
    "net/Cargo.toml",
    "py/Cargo.toml",
    "py/build.rs",
];

pub fn of_sources(engine: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
    for folder in FOLDERS {
        collect(engine, Path::new(folder), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(engine.join(&file))?;
        hash.update(file.to_string_lossy().as_bytes());
        hash.update([0]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(&bytes);
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(engine: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(engine.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(engine, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}
