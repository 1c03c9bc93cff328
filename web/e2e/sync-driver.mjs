// The door to sync-driver.ts, as run.mjs is to main.ts. Node 20 needs --experimental-websocket.
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';

const { module } = await runnerImport(fileURLToPath(new URL('./sync-driver.ts', import.meta.url)), {
  configFile: false,
  logLevel: 'error',
});
await module.main();
