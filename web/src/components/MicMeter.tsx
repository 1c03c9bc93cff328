// The level of a microphone. Written to a CSS variable each frame; React renders it once per track.
import { useEffect, useRef } from 'react';
import { startMeter } from '../client/meter';
import { t } from '../i18n';
import styles from './MicMeter.module.css';

/** Readers get a new value at most this often. */
const SPOKEN_EVERY_MS = 1_000;

export function MicMeter({ track }: { readonly track: MediaStreamTrack | null }) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (track === null) return undefined;
    let spoken = 0;
    return startMeter(track, (level) => {
      const meter = ref.current;
      meter?.style.setProperty('--level', level.toFixed(3));
      const now = performance.now();
      if (now - spoken < SPOKEN_EVERY_MS) return;
      spoken = now;
      meter?.setAttribute('aria-valuenow', String(Math.round(level * 100)));
    });
  }, [track]);
  return (
    <div
      ref={ref}
      className={styles['meter']}
      role="meter"
      aria-label={t('preview.meter')}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={0}
    >
      <div className={styles['bar']}>
        <div className={styles['fill']} />
      </div>
    </div>
  );
}
