//! transport-cc: the log's feedback reads back as what was recorded.

use sotto_engine_core::wire::Malformed;
use sotto_engine_core::wire::twcc::{ArrivalLog, Feedback, Report, TICK_US};

use crate::hex;

fn drain(log: &mut ArrivalLog) -> Vec<Report> {
    let mut reports = Vec::new();
    let mut out = [0u8; 1100];
    while let Some(len) = log.write(&mut out) {
        assert!(len <= out.len());
        let feedback = Feedback::parse(&out[..len]).unwrap();
        let before = reports.len();
        reports.extend(feedback.reports());
        assert_eq!(reports.len() - before, usize::from(feedback.count));
    }
    reports
}

fn received(reports: &[Report]) -> Vec<(u16, i64)> {
    reports
        .iter()
        .filter_map(|r| Some((r.sequence, r.arrival_us?)))
        .collect()
}

#[test]
fn a_published_shape() {
    // Base 5, 7 packets, reference 1 (64 ms): run of two small deltas, then a vector with
    // lost, large, small, lost, small.
    let bytes = hex("0005 0007 000001 09  2002  c910  04 08  fffc  02  01");
    let feedback = Feedback::parse(&bytes).unwrap();
    assert_eq!(
        (feedback.base, feedback.count, feedback.feedback_count),
        (5, 7, 9)
    );
    let arrivals: Vec<_> = feedback.reports().map(|report| report.arrival_us).collect();
    let at = |ticks: i64| Some(64_000 + ticks * TICK_US);
    assert_eq!(arrivals, [at(4), at(12), None, at(8), at(10), None, at(11)]);
}

#[test]
fn regular_arrivals_read_back() {
    let mut log = ArrivalLog::default();
    let sent: Vec<(u16, u64)> = (0..1000u64)
        .map(|n| ((n + 65_000) as u16, 1_000_000 + n * 500))
        .collect();
    sent.iter()
        .for_each(|(sequence, at)| log.record(*sequence, *at));
    let expected: Vec<_> = sent
        .iter()
        .map(|(sequence, at)| (*sequence, *at as i64))
        .collect();
    assert_eq!(received(&drain(&mut log)), expected);
    assert!(log.is_empty());
}

#[test]
fn loss_reordering_and_pauses_read_back() {
    let mut log = ArrivalLog::default();
    let mut expected = Vec::new();
    let mut at = 5_000_000u64;
    for n in 0..2000u64 {
        let random = (n.wrapping_mul(2_654_435_761) >> 7) % 100;
        at += random * 37;
        if n % 500 == 499 {
            at += 20_000_000;
        }
        if random < 20 {
            continue;
        }
        let jitter = if random > 90 { 3_000 } else { 0 };
        log.record(n as u16, at + jitter);
        expected.push((n as u16, ((at + jitter) / 250 * 250) as i64));
    }
    assert_eq!(received(&drain(&mut log)), expected);
}

#[test]
fn a_late_packet_is_reported_again() {
    let mut log = ArrivalLog::default();
    [10, 11, 13]
        .into_iter()
        .for_each(|n| log.record(n, 1000 * u64::from(n)));
    let reports = drain(&mut log);
    assert_eq!(
        reports[2],
        Report {
            sequence: 12,
            arrival_us: None
        }
    );
    log.record(12, 20_000);
    assert_eq!(received(&drain(&mut log)), [(12, 20_000), (13, 13_000)]);
}

#[test]
fn what_is_lost_between_two_feedbacks_is_reported() {
    let mut log = ArrivalLog::default();
    log.record(1, 10_000);
    assert_eq!(drain(&mut log).len(), 1);
    log.record(4, 90_000);
    let told: Vec<(u16, bool)> = drain(&mut log)
        .iter()
        .map(|report| (report.sequence, report.arrival_us.is_some()))
        .collect();
    assert_eq!(told, [(2, false), (3, false), (4, true)]);
    log.record(1_000, 110_000);
    let told = drain(&mut log);
    assert_eq!(told.len(), 1, "a gap of a thousand fills no feedback");
}

#[test]
fn a_jump_starts_a_new_log() {
    let mut log = ArrivalLog::default();
    log.record(1, 1_000);
    log.record(20_000, 2_000);
    assert_eq!(received(&drain(&mut log)), [(20_000, 2_000)]);
    log.record(50_000, 3_000);
    log.record(50_000, 9_000);
    assert_eq!(received(&drain(&mut log)), [(50_000, 3_000)]);
}

#[test]
fn short_messages_are_refused() {
    let whole = hex("0005 0007 000001 09  2002  c910  04 08  fffc  02  01");
    for len in 0..whole.len() {
        assert!(Feedback::parse(&whole[..len]).is_err(), "{len}");
    }
    // Zero-length runs up to the end of the message.
    let runs = hex("0005 ffff 000001 09  0000 0000 0000 0000");
    assert_eq!(Feedback::parse(&runs).unwrap_err(), Malformed::Truncated);
}
