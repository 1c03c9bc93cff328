// A code of the second factor: six digits of an app, or one of the recovery codes. Both may be pasted.
import { t } from '../i18n';
import { Field } from './Field';

export type CodeKind = 'totp' | 'recovery_code';

interface CodeFieldProps {
  readonly kind: CodeKind;
  readonly value: string;
  readonly error: string | null;
  readonly onChange: (value: string) => void;
}

export function CodeField({ kind, value, error, onChange }: CodeFieldProps) {
  const app = kind === 'totp';
  return (
    <Field
      key={kind}
      label={t(app ? 'sign-in.code.label' : 'sign-in.recovery.label')}
      hint={t(app ? 'sign-in.code.hint' : 'sign-in.recovery.hint')}
      name="code"
      value={value}
      error={error}
      onChange={onChange}
      inputMode={app ? 'numeric' : 'text'}
      autoComplete={app ? 'one-time-code' : 'off'}
      autoCapitalize="none"
      spellCheck={false}
    />
  );
}

/** Only what can be no code at all: the server is the one who checks it. */
export function codeError(kind: CodeKind, code: string): string | null {
  const bare = code.replaceAll(/[\s-]/g, '');
  if (kind === 'totp') return /^\d{6}$/.test(bare) ? null : t('sign-in.code.missing');
  return bare.length >= 20 ? null : t('sign-in.recovery.missing');
}
