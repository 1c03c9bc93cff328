// Time as the client is given it, so that tests have their own.

export interface Clock {
  /** Unix time in milliseconds. */
  now(): number;
  setTimeout(callback: () => void, ms: number): number;
  clearTimeout(handle: number): void;
}
