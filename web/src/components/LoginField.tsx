// The name that somebody signs in with.
import { t } from '../i18n';
import { Field } from './Field';
import type { FieldProps } from './Field';

type LoginFieldProps = Pick<FieldProps, 'value' | 'onChange' | 'error' | 'hint'>;

export function LoginField(props: LoginFieldProps) {
  return (
    <Field
      label={t('sign-in.login.label')}
      name="login"
      autoComplete="username"
      autoCapitalize="none"
      spellCheck={false}
      {...props}
    />
  );
}
