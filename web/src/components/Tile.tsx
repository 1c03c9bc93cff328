// One person: picture or initials, name, microphone, and in words whatever keeps the picture away.
import { AudioLines, MicOff, SignalLow, WifiOff } from 'lucide-react';
import { memo } from 'react';
import type { Person } from '../client/call/people';
import { t } from '../i18n';
import { colourIndex, initials } from '../layout/avatar';
import styles from './Tile.module.css';
import { VideoView } from './VideoView';

export const Tile = memo(function Tile({ person }: { readonly person: Person }) {
  const mirrored = person.local ? styles['mirrored'] : '';
  return (
    <li
      className={`${styles['tile']} ${person.quality === 'lost' ? styles['dimmed'] : ''}`}
      data-speaking={person.speaking}
      data-person={person.name}
    >
      {person.camera === null ? (
        <span className={styles['avatar']} data-colour={colourIndex(person.name)} aria-hidden>
          {initials(person.name)}
        </span>
      ) : (
        <VideoView picture={person.camera} className={`${styles['video']} ${mirrored}`} />
      )}
      <Status person={person} />
      <p className={styles['plate']}>
        <MicrophoneMark person={person} />
        <bdi>{person.local ? t('tile.you', { name: person.name }) : person.name}</bdi>
      </p>
    </li>
  );
});

function MicrophoneMark({ person }: { readonly person: Person }) {
  if (person.microphone === 'muted') {
    return (
      <>
        <MicOff className={styles['muted']} size={16} aria-hidden />
        <span className={styles['hidden']}>{t('tile.muted')}</span>
      </>
    );
  }
  if (!person.speaking) return null;
  return (
    <>
      <AudioLines className={styles['speaking']} size={16} aria-hidden />
      <span className={styles['hidden']}>{t('tile.speaking')}</span>
    </>
  );
}

function Status({ person }: { readonly person: Person }) {
  if (person.quality === 'lost') {
    return (
      <p className={styles['status']}>
        <WifiOff size={16} aria-hidden />
        {t('tile.quality.lost')}
      </p>
    );
  }
  if (person.paused) return <p className={styles['status']}>{t('tile.paused')}</p>;
  if (person.waiting) return <p className={styles['status']}>{t('tile.waiting')}</p>;
  if (person.quality === 'poor') {
    return (
      <p className={styles['status']}>
        <SignalLow size={16} aria-hidden />
        {t('tile.quality.poor')}
      </p>
    );
  }
  return null;
}
