// The call: who is there, large; what you can do, below. Always dark, so that pictures stand out.
import { Link2, LockOpen } from 'lucide-react';
import { useEffect, useState } from 'react';
import { DIALOG_AFTER_MS, LOST_AFTER_MS } from '../client/call/interruption';
import { actionOf } from '../client/shortcuts';
import type { Action } from '../client/shortcuts';
import { Banners } from '../components/Banners';
import { ControlBar } from '../components/ControlBar';
import { CopyButton } from '../components/CopyButton';
import { useCall, useClient, useFocusOnMount, useSize } from '../components/hooks';
import { LeaveDialog } from '../components/LeaveDialog';
import { SettingsDialog } from '../components/SettingsDialog';
import { ShareStage } from '../components/ShareStage';
import { TileGrid } from '../components/TileGrid';
import { t } from '../i18n';
import { chooseStage } from '../layout/stage';
import styles from './Call.module.css';

type Open = 'settings' | 'leave' | null;

export function Call() {
  const client = useClient();
  const [open, setOpen] = useState<Open>(null);
  const interruption = useCall((state) => state.interruption);
  const lost = interruption === 'dialog';
  useShortcuts((action) => {
    const { switches } = client.call.store.getState();
    if (action === 'leave' || action === 'settings') setOpen(action);
    else {
      const source = action === 'share' ? 'screen' : action;
      void client.call.turn(source, !switches[source]);
    }
  });
  usePushToTalk();
  const leave = () => void client.leave();
  const close = () => setOpen(null);
  return (
    <div className={styles['call']}>
      <Header />
      <main className={styles['main']}>
        <Banners />
        <div className={styles['stage']} inert={lost}>
          <StageView />
        </div>
        {lost && <LostCard />}
        <Alone />
      </main>
      <footer>
        <ControlBar onSettings={() => setOpen('settings')} onLeave={leave} />
      </footer>
      {open === 'settings' && <SettingsDialog onClose={close} />}
      {open === 'leave' && <LeaveDialog onLeave={leave} onClose={close} />}
    </div>
  );
}

function Header() {
  const client = useClient();
  const heading = useFocusOnMount<HTMLHeadingElement>();
  const room = useCall((state) => state.room);
  const count = useCall((state) => state.people.length);
  return (
    <header className={styles['header']}>
      <h1 ref={heading} tabIndex={-1} className={styles['room']}>
        <bdi>{room}</bdi>
      </h1>
      <span className={styles['count']}>{t('call.people.count', { count })}</span>
      <Encryption />
      <CopyButton
        className={styles['copy']}
        icon={<Link2 size={18} aria-hidden />}
        text={() => client.link()}
        label={t('call.copy')}
        done={t('call.copied')}
      />
    </header>
  );
}

/** Calls are encrypted between each device and the server, and nobody shall think otherwise. */
function Encryption() {
  return (
    <span className={styles['encryption']} data-e2ee="none" title={t('call.encryption.none.body')}>
      <LockOpen size={16} aria-hidden />
      <span className={styles['encryptionText']}>{t('call.encryption.none')}</span>
    </span>
  );
}

function StageView() {
  const people = useCall((state) => state.people);
  const [ref, size] = useSize<HTMLDivElement>();
  const [shown, setShown] = useState<string | null>(null);
  const sharers = people.map(({ id, local, screen }) => ({ id, local, sharing: screen !== null }));
  const stage = chooseStage(sharers, shown, size);
  const sharer = stage.kind === 'share' ? stage.sharer : null;
  if (sharer !== shown) setShown(sharer);
  return (
    <div ref={ref} className={styles['stage']}>
      {stage.kind === 'share' ? (
        <ShareStage people={people} sharer={stage.sharer} strip={stage.strip} />
      ) : (
        <TileGrid people={people} />
      )}
    </div>
  );
}

function Alone() {
  const alone = useCall((state) => state.people.length === 1 && state.phase === 'connected');
  if (!alone) return null;
  return (
    <div className={styles['alone']}>
      <p className={styles['aloneTitle']}>{t('call.alone.title')}</p>
      <p className={styles['soft']}>{t('call.alone.body')}</p>
    </div>
  );
}

/** Media cannot be reached by keyboard meanwhile; the header and the toolbar with Leave can. */
function LostCard() {
  const seconds = (LOST_AFTER_MS - DIALOG_AFTER_MS) / 1_000;
  return (
    <div className={styles['lost']}>
      <div className={styles['lostCard']} role="alert">
        <p className={styles['lostTitle']}>{t('reconnect.title')}</p>
        <p>{t('reconnect.body', { seconds })}</p>
      </div>
    </div>
  );
}

function useShortcuts(run: (action: Action) => void): void {
  const client = useClient();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (within(event, 'dialog')) return;
      const inText = within(event, TEXT);
      const action = actionOf(event, client.preferences.get().letters, inText);
      if (action === null) return;
      event.preventDefault();
      run(action);
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  });
}

const TEXT = 'input, select, textarea, [contenteditable]';

function within(event: Event, selector: string): boolean {
  return event.target instanceof Element && event.target.closest(selector) !== null;
}

/** Space presses buttons and writes spaces; it talks only where it would do neither. */
function usePushToTalk(): void {
  const client = useClient();
  useEffect(() => {
    const { talk } = client;
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key !== ' ' || !client.preferences.get().letters) return;
      if (within(event, `dialog, button, a, summary, ${TEXT}`)) return;
      event.preventDefault();
      if (!event.repeat) talk.press();
    };
    const onKeyUp = (event: KeyboardEvent) => {
      if (event.key === ' ') talk.release();
    };
    const onBlur = () => talk.release();
    window.addEventListener('keydown', onKeyDown);
    window.addEventListener('keyup', onKeyUp);
    window.addEventListener('blur', onBlur);
    return () => {
      window.removeEventListener('keydown', onKeyDown);
      window.removeEventListener('keyup', onKeyUp);
      window.removeEventListener('blur', onBlur);
    };
  }, [client]);
}
