// Devices and keys during a call. A choice takes effect at once; there is nothing to save.
import { useState } from 'react';
import type { DeviceKind } from '../client/devices';
import { playTestSound } from '../client/meter';
import type { Action } from '../client/shortcuts';
import { t } from '../i18n';
import type { MessageKey } from '../i18n';
import { Button } from './Button';
import { DeviceSelect } from './DeviceSelect';
import { Dialog } from './Dialog';
import { useCall, useClient, usePreview } from './hooks';
import { keysOf } from './keys';
import { MicMeter } from './MicMeter';
import styles from './SettingsDialog.module.css';
import { ThemeSelect } from './ThemeSelect';

const KEYS: readonly (readonly [Action, MessageKey])[] = [
  ['microphone', 'control.microphone'],
  ['camera', 'control.camera'],
  ['share', 'control.share'],
  ['settings', 'control.settings'],
  ['leave', 'control.leave'],
];

export function SettingsDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title={t('settings.title')} onClose={onClose}>
      <DeviceSection />
      <KeySection />
      <ThemeSelect />
    </Dialog>
  );
}

function DeviceSection() {
  const client = useClient();
  const devices = usePreview((state) => state.devices);
  const chosen = usePreview((state) => state.chosen);
  const speaking = useCall((state) => state.switches.microphone);
  const kinds: DeviceKind[] = ['audioinput', 'videoinput'];
  if (client.preview.devices.canChooseSpeaker()) kinds.push('audiooutput');
  return (
    <section className={styles['section']} aria-label={t('settings.devices')}>
      {kinds.map((kind) => (
        <div key={kind}>
          <DeviceSelect
            kind={kind}
            choices={devices[kind]}
            chosen={chosen[kind] || client.call.inUse(kind)}
            onChoose={(which, id) => void client.choose(which, id)}
          />
          {kind === 'audioinput' && speaking && <MicMeter track={client.call.microphone()} />}
        </div>
      ))}
      {kinds.includes('audiooutput') && (
        <Button onClick={() => void playTestSound(chosen.audiooutput)}>{t('devices.test')}</Button>
      )}
    </section>
  );
}

function KeySection() {
  const client = useClient();
  const [letters, setLetters] = useState(client.preferences.get().letters);
  return (
    <section className={styles['section']}>
      <h3 className={styles['heading']}>{t('settings.keys')}</h3>
      <dl className={styles['keys']}>
        {KEYS.map(([action, name]) => (
          <KeyRow key={action} action={action} name={t(name)} letters={letters} />
        ))}
        <dt>{t('settings.keys.talk')}</dt>
        <dd>{letters ? t('settings.keys.talk.hold') : '–'}</dd>
      </dl>
      <label className={styles['check']}>
        <input
          type="checkbox"
          checked={letters}
          onChange={(event) => {
            setLetters(event.target.checked);
            client.preferences.set({ letters: event.target.checked });
          }}
        />
        {t('settings.keys.letters')}
      </label>
    </section>
  );
}

interface KeyRowProps {
  readonly action: Action;
  readonly name: string;
  readonly letters: boolean;
}

function KeyRow({ action, name, letters }: KeyRowProps) {
  const { letter, twin } = keysOf(action);
  const both = letters && letter !== '' && twin !== '';
  return (
    <>
      <dt>{name}</dt>
      <dd>{both ? t('settings.keys.or', { letter, twin }) : twin || (letters ? letter : '–')}</dd>
    </>
  );
}
