import { describe, expect, it } from 'vitest';
import en from '../i18n/en.json';
import { t } from '../i18n';
import type { MessageKey } from '../i18n';
import {
  Failure,
  PAGE_CODES,
  SERVER_CODES,
  asFailure,
  fromDevice,
  fromResponse,
  fromShare,
} from './errors';

const named = (name: string, message = '') => Object.assign(new Error(message), { name });

describe('the catalogue', () => {
  const codes = [...SERVER_CODES, ...PAGE_CODES];

  it('has a title and a body for every code, and for no other', () => {
    const texts = Object.keys(en).filter((key) => /^error\..*\.(title|body)$/.test(key));
    const wanted = codes.flatMap((code) => [`error.${code}.title`, `error.${code}.body`]);
    expect(texts.toSorted()).toEqual(wanted.toSorted());
  });

  it.each(codes)('%s reads well for every device', (code) => {
    for (const device of ['camera', 'microphone', 'speaker', 'both']) {
      const title = t(`error.${code}.title` as MessageKey, { device, seconds: 30 });
      const body = t(`error.${code}.body` as MessageKey, { device, seconds: 30 });
      expect(title).toMatch(/^\p{Lu}/u);
      expect(title).not.toMatch(/[.!]$/);
      expect(body).toMatch(/[.]$/);
    }
  });
});

describe('fromResponse', () => {
  it("takes the server's own code", () => {
    expect(fromResponse(409, 'room_full', null).code).toBe('room_full');
  });

  it('does not trust a code that it does not know, or one of the page', () => {
    expect(fromResponse(403, 'no_such_code', null).code).toBe('not_permitted');
    expect(fromResponse(403, 'device_denied', null).code).toBe('not_permitted');
    expect(fromResponse(403, { toString: () => 'room_full' }, null).code).toBe('not_permitted');
  });

  it.each([
    [400, 'bad_request'],
    [401, 'token_invalid'],
    [403, 'not_permitted'],
    [404, 'not_found'],
    [413, 'too_large'],
    [422, 'bad_request'],
    [429, 'rate_limited'],
    [500, 'internal'],
    [503, 'unavailable'],
  ])('%i means %s', (status, code) => {
    expect(fromResponse(status, undefined, null).code).toBe(code);
  });

  it('keeps how long to wait, when that is a number', () => {
    expect(fromResponse(429, undefined, '7').seconds).toBe(7);
    expect(fromResponse(429, undefined, 'Wed, 21 Oct 2026 07:28:00 GMT').seconds).toBe(0);
  });
});

describe('devices and screens', () => {
  it.each([
    ['NotAllowedError', 'device_denied'],
    ['SecurityError', 'device_denied'],
    ['NotFoundError', 'device_missing'],
    ['OverconstrainedError', 'device_missing'],
    ['NotReadableError', 'device_busy'],
    ['AbortError', 'device_busy'],
    ['PublishTrackError', 'publish_refused'],
    ['TypeError', 'device_failed'],
  ])('%s becomes %s', (name, code) => {
    expect(fromDevice(named(name), 'camera')).toMatchObject({ code, device: 'camera' });
  });

  it('a failure passes through unchanged', () => {
    const failure = new Failure('not_supported');
    expect(fromDevice(failure, 'camera')).toBe(failure);
    expect(asFailure(failure)).toBe(failure);
  });

  it('changing your mind about sharing is no failure', () => {
    expect(fromShare(named('NotAllowedError', 'Permission denied'))).toBeNull();
    expect(fromShare(named('AbortError'))).toBeNull();
  });

  it('a system that forbids sharing is one', () => {
    const error = named('NotAllowedError', 'Permission denied by system');
    expect(fromShare(error)?.code).toBe('share_denied');
    expect(fromShare(named('DeviceUnsupportedError'))?.code).toBe('share_unsupported');
    expect(fromShare(named('PublishTrackError'))?.code).toBe('publish_refused');
    expect(fromShare(named('NotReadableError'))?.code).toBe('share_failed');
  });

  it('anything else is ours, and keeps its words for the details', () => {
    expect(asFailure(new RangeError('too far'))).toMatchObject({
      code: 'internal',
      message: 'RangeError: too far',
    });
    expect(asFailure('odd').message).toBe('odd');
  });
});
