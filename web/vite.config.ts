// Builds the page into dist/. Only relative facts of this folder: no network, no environment.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  build: {
    // The first versions with light-dark(): older targets would have it rewritten into something else.
    target: ['chrome123', 'firefox125', 'safari17.5'],
    manifest: true,
    // The server sends a Content-Security-Policy without `data:` and without inline scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'livekit', test: /node_modules[\\/](livekit-client|@livekit|@bufbuild)/ },
          ],
        },
      },
    },
  },
  server: {
    proxy: {
      '/api': 'http://127.0.0.1:7880',
      '/rtc': { target: 'http://127.0.0.1:7880', ws: true },
    },
  },
  test: {
    include: ['src/**/*.test.ts'],
    environment: 'node',
    restoreMocks: true,
    // How long a test takes says what else the machine does.
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
