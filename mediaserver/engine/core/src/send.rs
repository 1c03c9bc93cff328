//! From queues to datagrams: waits a little so that packets of a frame leave as one run, lets the
//! pacer decide how much may go, equalises the sizes of a run with RTP padding (UDP GSO wants
//! equal segments), and writes it into one arena for one send.

use crate::bandwidth::Sort;
use crate::core::Core;
use crate::drops::Drop;
use crate::egress::packetize::{self, Job, Stamp};
use crate::egress::record::{AGAIN, PROBE, RTX, Record};
use crate::io::{Io, Run};
use crate::path::{HEADERS, Path, Proto};
use crate::spec::Kind;
use crate::time::{MILLIS, Time};

/// How long video waits for the end of its frame, and audio for company.
const GATHER: u64 = 2 * MILLIS;
const GATHER_AUDIO: u64 = MILLIS;
/// What the kernel takes in one GSO send: 64 segments, and less than a 64 KB datagram.
const MAX_RUN: usize = 64;
const MAX_RUN_BYTES: usize = 60_000;
/// Runs held back until they leave together, for as many subscribers: one call to the system, and
/// the code of this core and of the kernel each stay in the cache for all of them.
const HELD_RUNS: usize = 16;
const HELD_BYTES: usize = 72_000;
/// RTP padding counts in one byte.
const MAX_PADDING: usize = 255;
/// Below this estimate a slow subscriber's bits are not spent on equal sizes.
const POOR: u64 = 500_000;

/// One packet chosen to leave now, with its measured size.
#[derive(Clone, Copy)]
struct Item {
    record: Record,
    /// Protected length without padding.
    size: usize,
    can_pad: bool,
}

/// Buffers reused for every flush.
#[derive(Default)]
pub struct Scratch {
    items: Vec<Item>,
    /// Grows only: clearing it for each run would cost as much as copying it.
    arena: Vec<u8>,
    /// How much of the arena the held runs fill.
    filled: usize,
    held: Vec<Run>,
}

impl Scratch {
    fn is_full(&self) -> bool {
        self.held.len() >= HELD_RUNS || self.filled >= HELD_BYTES
    }

    /// Sends what is held; answers how many datagrams were dropped.
    fn send(&mut self, io: &mut dyn Io) -> u64 {
        if self.held.is_empty() {
            return 0;
        }
        let dropped = io.send_many(&self.held, &self.arena);
        self.held.clear();
        self.filled = 0;
        dropped
    }
}

