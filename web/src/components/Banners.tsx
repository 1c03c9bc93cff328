// Lines above the stage: an interrupted connection, a device that failed, sound that waits for a click.
import { RefreshCw, TriangleAlert, VolumeX, WifiOff, X } from 'lucide-react';
import { useSyncExternalStore } from 'react';
import { t } from '../i18n';
import styles from './Banner.module.css';
import { Button } from './Button';
import { failureBody, failureTitle } from './failure-text';
import { useCall, useClient } from './hooks';

export function Banners() {
  return (
    <div className={styles['area']}>
      <Connection />
      <Notice />
      <Sound />
    </div>
  );
}

function Connection() {
  const stage = useCall((state) => state.interruption);
  const back = useCall((state) => state.back);
  const online = useOnline();
  const lost = stage !== 'none';
  if (!lost && !back) return <div role="status" hidden />;
  const text = lost ? t(online ? 'banner.reconnecting' : 'banner.offline') : t('banner.back');
  return (
    <div role="status" className={`${styles['banner']} ${lost ? '' : styles['good']}`}>
      {lost && (online ? <RefreshCw size={20} aria-hidden /> : <WifiOff size={20} aria-hidden />)}
      <span className={styles['text']}>{text}</span>
    </div>
  );
}

function Notice() {
  const client = useClient();
  const notice = useCall((state) => state.notice);
  if (notice === null) return null;
  return (
    <div role="alert" className={styles['banner']} data-code={notice.code}>
      <TriangleAlert size={20} aria-hidden />
      <p className={styles['text']}>
        <strong>{failureTitle(notice)}</strong>
        <span>{failureBody(notice)}</span>
      </p>
      <button
        type="button"
        className={styles['dismiss']}
        aria-label={t('banner.dismiss')}
        onClick={() => client.call.dismissNotice()}
      >
        <X size={20} aria-hidden />
      </button>
    </div>
  );
}

function Sound() {
  const client = useClient();
  const blocked = useCall((state) => state.audioBlocked);
  if (!blocked) return null;
  return (
    <div role="alert" className={styles['banner']}>
      <VolumeX size={20} aria-hidden />
      <span className={styles['text']}>{t('banner.audio.title')}</span>
      <Button onClick={() => void client.call.startAudio()}>{t('banner.audio.action')}</Button>
    </div>
  );
}

function useOnline(): boolean {
  return useSyncExternalStore(
    (changed) => {
      window.addEventListener('online', changed);
      window.addEventListener('offline', changed);
      return () => {
        window.removeEventListener('online', changed);
        window.removeEventListener('offline', changed);
      };
    },
    () => navigator.onLine,
  );
}
