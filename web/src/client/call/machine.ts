// The life of a call on this page, as a transition table. Pure.
//
//   lobby --join--> joining --joined--> connected <--interrupted/restored--> reconnecting
//     ^                |failed              |leave/failed                        |leave/failed
//     +----------------+                    +------------> ended <--------------+
//     +--home----------------------------------------------+ |join
//                              connected <--joined-- rejoining --failed--> ended

export type Phase = 'lobby' | 'joining' | 'connected' | 'reconnecting' | 'ended' | 'rejoining';
export type Step = 'join' | 'joined' | 'interrupted' | 'restored' | 'leave' | 'failed' | 'home';

const TABLE: Readonly<Record<Phase, Partial<Record<Step, Phase>>>> = {
  lobby: { join: 'joining' },
  joining: { joined: 'connected', failed: 'lobby', leave: 'lobby' },
  connected: { interrupted: 'reconnecting', leave: 'ended', failed: 'ended' },
  reconnecting: { restored: 'connected', leave: 'ended', failed: 'ended' },
  ended: { join: 'rejoining', home: 'lobby' },
  rejoining: { joined: 'connected', failed: 'ended', leave: 'ended' },
};

/** The next phase, or null when this step means nothing here (a late event of a call that is over). */
export function next(phase: Phase, step: Step): Phase | null {
  return TABLE[phase][step] ?? null;
}

export function inCall(phase: Phase): boolean {
  return phase === 'connected' || phase === 'reconnecting';
}
