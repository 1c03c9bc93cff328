// What a poll came to: the newest vote of each account counts, until it is closed or its time is over. Pure.
import { byStamp, byText, micros, stampOf } from './order';
import type { Entry, Post, Stamp, Vote } from './model';
import type { PollView } from './views';

type MayEnd = (first: Entry, entry: Entry) => boolean;

export function pollOf(
  first: Entry<Post>,
  about: readonly Entry[],
  mayEnd: MayEnd,
): PollView | null {
  const { poll } = first.op;
  if (!poll) return null;
  const closed = about.find((entry) => entry.op.type === 'close' && mayEnd(first, entry));
  const last = closed?.seq ?? Number.POSITIVE_INFINITY;
  const end = poll.closes_at ? micros(poll.closes_at) : Number.POSITIVE_INFINITY;
  const inTime = about.filter((entry) => entry.seq < last && micros(entry.at) <= end);
  const multiple = poll.multiple ?? false;
  return {
    multiple,
    closed: closed !== undefined,
    votes: votesOf(poll.options, newestOf(inTime, poll.options, multiple)),
    ...(poll.closes_at ? { closes_at: poll.closes_at } : {}),
  };
}

type Votes = Map<string, { readonly stamp: Stamp; readonly choices: readonly number[] }>;

/** Of each account the vote with the highest stamp. */
function newestOf(about: readonly Entry[], options: number, multiple: boolean): Votes {
  const newest: Votes = new Map();
  for (const entry of about) {
    const { op, account } = entry;
    if (op.type !== 'vote' || account === null) continue;
    const choices = counted(op, options, multiple);
    const stamp = stampOf(entry);
    const before = newest.get(account);
    const isLater = before === undefined || byStamp(before.stamp, stamp) < 0;
    if (choices !== null && isLater) newest.set(account, { stamp, choices });
  }
  return newest;
}

function votesOf(options: number, newest: Votes): string[][] {
  const votes: string[][] = Array.from({ length: options }, () => []);
  for (const account of [...newest.keys()].toSorted(byText)) {
    for (const choice of newest.get(account)?.choices ?? []) votes[choice]?.push(account);
  }
  return votes;
}

/** Each choice once; null for a vote that does not count. */
function counted(vote: Vote, options: number, multiple: boolean): number[] | null {
  const chosen = [...new Set(vote.choices)];
  const fits = chosen.every((choice) => choice < options) && (multiple || chosen.length <= 1);
  return fits ? chosen : null;
}
