// Light, dark, or as the system has it; kept on this device. The stage of a call is dark in all of them.
import { useId, useState } from 'react';
import { THEMES } from '../client/preferences';
import type { Theme } from '../client/preferences';
import { t } from '../i18n';
import type { MessageKey } from '../i18n';
import { useClient } from './hooks';
import styles from './ThemeSelect.module.css';

const NAMES: Readonly<Record<Theme, MessageKey>> = {
  system: 'theme.system',
  light: 'theme.light',
  dark: 'theme.dark',
};

export function ThemeSelect() {
  const client = useClient();
  const id = useId();
  const [theme, setTheme] = useState(client.preferences.get().theme);
  const choose = (text: string) => {
    const chosen = THEMES.find((one) => one === text) ?? 'system';
    setTheme(chosen);
    client.theme(chosen);
  };
  return (
    <div className={styles['field']}>
      <label htmlFor={id}>{t('theme.label')}</label>
      <select
        id={id}
        className={styles['select']}
        value={theme}
        onChange={(event) => choose(event.target.value)}
      >
        {THEMES.map((one) => (
          <option key={one} value={one}>
            {t(NAMES[one])}
          </option>
        ))}
      </select>
    </div>
  );
}