impl Core {
    pub(crate) fn flush_dirty(&mut self, now: Time, io: &mut dyn Io) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|index| {
            let due = self.flush_transport(now, *index, io);
            if let Some(at) = due {
                self.send_due = Some(self.send_due.map_or(at, |before| before.min(at)));
            }
            due.is_some()
        });
        // Nothing is queued while flushing, so the list that was taken is the list.
        self.dirty = dirty;
        self.send_held(io);
    }

    /// Whoever flushes a transport ends with this.
    pub(crate) fn send_held(&mut self, io: &mut dyn Io) {
        let dropped = self.scratch.send(io);
        if dropped > 0 {
            self.drops.add_many(Drop::SendBlocked, dropped);
        }
    }

    /// Makes runs of what is due; answers when to come again, if something stays.
    pub(crate) fn flush_transport(
        &mut self,
        now: Time,
        index: u32,
        io: &mut dyn Io,
    ) -> Option<Time> {
        let transport = &mut self.transports[index];
        let path = match transport.path() {
            Some(path) if transport.outbound.is_some() => path,
            _ => {
                transport.queue.clear();
                transport.queue.dirty = false;
                return None;
            }
        };
        let queue = &mut transport.queue;
        let only_audio = queue.video.is_empty() && queue.rtx.is_empty();
        let wait = if only_audio { GATHER_AUDIO } else { GATHER };
        if let Some(first) = queue.first
            && !queue.complete
            && now < first + wait
        {
            return Some(first + wait);
        }
        self.pick(now, index);
        self.send_picked(now, index, path, io);
        let transport = &mut self.transports[index];
        let queue = &mut transport.queue;
        if queue.is_empty() {
            queue.first = None;
            queue.complete = false;
            queue.dirty = false;
            return None;
        }
        queue.complete = true;
        Some(transport.pacer.next(now))
    }

    /// Moves what may leave now into the scratch list: all audio, then as much as the pacer lets.
    fn pick(&mut self, now: Time, index: u32) {
        let Core {
            transports,
            subscriptions,
            feeds,
            scratch,
            drops,
            ..
        } = self;
        let transport = &mut transports[index];
        scratch.items.clear();
        let overhead = transport
            .outbound
            .as_ref()
            .map_or(0, |keys| keys.profile().rtp_overhead());
        let mut allowance = transport.pacer.allowance(now);
        let queue = &mut transport.queue;
        let (mut spent, mut urgent) = (0, 0);
        loop {
            let (record, paced) = match queue.urgent.pop_front() {
                Some(record) => (record, false),
                None if allowance <= 0 => break,
                None => match queue.rtx.pop_front().or_else(|| queue.video.pop_front()) {
                    Some(record) => (record, true),
                    None => break,
                },
            };
            if paced {
                queue.bytes = queue.bytes.saturating_sub(u64::from(record.size));
            }
            let job = subscriptions
                .get(record.subscription)
                .and_then(|s| Job::find(&record, s, feeds.get(s.feed)?));
            let Some(job) = job else {
                drops.add(Drop::SlotGone);
                continue;
            };
            let size = job.plain_len() + overhead;
            if paced {
                spent += size + HEADERS;
                allowance = allowance.saturating_sub(size as i64);
            } else {
                urgent += size + HEADERS;
            }
            scratch.items.push(Item {
                record,
                size,
                can_pad: job.can_pad(),
            });
        }
        transport.pacer.spend(spent, urgent);
    }

    fn send_picked(&mut self, now: Time, index: u32, path: Path, io: &mut dyn Io) {
        // As a whole: after a panic nothing is held that points into an arena that is gone.
        let mut scratch = std::mem::take(&mut self.scratch);
        let rich = self.transports[index]
            .bandwidth
            .estimate()
            .is_none_or(|e| e >= POOR);
        let mut stamp = packetize::stamp(now);
        let (mut from, all) = (0, scratch.items.len());
        while from < all {
            let rest = &scratch.items[from..];
            let (count, segment) = plan(rest, path.proto == Proto::Udp, rich, self.cfg.limits.mtu);
            let (run, at) = (&rest[..count], scratch.filled);
            from += count;
            let arena = &mut scratch.arena;
            let (written, len) = self.write_run(now, index, run, segment, &mut stamp, (arena, at));
            if written == 0 {
                continue;
            }
            self.count_run(index, now, written, len);
            scratch.filled += len;
            scratch.held.push(Run {
                path,
                at,
                len,
                segment,
            });
            if scratch.is_full() {
                let dropped = scratch.send(io);
                self.drops.add_many(Drop::SendBlocked, dropped);
            }
        }
        self.scratch = scratch;
    }

    /// Writes one run into the arena, from `start`. Answers how many packets and bytes it holds.
    fn write_run(
        &mut self,
        now: Time,
        index: u32,
        run: &[Item],
        segment: usize,
        stamp: &mut Stamp,
        (arena, start): (&mut Vec<u8>, usize),
    ) -> (usize, usize) {
        let room = start + run.len() * segment;
        if arena.len() < room {
            arena.resize(room, 0);
        }
        let (mut at, mut written, mut numbered) = (start, 0, 0);
        for (position, item) in run.iter().enumerate() {
            let last = position + 1 == run.len();
            let padding = if last || item.size == segment {
                0
            } else {
                (segment - item.size) as u8
            };
            match self.write_packet(now, index, item, padding, stamp, &mut arena[at..room]) {
                Some((len, counts)) => {
                    at += len;
                    written += 1;
                    numbered += if counts { len + HEADERS } else { 0 };
                }
                // A packet that cannot be written would shift the segments after it.
                None => {
                    self.drops.add(Drop::Protect);
                    break;
                }
            }
        }
        self.transports[index].bandwidth.sent_bytes(now, numbered);
        (written, at - start)
    }

    /// Answers its length, and whether it carries a transport-wide number.
    fn write_packet(
        &mut self,
        now: Time,
        index: u32,
        item: &Item,
        padding: u8,
        stamp: &mut Stamp,
        out: &mut [u8],
    ) -> Option<(usize, bool)> {
        let Core {
            transports,
            subscriptions,
            feeds,
            counters,
            cfg,
            ..
        } = self;
        let transport = &mut transports[index];
        let record = &item.record;
        let subscription = subscriptions.get_mut(record.subscription)?;
        let rtx = record.has(RTX);
        if rtx {
            subscription.rtx_seq += 1;
        }
        let (feed, rtx_seq) = (feeds.get(subscription.feed)?, subscription.rtx_seq);
        let job = Job::find(record, subscription, feed)?;
        let numbered = job.has_twcc();
        if numbered {
            transport.twcc += 1;
            stamp.twcc = transport.twcc as u16;
        }
        let len = job
            .write(stamp, rtx_seq, padding, transport.outbound.as_deref()?, out)
            .ok()?;
        if numbered {
            let sort = match subscription.kind {
                _ if record.has(PROBE) => Sort::Probe,
                Kind::Audio => Sort::Audio,
                Kind::Video => Sort::Video,
            };
            transport.bandwidth.sent(now, stamp.twcc, len, sort);
        }
        if padding > 0 {
            subscription.sent.padding += u64::from(padding);
            counters.padding_out += u64::from(padding);
        }
        subscription.sent_record(now, record, len, cfg.limits.repair.share);
        if record.has(RTX | AGAIN) {
            counters.rtx_out += 1;
            if !record.has(PROBE) {
                counters.repairs_out += 1;
                counters.repair_bytes_out += len as u64;
            }
        }
        Some((len, numbered))
    }

    fn count_run(&mut self, index: u32, now: Time, packets: usize, bytes: usize) {
        let transport = &mut self.transports[index];
        transport.sending.add(now, bytes, false);
        transport.traffic.packets_out += packets as u64;
        transport.traffic.bytes_out += bytes as u64;
        let counters = &mut self.counters;
        counters.packets_out += packets as u64;
        counters.bytes_out += bytes as u64;
        counters.runs_out += 1;
        let class = match packets {
            1 => 0,
            2 => 1,
            3..=4 => 2,
            5..=8 => 3,
            9..=16 => 4,
            _ => 5,
        };
        counters.run_lengths[class] += 1;
    }
}

