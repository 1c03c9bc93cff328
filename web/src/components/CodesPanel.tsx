// Recovery codes, shown once: to copy, to keep as a file, to print.
import { Copy, Download, Printer } from 'lucide-react';
import { t } from '../i18n';
import { Button } from './Button';
import buttons from './Button.module.css';
import styles from './CodesPanel.module.css';
import panel from './Panel.module.css';
import { CopyButton } from './CopyButton';

interface CodesPanelProps {
  readonly codes: readonly string[];
  readonly onKept: () => void;
}

const LOOK = `${buttons['button']} ${buttons['plain']}`;

export function CodesPanel({ codes, onKept }: CodesPanelProps) {
  const text = codes.join('\n');
  return (
    <div className={panel['panel']}>
      <p className={panel['soft']}>{t('codes.body')}</p>
      <ol className={styles['list']} aria-label={t('codes.list')}>
        {codes.map((code) => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ol>
      <div className={panel['row']}>
        <CopyButton
          className={LOOK}
          icon={<Copy size={18} aria-hidden />}
          text={() => text}
          label={t('codes.copy')}
          done={t('codes.copied')}
        />
        <Button onClick={() => keepAsFile(text)}>
          <Download size={18} aria-hidden />
          {t('codes.download')}
        </Button>
        <Button onClick={() => window.print()}>
          <Printer size={18} aria-hidden />
          {t('codes.print')}
        </Button>
      </div>
      <Button look="primary" wide onClick={onKept}>
        {t('codes.kept')}
      </Button>
    </div>
  );
}

function keepAsFile(text: string): void {
  const url = URL.createObjectURL(new Blob([`${text}\n`], { type: 'text/plain' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = `sotto-${location.hostname}.txt`;
  link.click();
  URL.revokeObjectURL(url);
}
