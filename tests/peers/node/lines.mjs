// The peers' side of the driver protocol: one JSON command a line in, one JSON answer a line out.
import { createInterface } from 'node:readline';

export function serve(handlers) {
  const all = { ...handlers, commands: async () => ({ names: Object.keys(handlers).sort() }) };
  const input = createInterface({ input: process.stdin, crlfDelay: Infinity });
  input.on('line', async (line) => {
    const command = JSON.parse(line);
    const answer = { id: command.id };
    try {
      if (!all[command.do]) throw new Error(`unknown command ${command.do}`);
      answer.ok = (await all[command.do](command.args ?? {})) ?? {};
    } catch (error) {
      answer.error = String(error?.message ?? error);
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  });
  input.on('close', () => process.exit(0));
}
