//! Load client for servers that speak the LiveKit protocol: one thread, light enough that two
//! hundred subscribers fit on one core. It measures; `bench/run.py` compares.

mod cert;
mod data;
mod link;
mod options;
mod participant;
mod pc;
mod proto;
mod run;
mod sctp;
mod sdp;
mod signal;
mod sink;
mod source;
mod sys;
mod token;

use std::process::ExitCode;

fn main() -> ExitCode {
    let result = options::Options::parse(std::env::args().skip(1))
        .and_then(run::World::new)
        .and_then(|mut world| world.run());
    match result {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
