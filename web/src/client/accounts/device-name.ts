// What a browser calls itself in the lists of devices and passkeys: "Firefox on Linux". Pure.

// The order matters: Edge says Chrome too, Chrome says Safari too, Android says Linux too.
const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(e|A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\b(Firefox|FxiOS)\//, 'Firefox'],
  [/\b(Chrome|CriOS|Chromium|HeadlessChrome)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\bAndroid\b/, 'Android'],
  [/\b(iPhone|iPod)\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bWindows\b/, 'Windows'],
  [/\b(Macintosh|Mac OS X)\b/, 'Mac'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];

export function deviceName(userAgent: string): string {
  const found = (list: readonly (readonly [RegExp, string])[]): string =>
    list.find(([pattern]) => pattern.test(userAgent))?.[1] ?? '';
  const [browser, system] = [found(BROWSERS), found(SYSTEMS)];
  return browser === '' || system === '' ? browser || system : `${browser} on ${system}`;
}