/// How many of the first items make one run, and its segment size. All but the last must come
/// out at the segment size, by their own length or by padding; only the last may be shorter.
fn plan(items: &[Item], runs: bool, rich: bool, mtu: usize) -> (usize, usize) {
    let first = &items[0];
    let (mut segment, mut smallest) = (first.size, first.size);
    // Size of the items that cannot be padded: then the segment can be nothing else.
    let mut rigid = (!first.can_pad).then_some(first.size);
    let mut count = 1;
    while runs && count < items.len().min(MAX_RUN) {
        let item = &items[count];
        let target = segment.max(item.size);
        let padded =
            smallest == target || (target <= mtu && target - smallest <= slack(target, rich));
        if (count + 1) * target > MAX_RUN_BYTES
            || rigid.is_some_and(|size| size != target)
            || !padded
        {
            break;
        }
        segment = target;
        count += 1;
        let joins =
            item.size == segment || (item.can_pad && segment - item.size <= slack(segment, rich));
        if !joins {
            break;
        }
        smallest = smallest.min(item.size);
        if !item.can_pad {
            rigid = Some(item.size);
        }
    }
    (count, segment)
}

/// Padding worth a place in a run: a sixth of the packet.
fn slack(segment: usize, rich: bool) -> usize {
    if rich {
        (segment / 6).clamp(16, MAX_PADDING)
    } else {
        8
    }
}
