// Signing in: a passkey that says whose it is, a password, or an outside provider.
import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { shownName } from '../../client/accounts/who';
import { Button } from '../../components/Button';
import { useForm } from '../../components/form';
import { useWho } from '../../components/hooks';
import { LoginField } from '../../components/LoginField';
import { Or, Page, Title } from '../../components/Page';
import { PasswordField } from '../../components/PasswordField';
import { isolate, t } from '../../i18n';
import styles from './Accounts.module.css';
import { useAbout, useDesk, useSignIn, useWork } from './desk';
import { Steps, Trouble } from './Steps';

export function SignIn() {
  const desk = useDesk();
  return (
    <Page>
      <Steps onDone={() => desk.go(desk.next)}>
        <Start />
      </Steps>
    </Page>
  );
}

function Start() {
  const { signIn, passkeysWork } = useDesk();
  const busy = useSignIn((state) => state.busy);
  const failure = useSignIn((state) => state.failure);
  const about = useAbout();
  return (
    <section>
      <Title>{t('sign-in.title')}</Title>
      <Already />
      <Trouble failure={failure ?? about.failure} />
      {passkeysWork && (
        <>
          <Button wide disabled={busy} onClick={() => void signIn.passkey()}>
            <KeyRound size={18} aria-hidden />
            {t('sign-in.passkey')}
          </Button>
          <Or />
        </>
      )}
      <PasswordForm />
      {about.page !== null && about.page.providers.length > 0 && (
        <Providers choices={about.page.providers} />
      )}
      <p className={styles['links']}>
        {about.page !== null && <a href="/reset">{t('sign-in.forgot')}</a>}
        {about.page?.sign_up === 'open' && <a href="/join">{t('sign-in.new')}</a>}
      </p>
    </section>
  );
}

/** Who came here signed in may go on, or sign in as somebody else. */
function Already() {
  const desk = useDesk();
  const account = useWho((state) => state.account);
  if (account === null || account.kind !== 'account') return null;
  const name = isolate(shownName(account));
  return (
    <div className={styles['note']}>
      <p>{t('sign-in.already', { name })}</p>
      <Button onClick={() => desk.go(desk.next)}>{t('sign-in.continue', { name })}</Button>
    </div>
  );
}

function PasswordForm() {
  const { signIn } = useDesk();
  const busy = useSignIn((state) => state.busy);
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const missing = {
    login: login.trim() === '' ? t('sign-in.login.missing') : null,
    password: password === '' ? t('sign-in.password.missing') : null,
  };
  const { shown, onSubmit } = useForm(missing, () => void signIn.password(login, password));
  return (
    <form onSubmit={onSubmit} noValidate>
      <LoginField value={login} onChange={setLogin} error={shown('login')} />
      <PasswordField
        label={t('sign-in.password.label')}
        name="password"
        value={password}
        onChange={setPassword}
        error={shown('password')}
        autoComplete="current-password"
      />
      <Button type="submit" look="primary" wide busy={busy} disabled={busy}>
        {t('sign-in.submit')}
      </Button>
    </form>
  );
}

interface ProvidersProps {
  readonly choices: readonly { readonly id: string; readonly name: string }[];
}

function Providers({ choices }: ProvidersProps) {
  const desk = useDesk();
  const { busy, failure, run } = useWork();
  return (
    <>
      <Or />
      <Trouble failure={failure} />
      {choices.map(({ id, name }) => (
        <Button key={id} wide disabled={busy} onClick={() => void run(() => desk.toProvider(id))}>
          {t('sign-in.provider', { name: isolate(name) })}
        </Button>
      ))}
    </>
  );
}
