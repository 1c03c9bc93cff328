//! The limit: what header, AES-128-GCM and one `sendmsg` with GSO cost for each packet at a run
//! length, to many receivers on loopback or behind a TUN device, at the pace of a benchmark. It
//! knows no protocol; no server can do less per packet. `bench/run.py` prints it beside the
//! servers.

mod options;
mod receive;
mod send;

use std::process::ExitCode;

use serde_json::json;

use options::Options;
use receive::Reader;
use send::Sender;

fn pin(core: usize) {
    // SAFETY: a zeroed cpu_set_t is empty and valid; 0 is the calling thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

fn clock_ns(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid to write to.
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn measure(options: &Options) -> Result<serde_json::Value, String> {
    let reader = Reader::start(options)?;
    pin(options.cores.0);
    let mut sender = Sender::new(options, &reader.targets)?;
    // At the wanted rate each round sends one run to every receiver.
    let per_round = (options.receivers * options.run) as u64;
    let period_ns = (per_round * 1_000_000_000)
        .checked_div(options.rate)
        .unwrap_or(0);
    let (begin, cpu) = (
        clock_ns(libc::CLOCK_MONOTONIC),
        clock_ns(libc::CLOCK_THREAD_CPUTIME_ID),
    );
    let (mut sent, mut next) = (0u64, begin);
    while clock_ns(libc::CLOCK_MONOTONIC) - begin < (options.seconds * 1e9) as u64 {
        for target in 0..options.receivers {
            sender.send(target, options.run);
        }
        sender.sequence += options.run as u64;
        sent += per_round;
        next += period_ns;
        let now = clock_ns(libc::CLOCK_MONOTONIC);
        if next > now {
            std::thread::sleep(std::time::Duration::from_nanos(next - now));
        }
    }
    let cpu = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) - cpu;
    let elapsed = clock_ns(libc::CLOCK_MONOTONIC) - begin;
    std::thread::sleep(std::time::Duration::from_millis(50));
    let received = reader.finish()?;
    Ok(json!({
        "packets": sent, "received": received,
        "packets_per_second": sent as f64 * 1e9 / elapsed as f64,
        "cpu_us_per_packet": cpu as f64 / 1000.0 / sent.max(1) as f64,
    }))
}

fn main() -> ExitCode {
    match Options::parse().and_then(|options| measure(&options)) {
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
