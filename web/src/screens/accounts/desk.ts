// What the pages of accounts share: the desk, its stores, and one thing done at a time.
import { createContext, useContext, useEffect, useState } from 'react';
import { useStore } from 'zustand';
import type { AccountState } from '../../client/accounts/account';
import type { SignInPage } from '../../client/accounts/answers';
import type { Desk } from '../../client/accounts/desk';
import type { ProofState } from '../../client/accounts/proof';
import type { SignInState } from '../../client/accounts/sign-in';
import { asFailure } from '../../client/errors';
import type { Failure } from '../../client/errors';

export const DeskContext = createContext<Desk | null>(null);

export function useDesk(): Desk {
  const desk = useContext(DeskContext);
  if (desk === null) throw new Error('no desk above this component');
  return desk;
}

export function useSignIn<T>(select: (state: SignInState) => T): T {
  return useStore(useDesk().signIn.store, select);
}

export function useAccount<T>(select: (state: AccountState) => T): T {
  return useStore(useDesk().account.store, select);
}

export function useProof<T>(select: (state: ProofState) => T): T {
  return useStore(useDesk().proof.store, select);
}

export interface Work {
  readonly busy: boolean;
  readonly failure: Failure | null;
  /** True when it was done. */
  readonly run: (work: () => Promise<unknown>) => Promise<boolean>;
}

export function useWork(): Work {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const run = async (work: () => Promise<unknown>): Promise<boolean> => {
    if (busy) return false;
    setBusy(true);
    setFailure(null);
    try {
      await work();
      return true;
    } catch (error) {
      setFailure(asFailure(error));
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, failure, run };
}

export interface About {
  readonly page: SignInPage | null;
  readonly failure: Failure | null;
}

/** What the server says of itself to strangers. */
export function useAbout(): About {
  const desk = useDesk();
  const [about, setAbout] = useState<About>({ page: null, failure: null });
  useEffect(() => {
    desk.about().then(
      (page) => setAbout({ page, failure: null }),
      (error: unknown) => setAbout({ page: null, failure: asFailure(error) }),
    );
  }, [desk]);
  return about;
}
