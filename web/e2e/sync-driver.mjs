// The door to sync-driver.ts, or with `machine` to sync-machine.ts, as run.mjs is to main.ts. Node 20 needs
// --experimental-websocket.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const driver = process.argv[2] === 'machine' ? './sync-machine.ts' : './sync-driver.ts';
const { module } = await runnerImport(fileURLToPath(new URL(driver, import.meta.url)), {
  configFile: false,
  logLevel: 'error',
});
await module.main();
