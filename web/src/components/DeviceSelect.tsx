// One device menu: the platform's own <select>, so that it works with every keyboard and reader.
import { Mic, Video, Volume2 } from 'lucide-react';
import { useId } from 'react';
import type { DeviceChoice, DeviceKind } from '../client/devices';
import { t } from '../i18n';
import styles from './DeviceSelect.module.css';

const LABEL = {
  audioinput: 'devices.microphone',
  videoinput: 'devices.camera',
  audiooutput: 'devices.speaker',
} as const;
const ICON = { audioinput: Mic, videoinput: Video, audiooutput: Volume2 } as const;

interface DeviceSelectProps {
  readonly kind: DeviceKind;
  readonly choices: readonly DeviceChoice[];
  readonly chosen: string;
  readonly onChoose: (kind: DeviceKind, id: string) => void;
  /** The lobby has little room: there the icon stands for the label, which stays for readers. */
  readonly compact?: boolean;
}

export function DeviceSelect({ kind, choices, chosen, onChoose, compact }: DeviceSelectProps) {
  const id = useId();
  const Icon = ICON[kind];
  const known = choices.some((choice) => choice.id === chosen);
  const named = choices.some((choice) => choice.id === 'default');
  return (
    <div className={styles['device']}>
      <label className={compact === true ? styles['hidden'] : styles['label']} htmlFor={id}>
        {t(LABEL[kind])}
      </label>
      <Icon size={20} aria-hidden />
      <select
        id={id}
        className={styles['select']}
        value={known ? chosen : named ? 'default' : ''}
        disabled={choices.length === 0}
        onChange={(event) => onChoose(kind, event.target.value)}
      >
        {choices.length === 0 && <option value="">{t('devices.none', { kind })}</option>}
        {choices.length > 0 && !named && <option value="">{t('devices.default')}</option>}
        {choices.map((choice, index) => (
          <option key={choice.id} value={choice.id}>
            {choice.label === '' ? t('devices.unnamed', { kind, number: index + 1 }) : choice.label}
          </option>
        ))}
      </select>
    </div>
  );
}
