// Runs the scenarios one after another and says what happened to each.
//   node e2e/run.mjs --serve "<command>" --origin http://127.0.0.1:7880   against a server of its own
//   node e2e/run.mjs --origin http://127.0.0.1:7880                       against one that is running
//   node e2e/run.mjs --livekit <path of livekit-server>                   against LiveKit's
//   ... --only <part of a scenario's name>, --list
import { mkdir } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { launchChromium, launchFirefox } from './browsers.mjs';
import { scenarios as screens } from './scenarios/screens.mjs';
import { scenarios as talk } from './scenarios/talk.mjs';
import { scenarios as trouble } from './scenarios/trouble.mjs';
import { startLiveKit, startSotto, useServer } from './servers.mjs';

const { values: options } = parseArgs({
  options: {
    serve: { type: 'string' },
    origin: { type: 'string', default: 'http://127.0.0.1:7880' },
    livekit: { type: 'string' },
    only: { type: 'string', default: '' },
    out: { type: 'string', default: '' },
    list: { type: 'boolean', default: false },
  },
});

const all = Object.entries({ ...talk, ...trouble, ...screens }).filter(([name]) =>
  name.toLowerCase().includes(options.only.toLowerCase()),
);
if (options.list) {
  for (const [name] of all) console.log(name);
  process.exit(0);
}
process.exitCode = await main();

async function main() {
  if (options.out !== '') await mkdir(options.out, { recursive: true });
  const server = await startServer();
  const chromium = await launchChromium();
  const failed = [];
  try {
    for (const [name, scenario] of all) {
      if (!(await run(name, scenario, server, chromium))) failed.push(name);
    }
  } finally {
    await chromium.close();
    server.stop();
  }
  console.log(`${all.length - failed.length} of ${all.length} scenarios passed on ${server.name}`);
  return failed.length === 0 ? 0 : 1;
}

function startServer() {
  if (options.livekit !== undefined) return startLiveKit(options.livekit);
  if (options.serve !== undefined) return startSotto(options.serve, options.origin);
  return useServer(options.origin);
}

/** A world of its own for each scenario: its tabs and its Firefox are closed whatever happens. */
async function run(name, scenario, server, chromium) {
  const cleanup = [];
  const notes = [];
  const world = {
    server,
    out: options.out,
    note: (text) => notes.push(text),
    chromium: {
      open: async (more) => {
        const tab = await chromium.open(more);
        cleanup.push(() => tab.close());
        return tab;
      },
    },
    firefox: async () => {
      const firefox = await launchFirefox();
      cleanup.push(() => firefox.close());
      return firefox;
    },
  };
  const start = Date.now();
  let error = null;
  try {
    await scenario(world);
  } catch (problem) {
    error = problem;
  }
  for (const close of cleanup.toReversed()) await close().catch(() => undefined);
  const seconds = ((Date.now() - start) / 1_000).toFixed(1);
  console.log(`${error === null ? 'pass' : 'FAIL'}  ${name}  (${seconds} s${notes.map((n) => `; ${n}`).join('')})`);
  if (error !== null) console.log(String(error.stack ?? error).replaceAll(/^/gm, '      '));
  return error === null;
}
