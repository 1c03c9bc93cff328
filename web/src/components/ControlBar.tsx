// What you do in a call. A toolbar: one tab stop, arrow keys inside. Names stay the same and
// aria-pressed says the state; the title says what a press would do.
import { Mic, MicOff, MonitorUp, PhoneOff, SlidersHorizontal, Video, VideoOff } from 'lucide-react';
import { useRef, useState } from 'react';
import type { KeyboardEvent, ReactNode } from 'react';
import type { Source } from '../client/call/media-room';
import { t } from '../i18n';
import type { MessageKey } from '../i18n';
import styles from './ControlBar.module.css';
import { useCall, useClient } from './hooks';
import { keyHint } from './keys';

interface ControlBarProps {
  readonly onSettings: () => void;
  readonly onLeave: () => void;
}

export function ControlBar({ onSettings, onLeave }: ControlBarProps) {
  const { ref, onKeyDown, current } = useRoving();
  const canShare = useClient().preview.devices.canShare();
  const stop = (name: string): 0 | -1 => (name === current ? 0 : -1);
  return (
    // The arrow keys of a toolbar are handled where they bubble to.
    // oxlint-disable-next-line jsx-a11y/interactive-supports-focus
    <div
      ref={ref}
      className={styles['bar']}
      role="toolbar"
      aria-label={t('control.toolbar')}
      onKeyDown={onKeyDown}
    >
      <Switch source="microphone" on={<Mic />} off={<MicOff />} tabIndex={stop('microphone')} />
      <Switch source="camera" on={<Video />} off={<VideoOff />} tabIndex={stop('camera')} />
      {canShare && (
        <Switch source="screen" on={<MonitorUp />} off={<MonitorUp />} tabIndex={stop('screen')} />
      )}
      <button
        type="button"
        className={styles['control']}
        data-stop="settings"
        tabIndex={stop('settings')}
        title={t('control.hint', { action: t('control.settings'), key: keyHint('settings') })}
        onClick={onSettings}
      >
        <span className={styles['face']} aria-hidden>
          <SlidersHorizontal />
        </span>
        {t('control.settings.short')}
      </button>
      <button
        type="button"
        className={`${styles['control']} ${styles['leave']}`}
        data-stop="leave"
        tabIndex={stop('leave')}
        title={t('control.hint', { action: t('control.leave'), key: keyHint('leave') })}
        onClick={onLeave}
      >
        <span className={styles['face']} aria-hidden>
          <PhoneOff />
        </span>
        {t('control.leave')}
      </button>
    </div>
  );
}

interface Texts {
  readonly name: MessageKey;
  readonly on: MessageKey;
  readonly off: MessageKey;
}

const TEXTS: Readonly<Record<Source, Texts>> = {
  microphone: {
    name: 'control.microphone',
    on: 'control.microphone.mute',
    off: 'control.microphone.unmute',
  },
  camera: { name: 'control.camera', on: 'control.camera.stop', off: 'control.camera.start' },
  screen: { name: 'control.share', on: 'control.share.stop', off: 'control.share.start' },
};

interface SwitchProps {
  readonly source: Source;
  readonly on: ReactNode;
  readonly off: ReactNode;
  readonly tabIndex: number;
}

function Switch({ source, on, off, tabIndex }: SwitchProps) {
  const client = useClient();
  const pressed = useCall((state) => state.switches[source]);
  const busy = useCall((state) => state.busy[source]);
  const texts = TEXTS[source];
  const action = t(pressed ? texts.on : texts.off);
  return (
    <button
      type="button"
      className={styles['control']}
      data-stop={source}
      tabIndex={tabIndex}
      aria-pressed={pressed}
      aria-busy={busy}
      data-alarm={source !== 'screen'}
      data-live={source === 'screen'}
      title={t('control.hint', { action, key: keyHint(source === 'screen' ? 'share' : source) })}
      onClick={() => void client.call.turn(source, !pressed)}
    >
      <span className={styles['face']} aria-hidden>
        {pressed ? on : off}
      </span>
      {t(texts.name)}
    </button>
  );
}

/** The toolbar pattern of the ARIA practices: Left, Right, Home and End move, Tab leaves. */
function useRoving() {
  const ref = useRef<HTMLDivElement>(null);
  const [current, setCurrent] = useState('microphone');
  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = [...(ref.current?.querySelectorAll('button') ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const forward = document.dir === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const backward = document.dir === 'rtl' ? 'ArrowRight' : 'ArrowLeft';
    const count = buttons.length;
    const to = {
      [forward]: (at + 1) % count,
      [backward]: (at - 1 + count) % count,
      Home: 0,
      End: count - 1,
    }[event.key];
    if (at === -1 || to === undefined) return;
    event.preventDefault();
    setCurrent(buttons[to]?.dataset['stop'] ?? 'microphone');
    buttons[to]?.focus();
  };
  return { ref, onKeyDown, current };
}
