// An authenticator app is set up: its picture to scan, its secret to type, and the first code as proof.
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import type { TotpAnswer } from '../client/accounts/answers';
import { t } from '../i18n';
import { Button } from './Button';
import { CodeField, codeError } from './CodeField';
import { CopyButton } from './CopyButton';
import styles from './TotpPanel.module.css';
import panel from './Panel.module.css';

interface TotpPanelProps {
  readonly offer: TotpAnswer;
  readonly busy: boolean;
  readonly onCode: (code: string) => void;
  /** A way out, beside the button that goes on. */
  readonly children?: ReactNode;
}

export function TotpPanel({ offer, busy, onCode, children }: TotpPanelProps) {
  const [code, setCode] = useState('');
  const [checked, setChecked] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (codeError('totp', code) === null) onCode(code);
  };
  // An image and not markup: nothing in it can run.
  const picture = `data:image/svg+xml;utf8,${encodeURIComponent(offer.qr)}`;
  return (
    <form className={panel['panel']} onSubmit={submit} noValidate>
      <p className={panel['soft']}>{t('totp.body')}</p>
      <img className={styles['picture']} src={picture} alt={t('totp.picture')} />
      <div className={styles['secret']}>
        <p className={panel['soft']}>{t('totp.secret')}</p>
        <code data-secret>{offer.secret.replaceAll(/(.{4})(?=.)/g, '$1 ')}</code>
        <CopyButton
          className={styles['copy']}
          text={() => offer.secret}
          label={t('totp.copy')}
          done={t('totp.copied')}
        />
      </div>
      <CodeField
        kind="totp"
        value={code}
        onChange={setCode}
        error={checked ? codeError('totp', code) : null}
      />
      <div className={panel['row']}>
        <Button type="submit" look="primary" busy={busy} disabled={busy}>
          {t('sign-in.code.submit')}
        </Button>
        {children}
      </div>
    </form>
  );
}
