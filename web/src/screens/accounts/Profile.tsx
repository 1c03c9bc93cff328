// Name, mail address and password: three cards of the settings page.
import { useState } from 'react';
import type { FormEvent } from 'react';
import { MAX_NAME, tidy } from '../../client/address';
import type { OwnAccount } from '../../client/accounts/answers';
import { Button } from '../../components/Button';
import { Field } from '../../components/Field';
import { useForm } from '../../components/form';
import { useClient } from '../../components/hooks';
import { PasswordField } from '../../components/PasswordField';
import { ThemeSelect } from '../../components/ThemeSelect';
import { isolate, t } from '../../i18n';
import { useAccount, useDesk } from './desk';
import { Actions, Section, Small } from './Section';
import { passwordError } from './SignUp';

interface AccountProps {
  readonly account: OwnAccount;
}

export function Profile({ account }: AccountProps) {
  const client = useClient();
  const desk = useDesk();
  const busy = useAccount((state) => state.busy === 'name');
  const [name, setName] = useState(account.name);
  const long = tidy(name).length > MAX_NAME ? t('lobby.name.long', { max: MAX_NAME }) : null;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (long === null && (await desk.account.rename(tidy(name)))) await client.who.again();
  };
  const roles = account.roles.join(', ');
  return (
    <Section part="name" title={t('settings.name.title')}>
      <Small>
        {t('settings.login', { login: isolate(account.login) })}
        {' · '}
        {t('settings.roles', { count: account.roles.length, roles })}
      </Small>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Field
          label={t('settings.name.label')}
          hint={t('settings.name.hint')}
          name="name"
          value={name}
          onChange={setName}
          error={long}
          autoComplete="name"
        />
        <Actions>
          <Button type="submit" busy={busy} disabled={busy}>
            {t('settings.save')}
          </Button>
        </Actions>
      </form>
      <ThemeSelect />
    </Section>
  );
}

export function Mail({ account }: AccountProps) {
  const desk = useDesk();
  const works = useAccount((state) => state.page?.password_reset === true);
  const busy = useAccount((state) => state.busy === 'mail');
  const [mail, setMail] = useState('');
  const [checked, setChecked] = useState(false);
  const error = /^\S+@\S+$/.test(mail.trim()) ? null : t('settings.mail.missing');
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (error === null) void desk.account.setMail(mail.trim());
  };
  return (
    <Section part="mail" title={t('settings.mail.title')}>
      <Small>{t(works ? 'settings.mail.body' : 'settings.mail.none')}</Small>
      {account.mail !== '' && (
        <>
          <p>{t('settings.mail.current', { mail: isolate(account.mail) })}</p>
          <Actions>
            <Button disabled={busy} onClick={() => void desk.account.removeMail()}>
              {t('settings.remove')}
            </Button>
          </Actions>
        </>
      )}
      {works && (
        <form onSubmit={submit} noValidate>
          <Field
            label={t('settings.mail.label')}
            name="mail"
            type="email"
            value={mail}
            onChange={setMail}
            error={checked ? error : null}
            autoComplete="email"
          />
          <Actions>
            <Button type="submit" busy={busy} disabled={busy}>
              {t('settings.mail.submit')}
            </Button>
          </Actions>
        </form>
      )}
    </Section>
  );
}

export function Password({ account }: AccountProps) {
  // Where `/.well-known/change-password` leads.
  const [open, setOpen] = useState(location.pathname === '/settings/password');
  return (
    <Section part="password" title={t('settings.password.title')}>
      {!account.password && <Small>{t('settings.password.none')}</Small>}
      {open ? (
        <PasswordForm has={account.password} onClose={() => setOpen(false)} />
      ) : (
        <Actions>
          <Button onClick={() => setOpen(true)}>
            {t(account.password ? 'settings.password.change' : 'settings.password.set')}
          </Button>
        </Actions>
      )}
    </Section>
  );
}

interface PasswordFormProps {
  readonly has: boolean;
  readonly onClose: () => void;
}

function PasswordForm({ has, onClose }: PasswordFormProps) {
  const desk = useDesk();
  const shortest = useAccount((state) => state.page?.password_shortest ?? 1);
  const busy = useAccount((state) => state.busy === 'password');
  const [current, setCurrent] = useState('');
  const [password, setPassword] = useState('');
  const wrong = {
    current: has && current === '' ? t('sign-in.password.missing') : null,
    password: passwordError(password, shortest),
  };
  const send = async () => {
    if (await desk.account.setPassword(current, password)) onClose();
  };
  const { shown, onSubmit } = useForm(wrong, () => void send());
  return (
    <form onSubmit={onSubmit} noValidate>
      {has && (
        <PasswordField
          label={t('settings.password.current')}
          name="current"
          value={current}
          onChange={setCurrent}
          error={shown('current')}
          autoComplete="current-password"
        />
      )}
      <PasswordField
        label={t('settings.password.new')}
        hint={t('sign-up.password.hint', { min: shortest })}
        name="password"
        value={password}
        onChange={setPassword}
        error={shown('password')}
        autoComplete="new-password"
      />
      <Actions>
        <Button type="submit" look="primary" busy={busy} disabled={busy}>
          {t('settings.save')}
        </Button>
        <Button onClick={onClose}>{t('settings.cancel')}</Button>
      </Actions>
    </form>
  );
}
