// A server that answers what a test expects, in order, and passkeys that need no authenticator.
import { Api } from '../api';
import { Failure } from '../errors';
import type { Json, Passkeys } from './passkeys';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: Json | null;
}

/** Each answer is a body, or a code with the status that goes with it. */
export type Answer = object | { readonly status: number; readonly code: string };

export class FakeServer {
  readonly asked: Asked[] = [];
  readonly api: Api;

  constructor(answers: Readonly<Record<string, readonly Answer[]>>) {
    const left = new Map(Object.entries(answers).map(([key, list]) => [key, [...list]]));
    this.api = new Api(async (url, init) => {
      const [method, path] = [init?.method ?? 'GET', String(url).replace('/api/v1', '')];
      const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as Json) : null;
      this.asked.push({ method, path, body });
      const key = `${method} ${path}`;
      const list = left.get(key) ?? [];
      const answer = list.length > 1 ? list.shift() : list[0];
      if (answer === undefined) throw new Error(`nobody answers ${key}`);
      return responseOf(answer);
    });
  }

  count(method: string, path: string): number {
    return this.asked.filter((one) => one.method === method && one.path === path).length;
  }
}

function responseOf(answer: Answer): Response {
  if ('status' in answer && 'code' in answer) {
    const { status, code } = answer as { status: number; code: string };
    return Response.json({ code }, { status, headers: { 'retry-after': '7' } });
  }
  return Response.json(answer);
}

export class FakePasskeys implements Passkeys {
  supported = true;
  refuses = false;
  readonly seen: Json[] = [];

  create(options: Json): Promise<Json> {
    return this.answer('made', options);
  }

  get(options: Json): Promise<Json> {
    return this.answer('shown', options);
  }

  private async answer(id: string, options: Json): Promise<Json> {
    this.seen.push(options);
    if (this.refuses) throw new Failure('passkey_cancelled');
    return { id };
  }
}
