//! Command line: `--name value` pairs.

use std::net::Ipv4Addr;

pub struct Options {
    pub receivers: usize,
    pub size: usize,
    pub run: usize,
    /// Packets per second in all, as frames of `run` packets; 0 is as fast as possible.
    pub rate: u64,
    pub seconds: f64,
    pub cores: (usize, usize),
    pub gso: bool,
    /// Where the sender is.
    pub address: Ipv4Addr,
    /// The device that the receivers are behind; empty for sockets.
    pub tun: String,
    pub tun_address: Ipv4Addr,
    /// Runs reach the device whole.
    pub segments: bool,
}

impl Options {
    pub fn parse() -> Result<Self, String> {
        let mut options = Self {
            receivers: 200,
            size: 1100,
            run: 8,
            rate: 20_000,
            seconds: 2.0,
            cores: (0, 1),
            gso: true,
            address: Ipv4Addr::LOCALHOST,
            tun: String::new(),
            tun_address: Ipv4Addr::new(10, 99, 0, 2),
            segments: true,
        };
        let mut words = std::env::args().skip(1);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let address = || {
                value
                    .parse()
                    .map_err(|_| format!("{name}: no IPv4 address"))
            };
            match name.as_str() {
                "--tun" => options.tun.clone_from(&value),
                "--address" => options.address = address()?,
                "--tun-address" => options.tun_address = address()?,
                _ => options.number(&name, &value)?,
            }
        }
        Ok(options)
    }

    fn number(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number: f64 = value.parse().map_err(|_| format!("{name}: not a number"))?;
        match name {
            "--receivers" => self.receivers = number as usize,
            "--size" => self.size = number as usize,
            "--run" => self.run = number as usize,
            "--rate" => self.rate = number as u64,
            "--seconds" => self.seconds = number,
            "--send-core" => self.cores.0 = number as usize,
            "--receive-core" => self.cores.1 = number as usize,
            "--gso" => self.gso = number != 0.0,
            "--segments" => self.segments = number != 0.0,
            _ => return Err(format!("unknown option {name}")),
        }
        Ok(())
    }
}
