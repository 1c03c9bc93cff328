// You, before anybody else sees you: picture, level, switches and devices.
import { Mic, MicOff, Video, VideoOff } from 'lucide-react';
import { useEffect, useRef } from 'react';
import type { DeviceKind } from '../client/devices';
import { t } from '../i18n';
import { Button } from './Button';
import { DeviceSelect } from './DeviceSelect';
import { useClient, useMedia, usePreview } from './hooks';
import { MicMeter } from './MicMeter';
import styles from './PreviewPanel.module.css';

export function PreviewPanel() {
  const camera = usePreview((state) => state.camera);
  const microphone = usePreview((state) => state.microphone);
  const silent = usePreview((state) => state.status !== 'open' || state.wanted.microphone);
  return (
    <section className={styles['panel']} aria-label={t('preview.label')}>
      <div className={styles['frame']}>
        {camera === null ? <Words /> : <OwnVideo track={camera} />}
        <div className={styles['switches']}>
          <Switch which="microphone" />
          <Switch which="camera" />
        </div>
      </div>
      {(microphone !== null || !silent) && (
        <div className={styles['level']}>
          <MicMeter track={microphone} />
          <p className={styles['levelText']}>
            {t(microphone === null ? 'preview.microphone.off' : 'preview.listening')}
          </p>
        </div>
      )}
      <DeviceRow />
    </section>
  );
}

function OwnVideo({ track }: { readonly track: MediaStreamTrack }) {
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (ref.current !== null) ref.current.srcObject = new MediaStream([track]);
  }, [track]);
  return <video ref={ref} className={styles['video']} autoPlay playsInline muted aria-hidden />;
}

function Words() {
  const client = useClient();
  const status = usePreview((state) => state.status);
  const wanted = usePreview((state) => state.wanted);
  const blocked = client.preview.devices.obstacle() !== null;
  const nothing = !wanted.camera && !wanted.microphone;
  if (status === 'idle' && !blocked && !nothing) {
    return (
      <div className={styles['words']}>
        <Button onClick={() => void client.preview.start()}>{t('preview.start')}</Button>
        <p className={styles['soft']}>{t('preview.idle')}</p>
      </div>
    );
  }
  if (status === 'starting') {
    return (
      <p className={styles['words']} role="status">
        {t('preview.starting')}
      </p>
    );
  }
  return (
    <p className={styles['words']}>
      {t(wanted.camera ? 'preview.camera.failed' : 'preview.camera.off')}
    </p>
  );
}

function Switch({ which }: { readonly which: 'microphone' | 'camera' }) {
  const client = useClient();
  // Wanted, and not known to have failed.
  const on = usePreview(
    (state) => state.wanted[which] && (state.status !== 'open' || state[which] !== null),
  );
  const [On, Off] = which === 'microphone' ? [Mic, MicOff] : [Video, VideoOff];
  return (
    <button
      type="button"
      className={styles['switch']}
      aria-pressed={on}
      aria-label={t(which === 'microphone' ? 'control.microphone' : 'control.camera')}
      onClick={() => void client.preview.toggle(which)}
    >
      {on ? <On size={22} aria-hidden /> : <Off size={22} aria-hidden />}
    </button>
  );
}

function DeviceRow() {
  const client = useClient();
  const devices = usePreview((state) => state.devices);
  const chosen = usePreview((state) => state.chosen);
  const kinds: DeviceKind[] = ['audioinput', 'videoinput'];
  if (client.preview.devices.canChooseSpeaker()) kinds.push('audiooutput');
  const inUse: Partial<Record<DeviceKind, string | undefined>> = {
    audioinput: usePreview((state) => state.microphone?.getSettings().deviceId),
    videoinput: usePreview((state) => state.camera?.getSettings().deviceId),
  };
  const narrow = useMedia('(max-width: 767px)');
  if (kinds.every((kind) => devices[kind].length === 0)) return null;
  const row = (
    <div className={styles['devices']}>
      {kinds.map((kind) => (
        <DeviceSelect
          key={kind}
          kind={kind}
          choices={devices[kind]}
          chosen={chosen[kind] || (inUse[kind] ?? '')}
          onChoose={(which, id) => void client.preview.choose(which, id)}
          compact={!narrow}
        />
      ))}
    </div>
  );
  // On a phone the form matters more: it should be in sight without scrolling.
  if (!narrow) return row;
  return (
    <details className={styles['more']}>
      <summary className={styles['summary']}>{t('settings.devices')}</summary>
      {row}
    </details>
  );
}
