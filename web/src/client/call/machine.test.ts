import { expect, it } from 'vitest';
import { inCall, next } from './machine';
import type { Phase, Step } from './machine';

const PHASES: Phase[] = ['lobby', 'joining', 'connected', 'reconnecting', 'ended', 'rejoining'];
const STEPS: Step[] = ['join', 'joined', 'interrupted', 'restored', 'leave', 'failed', 'home'];

it('knows exactly these steps', () => {
  const known = PHASES.flatMap((phase) =>
    STEPS.flatMap((step) => {
      const to = next(phase, step);
      return to === null ? [] : [`${phase} ${step} ${to}`];
    }),
  );
  expect(known).toMatchInlineSnapshot(`
    [
      "lobby join joining",
      "joining joined connected",
      "joining leave lobby",
      "joining failed lobby",
      "connected interrupted reconnecting",
      "connected leave ended",
      "connected failed ended",
      "reconnecting restored connected",
      "reconnecting leave ended",
      "reconnecting failed ended",
      "ended join rejoining",
      "ended home lobby",
      "rejoining joined connected",
      "rejoining leave ended",
      "rejoining failed ended",
    ]
  `);
});

it('every phase can be left', () => {
  for (const phase of PHASES) expect(STEPS.some((step) => next(phase, step) !== null)).toBe(true);
});

it('a call is on while connected or reconnecting', () => {
  expect(PHASES.filter(inCall)).toEqual(['connected', 'reconnecting']);
});
