// A password: pasted or filled in by a manager, and shown when somebody wants to see what they type.
import { Eye, EyeOff } from 'lucide-react';
import { useState } from 'react';
import { t } from '../i18n';
import { Field } from './Field';
import type { FieldProps } from './Field';
import styles from './PasswordField.module.css';

export function PasswordField(props: Omit<FieldProps, 'type' | 'beside'>) {
  const [shown, setShown] = useState(false);
  return (
    <Field
      {...props}
      type={shown ? 'text' : 'password'}
      autoCapitalize="none"
      spellCheck={false}
      beside={
        <button
          type="button"
          className={styles['eye']}
          aria-pressed={shown}
          aria-label={t('sign-in.password.show')}
          title={t('sign-in.password.show')}
          onClick={() => setShown(!shown)}
        >
          {shown ? <EyeOff size={20} aria-hidden /> : <Eye size={20} aria-hidden />}
        </button>
      }
    />
  );
}
