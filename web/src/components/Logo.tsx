import { t } from '../i18n';
import styles from './Logo.module.css';

export function Logo() {
  return (
    <span className={styles['logo']}>
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden>
        <rect width="32" height="32" rx="9" className={styles['ground']} />
        <g className={styles['bars']} strokeWidth="3" strokeLinecap="round">
          <path d="M8 14v4M13.3 10.5v11M18.7 12.5v7M24 14.7v2.6" />
        </g>
      </svg>
      {t('app.name')}
    </span>
  );
}
