import { describe, expect, it } from 'vitest';
import { newCopy } from './copy';
import { LAST } from './fakes';
import type { ClientFrame } from './frames';
import { Outbox } from './outbox';
import { Replica } from './replica';
import { IDENT, PATH, POST } from './stage.fakes';

const upload = (session: number, ...versions: number[]): ClientFrame => ({
  type: 'upload',
  session,
  changes: versions.map((version) => ({ version, clock: version, op: POST })),
});

const left = (outbox: Outbox): ClientFrame[] =>
  Array.from({ length: outbox.length }, () => outbox.take() ?? upload(0));

describe('frames that wait', () => {
  it('leave in their order, uploads that wait together at once', () => {
    const outbox = new Outbox();
    const mark: ClientFrame = { type: 'mark', session: 1, request: 1 };
    for (const frame of [upload(1, 1), upload(1, 2), mark, upload(1, 3), upload(2, 1)]) {
      outbox.put(frame);
    }
    expect(left(outbox)).toEqual([upload(1, 1, 2), mark, upload(1, 3), upload(2, 1)]);
  });

  it('are never more than the server takes in one', () => {
    const outbox = new Outbox();
    for (let version = 1; version <= 1200; version += 1) outbox.put(upload(1, version));
    const frames = left(outbox);
    const sizes = frames.map((frame) => JSON.stringify(frame).length);
    expect(Math.max(...sizes)).toBeLessThan(65_536);
    const versions = frames.flatMap((frame) =>
      frame.type === 'upload' ? frame.changes.map((change) => change.version) : [],
    );
    expect(versions).toEqual(Array.from({ length: 1200 }, (_, place) => place + 1));
  });
});

describe('what is pending', () => {
  it('is under way only so far beyond what was acknowledged', () => {
    let sessions = 0;
    const replica = new Replica(newCopy(PATH), () => {
      sessions += 1;
      return sessions;
    });
    for (let number = 1; number <= 5000; number += 1) replica.make(POST, number);
    replica.begin();
    const sent = (more: object, type: object): number => {
      const { frames } = replica.hear({ ...type, session: 1, ...more } as never);
      return frames.reduce((sum, one) => sum + (one.type === 'upload' ? one.changes.length : 0), 0);
    };
    sent({}, IDENT);
    expect(sent({}, LAST)).toBe(2000);
    const note = { ...LAST, bootstrap: undefined };
    expect(sent({ upload_client_version: 1500 }, note)).toBe(1500);
    expect(sent({ upload_client_version: 3500 }, note)).toBe(1500);
    expect(sent({ upload_client_version: 5000 }, note)).toBe(0);
  });
});
