//! Puts the digest of the engine's sources into the module, so that a stale one is refused.

use std::path::Path;

#[path = "src/digest.rs"]
mod digest;

fn main() {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let engine = Path::new(&manifest).parent().unwrap_or(Path::new(".."));
    let found = digest::of_sources(engine).unwrap_or_default();
    println!("cargo::rustc-env=SOTTO_SOURCE_DIGEST={found}");
    for folder in digest::FOLDERS {
        println!("cargo::rerun-if-changed={}", engine.join(folder).display());
    }
    for file in digest::FILES {
        println!("cargo::rerun-if-changed={}", engine.join(file).display());
    }
}
