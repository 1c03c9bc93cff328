// A shared screen, large, and everybody in a strip beside or below it. Your own screen is not shown
// to yourself: it would mirror itself without end.
import { MonitorUp } from 'lucide-react';
import type { Person } from '../client/call/people';
import { t } from '../i18n';
import { Button } from './Button';
import { useCall, useClient } from './hooks';
import styles from './ShareStage.module.css';
import { Tile } from './Tile';
import { useStableOrder } from './TileGrid';
import { VideoView } from './VideoView';

interface ShareStageProps {
  readonly people: readonly Person[];
  readonly sharer: string;
  readonly strip: 'side' | 'below';
}

export function ShareStage({ people, sharer, strip }: ShareStageProps) {
  const ordered = useStableOrder(people);
  const person = people.find(({ id }) => id === sharer);
  if (person === undefined || person.screen === null) return null;
  return (
    <div className={`${styles['stage']} ${styles[strip]}`}>
      {person.local ? (
        <OwnShare />
      ) : (
        <figure className={styles['share']} data-share={person.name}>
          <VideoView picture={person.screen} className={styles['video']} />
          <figcaption className={styles['caption']}>
            <MonitorUp size={16} aria-hidden />
            {t('tile.share', { name: person.name })}
          </figcaption>
        </figure>
      )}
      {/* Scrollable, so it must be reachable by keyboard. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <ul className={styles['strip']} aria-label={t('call.strip')} tabIndex={0}>
        {ordered.map((one) => (
          <Tile key={one.id} person={one} />
        ))}
      </ul>
    </div>
  );
}

function OwnShare() {
  const client = useClient();
  const busy = useCall((state) => state.busy.screen);
  return (
    <div className={styles['share']} data-share="own">
      <div className={styles['own']}>
        <MonitorUp size={40} aria-hidden />
        <p className={styles['title']}>{t('tile.share.own')}</p>
        <p className={styles['soft']}>{t('tile.share.own.body')}</p>
        <Button busy={busy} onClick={() => void client.call.turn('screen', false)}>
          {t('control.share.stop')}
        </Button>
      </div>
    </div>
  );
}
