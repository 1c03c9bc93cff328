// Small pieces that several components share: the client, its stores, an element's size.
import {
  createContext,
  useContext,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import type { RefObject } from 'react';
import { useStore } from 'zustand';
import type { WhoState } from '../client/accounts/who';
import type { Client } from '../client/client';
import type { CallState } from '../client/call/session';
import type { PreviewState } from '../client/preview';
import type { Size } from '../layout/grid';

export const ClientContext = createContext<Client | null>(null);

export function useClient(): Client {
  const client = useContext(ClientContext);
  if (client === null) throw new Error('no client above this component');
  return client;
}

export function useCall<T>(select: (state: CallState) => T): T {
  return useStore(useClient().call.store, select);
}

export function usePreview<T>(select: (state: PreviewState) => T): T {
  return useStore(useClient().preview.store, select);
}

export function useWho<T>(select: (state: WhoState) => T): T {
  return useStore(useClient().who.store, select);
}

export function useSize<T extends HTMLElement>(): [RefObject<T | null>, Size] {
  const ref = useRef<T>(null);
  const [size, setSize] = useState<Size>({ width: 0, height: 0 });
  useEffect(() => {
    const element = ref.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(([entry]) => {
      if (entry === undefined) return;
      const { width, height } = entry.contentRect;
      setSize({ width, height });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, size];
}

export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (changed) => {
      const list = window.matchMedia(query);
      list.addEventListener('change', changed);
      return () => list.removeEventListener('change', changed);
    },
    () => window.matchMedia(query).matches,
  );
}

/** Moves the focus to a heading when its screen appears, so that readers start there. */
export function useFocusOnMount<T extends HTMLElement>(): RefObject<T | null> {
  const ref = useRef<T>(null);
  useEffect(() => ref.current?.focus({ preventScroll: true }), []);
  return ref;
}
