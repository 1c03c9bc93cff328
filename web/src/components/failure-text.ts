// A Failure in words. Every code has both texts; a test goes through the catalogue.
import type { Failure } from '../client/errors';
import { t } from '../i18n';

export function failureTitle({ code, device, seconds }: Failure): string {
  return t(`error.${code}.title`, { device, seconds });
}

export function failureBody({ code, device, seconds }: Failure): string {
  return t(`error.${code}.body`, { device, seconds });
}

/** For a support request: no address, no token, no name. */
export function failureDetails(failure: Failure): string {
  return [
    `code: ${failure.code}`,
    `detail: ${failure.message}`,
    `time: ${new Date().toISOString()}`,
    `browser: ${navigator.userAgent}`,
  ].join('\n');
}
