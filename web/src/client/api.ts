// One request of the HTTP API, its answer checked, every refusal a Failure. Names, paths and shapes are
// the server's (gen/api.ts). The session is a cookie that no script sees: the browser sends it along.
import * as v from 'valibot';
import { Failure, fromResponse } from './errors';
import type { Operations } from './gen/api';

const Problem = v.object({ code: v.optional(v.string()) });

/** Longer than the slowest honest answer (a server under load queues sign-ins), shorter than patience. */
const PATIENCE_MS = 20_000;

type Operation = keyof Operations;

/** As the server publishes it: nothing of an answer is ours to change. */
type Fixed<T> = T extends readonly (infer Item)[]
  ? readonly Fixed<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Fixed<T[Key]> }
    : T;

/** What the page reads of an answer must be what the server promises. */
type Fits<K extends Operation, Read> =
  Operations[K]['answer'] extends Fixed<Read> ? unknown : { 'not what the server promises': never };

interface Words<K extends Operation> {
  readonly body?: Operations[K]['body'];
  /** What stands for the names in braces of the path. */
  readonly names?: Readonly<Record<string, string>>;
}

export class Api {
  constructor(private readonly fetcher: typeof fetch = (...words) => fetch(...words)) {}

  /** For an operation that answers. The types tie its name, method, path, body and shape together. */
  async ask<K extends Operation, Read>(
    name: K,
    method: Operations[K]['method'],
    path: Operations[K]['path'],
    shape: v.GenericSchema<unknown, Read> & Fits<K, Read>,
    words: Words<K> = {},
  ): Promise<Read> {
    const answer = await exchange(this.fetcher, method, filled(path, words.names), words.body);
    const checked = v.safeParse<v.GenericSchema<unknown, Read>>(shape, answer);
    if (!checked.success) throw new Failure('version_too_old', { detail: `answer of ${name}` });
    return checked.output;
  }

  /** For an operation whose answer says nothing but that it was done. */
  async tell<K extends Operation>(
    _name: K,
    method: Operations[K]['method'],
    path: Operations[K]['path'],
    words: Words<K> = {},
  ): Promise<void> {
    await exchange(this.fetcher, method, filled(path, words.names), words.body);
  }
}

function filled(path: string, names: Readonly<Record<string, string>> = {}): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(names[name] ?? ''));
}

/** The parsed answer, null when it has no body. Raises Failure. */
export async function exchange(
  fetcher: typeof fetch,
  method: string,
  url: string,
  body?: unknown,
): Promise<unknown> {
  const response = await send(fetcher, method, url, body);
  const answer: unknown = response.status === 204 ? null : await read(response);
  if (response.ok) return answer;
  const problem = v.safeParse(Problem, answer);
  const code = problem.success ? problem.output.code : undefined;
  throw fromResponse(response.status, code, response.headers.get('retry-after'));
}

async function send(
  fetcher: typeof fetch,
  method: string,
  url: string,
  body: unknown,
): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (body !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetcher(url, {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const offline = 'navigator' in globalThis && navigator.onLine === false;
    throw new Failure(offline ? 'offline' : 'server_unreachable', { detail: String(error) });
  }
}

async function read(response: Response): Promise<unknown> {
  return response.json().catch(() => null);
}
