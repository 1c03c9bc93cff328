//! Command line: `--name value` pairs, all with defaults that `--help` prints.

pub const HELP: &str = "sotto-bench-client: drives a server that speaks the LiveKit protocol

  --host 127.0.0.1:7880   --key devkey  --secret secret  --room bench
  --address 127.0.0.1     the server's address for media; sockets are bound to it as well
  --tun NAME              no sockets: everybody is behind this TUN device, that has --address
  --tun-address 10.99.0.2 where everybody is behind it
  --segments 1            1: runs arrive whole (UDP segmentation offload), 0: cut by the kernel
  --mode dual|single      /rtc with two peer connections, or /rtc/v1 with one
  --kind video|audio|data --publishers 1  --subscribers 10
  --meeting N             N participants that all publish and subscribe, instead
  --burst 8  --fps 30     packets of a video frame, frames per second
  --size 1100             RTP payload bytes
  --warmup 2  --seconds 10
  --settle 20             wait at most so long until all that is sent arrives
  --sample 10             every tenth subscriber decrypts and measures delay
  --loss 0                percent of received packets thrown away, then NACKed
  --join-rate 50          participants per second
  --in-flight 16          at most so many that wait for their first media
  --retries 10            refused participants that try again, in all
  --timeout 30            give up when media does not flow by then
  --pid A[,B]             processes whose CPU time is read around the measured window
  --churn N               join N participants one after another, each leaves after first media
  --data-rate 1000        data messages per second of each publisher  --data-size 100
  --data-lossy            on the lossy channel";

#[derive(Clone, Debug)]
pub struct Options {
    pub host: String,
    pub key: String,
    pub secret: String,
    pub address: String,
    pub tun: String,
    pub tun_address: String,
    pub segments: bool,
    pub room: String,
    pub single: bool,
    pub kind: String,
    pub publishers: usize,
    pub subscribers: usize,
    pub meeting: usize,
    pub burst: u32,
    pub fps: u64,
    pub size: usize,
    pub warmup: f64,
    pub seconds: f64,
    pub settle: f64,
    pub sample: usize,
    pub loss: f64,
    pub join_rate: f64,
    pub in_flight: usize,
    pub retries: usize,
    pub timeout: f64,
    pub pids: Vec<u32>,
    pub churn: usize,
    pub data_rate: u64,
    pub data_size: usize,
    pub data_lossy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            host: "127.0.0.1:7880".to_owned(),
            key: "devkey".to_owned(),
            secret: "secret".to_owned(),
            address: "127.0.0.1".to_owned(),
            tun: String::new(),
            tun_address: "10.99.0.2".to_owned(),
            segments: true,
            room: "bench".to_owned(),
            single: false,
            kind: "video".to_owned(),
            publishers: 1,
            subscribers: 10,
            meeting: 0,
            burst: 8,
            fps: 30,
            size: 1100,
            warmup: 2.0,
            seconds: 10.0,
            settle: 20.0,
            sample: 10,
            loss: 0.0,
            join_rate: 50.0,
            in_flight: 16,
            retries: 10,
            timeout: 30.0,
            pids: Vec::new(),
            churn: 0,
            data_rate: 1000,
            data_size: 100,
            data_lossy: false,
        }
    }
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_| format!("{name}: not a number: {value}"))
}

impl Options {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        while let Some(name) = words.next() {
            if name == "--help" {
                return Err(HELP.to_owned());
            }
            if name == "--data-lossy" {
                options.data_lossy = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{name} wants a value"))?;
            options.set(&name, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "--host" => self.host = value,
            "--key" => self.key = value,
            "--secret" => self.secret = value,
            "--room" => self.room = value,
            "--address" => self.address = value,
            "--tun" => self.tun = value,
            "--tun-address" => self.tun_address = value,
            "--segments" => self.segments = value != "0",
            "--mode" => self.single = value == "single",
            "--kind" => self.kind = value,
            "--publishers" => self.publishers = number(name, &value)?,
            "--subscribers" => self.subscribers = number(name, &value)?,
            "--meeting" => self.meeting = number(name, &value)?,
            "--burst" => self.burst = number(name, &value)?,
            "--fps" => self.fps = number(name, &value)?,
            "--size" => self.size = number(name, &value)?,
            "--warmup" => self.warmup = number(name, &value)?,
            "--seconds" => self.seconds = number(name, &value)?,
            "--settle" => self.settle = number(name, &value)?,
            "--sample" => self.sample = number(name, &value)?,
            "--loss" => self.loss = number(name, &value)?,
            "--join-rate" => self.join_rate = number(name, &value)?,
            "--in-flight" => self.in_flight = number(name, &value)?,
            "--retries" => self.retries = number(name, &value)?,
            "--timeout" => self.timeout = number(name, &value)?,
            "--pid" => {
                self.pids = value
                    .split(',')
                    .filter_map(|pid| pid.parse().ok())
                    .collect()
            }
            "--churn" => self.churn = number(name, &value)?,
            "--data-rate" => self.data_rate = number(name, &value)?,
            "--data-size" => self.data_size = number(name, &value)?,
            _ => return Err(format!("unknown option {name}\n\n{HELP}")),
        }
        Ok(())
    }
}
