// Runs the scenarios one after another and says what happened to each.
//   node e2e/run.mjs --serve "<command>" --origin http://127.0.0.1:7880   against a server of its own
//   node e2e/run.mjs --origin http://127.0.0.1:7880                       against one that is running
//   node e2e/run.mjs --livekit <path of livekit-server>                   against LiveKit's
//   ... --secure https://localhost:7443 --log <its output>: for accounts, which need TLS and a link that it prints
//   ... --group talk|trouble|screens|accounts|strict|pictures, --only <part of a scenario's name>, --list, --out <folder for pictures>
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { launchChromium, launchFirefox } from './browsers';
import type { Browser } from './browsers';
import { scenarios as accounts } from './scenarios/accounts';
import { pictures, scenarios as looks } from './scenarios/account-screens';
import { scenarios as firefox } from './scenarios/firefox';
import { scenarios as screens } from './scenarios/screens';
import { scenarios as strict } from './scenarios/strict';
import { scenarios as sync } from './scenarios/sync';
import { scenarios as talk } from './scenarios/talk';
import { scenarios as tongues } from './scenarios/tongues';
import { scenarios as trouble } from './scenarios/trouble';
import { startLiveKit, startSotto, useServer } from './servers';
import type { Server } from './servers';
import type { Scenarios, World } from './world';

const GROUPS: Readonly<Record<string, Scenarios>> = {
  talk,
  trouble,
  screens,
  accounts: { ...accounts, ...firefox, ...looks, ...tongues, ...sync },
  strict,
  pictures,
};
const ALL: Scenarios = Object.assign({}, ...Object.values(GROUPS)) as Scenarios;

const OPTIONS = {
  serve: { type: 'string' },
  origin: { type: 'string', default: 'http://127.0.0.1:7880' },
  secure: { type: 'string', default: 'https://localhost:7443' },
  log: { type: 'string', default: '' },
  livekit: { type: 'string' },
  group: { type: 'string', default: '' },
  only: { type: 'string', default: '' },
  out: { type: 'string', default: '' },
  list: { type: 'boolean', default: false },
} as const;

/** The exit code. */
export async function main(words: string[]): Promise<number> {
  const { values: options } = parseArgs({ options: OPTIONS, args: words });
  const wanted = options.only.toLowerCase();
  const group = options.group === '' ? ALL : (GROUPS[options.group] ?? {});
  const chosen = Object.keys(group).filter((name) => name.toLowerCase().includes(wanted));
  if (options.list) {
    for (const name of chosen) console.log(name);
    return 0;
  }
  if (options.out !== '') await mkdir(options.out, { recursive: true });
  const server = await startServer(options);
  try {
    return await runAll(chosen, server, options);
  } finally {
    server.stop();
  }
}

interface Choice {
  readonly origin: string;
  readonly serve?: string | undefined;
  readonly livekit?: string | undefined;
}

type Places = Pick<World, 'out' | 'secure' | 'log'>;

async function startServer({ origin, serve, livekit }: Choice): Promise<Server> {
  if (livekit !== undefined) return startLiveKit(livekit);
  if (serve !== undefined) return startSotto(serve, origin);
  return useServer(origin);
}

async function runAll(names: readonly string[], server: Server, places: Places): Promise<number> {
  const chromium = await launchChromium();
  const failed: string[] = [];
  for (const name of names) {
    if (!(await run(name, server, chromium, places))) failed.push(name);
  }
  await chromium.close();
  const passed = names.length - failed.length;
  console.log(`${passed} of ${names.length} scenarios passed on ${server.name}`);
  return failed.length === 0 && names.length > 0 ? 0 : 1;
}

/** A world of its own for each scenario: its tabs and its Firefox are closed whatever happens. */
async function run(
  name: string,
  server: Server,
  chromium: Browser,
  { out, secure, log }: Places,
): Promise<boolean> {
  const opened: { close(): Promise<void> }[] = [];
  const notes: string[] = [];
  const keep = <T extends { close(): Promise<void> }>(one: T): T => {
    opened.push(one);
    return one;
  };
  const world: World = {
    server,
    out,
    secure,
    log,
    note: (text) => void notes.push(text),
    chromium: { open: async (options) => keep(await chromium.open(options)) },
    firefox: async () => keep(await launchFirefox()),
  };
  const start = Date.now();
  const error = await ALL[name]?.(world).then(
    () => null,
    (problem: unknown) => problem,
  );
  for (const one of opened.toReversed()) await one.close().catch(() => undefined);
  const seconds = `${((Date.now() - start) / 1_000).toFixed(1)} s`;
  console.log(`${error === null ? 'pass' : 'FAIL'}  ${name}  (${[seconds, ...notes].join('; ')})`);
  if (error instanceof Error) console.log(String(error.stack).replaceAll(/^/gm, '      '));
  return error === null;
}
