// A new account: the first administrator's, by invitation, or where anybody may. A login name, and a
// password or a passkey: nothing else is asked.
import { KeyRound } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { FormEvent } from 'react';
import { tidy } from '../../client/address';
import { Failure } from '../../client/errors';
import { Button } from '../../components/Button';
import { FailurePanel } from '../../components/FailurePanel';
import { Field } from '../../components/Field';
import { useClient, useWho } from '../../components/hooks';
import { LoginField } from '../../components/LoginField';
import { Or, Page, Soft, Title } from '../../components/Page';
import { PasswordField } from '../../components/PasswordField';
import { t } from '../../i18n';
import styles from './Accounts.module.css';
import { useAbout, useDesk, useSignIn } from './desk';
import { Steps, Trouble } from './Steps';

export function SignUp() {
  const [ready, setReady] = useState(false);
  return (
    <Page>
      {ready ? (
        <Ready />
      ) : (
        <Steps onDone={() => setReady(true)}>
          <Start />
        </Steps>
      )}
    </Page>
  );
}

function Start() {
  const desk = useDesk();
  const about = useAbout();
  const failure = useSignIn((state) => state.failure);
  if (about.failure !== null) return <Trouble failure={about.failure} />;
  if (about.page === null) return <p role="status">{t('page.loading')}</p>;
  const open = desk.name === 'join' && desk.secret === '';
  if (open && about.page.sign_up !== 'open') return <Closed code="sign_up_closed" />;
  if (desk.name === 'setup' && desk.secret === '') return <Closed code="link_invalid" />;
  const setup = desk.name === 'setup';
  return (
    <section>
      <Title>{t(setup ? 'sign-up.setup.title' : 'sign-up.title')}</Title>
      {setup && <Soft>{t('sign-up.setup.body')}</Soft>}
      <Trouble failure={failure} />
      <Form shortest={about.page.password_shortest} open={open} />
      {!setup && (
        <p className={styles['links']}>
          <a href="/sign-in">{t('sign-up.have')}</a>
        </p>
      )}
    </section>
  );
}

function Closed({ code }: { readonly code: 'sign_up_closed' | 'link_invalid' }) {
  const desk = useDesk();
  return (
    <section>
      <Title>{t('sign-up.title')}</Title>
      <FailurePanel failure={new Failure(code)}>
        <Button onClick={() => desk.go('/sign-in')}>{t('sign-in.title')}</Button>
      </FailurePanel>
    </section>
  );
}

interface FormProps {
  readonly shortest: number;
  /** Anybody may: the server completes the login name. */
  readonly open: boolean;
}

function Form({ shortest, open }: FormProps) {
  const { signIn, secret, passkeysWork } = useDesk();
  const busy = useSignIn((state) => state.busy);
  const [login, setLogin] = useState('');
  const [name, setName] = useState('');
  const [password, setPassword] = useState('');
  const [checked, setChecked] = useState<'password' | 'passkey' | null>(null);
  const link = secret === '' ? null : secret;
  const wrong = {
    login: tidy(login) === '' ? t('sign-in.login.missing') : null,
    password: passwordError(password, shortest),
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked('password');
    if ((wrong.login ?? wrong.password) !== null) return;
    void signIn.signUp(link, tidy(login), password, tidy(name));
  };
  const withPasskey = () => {
    setChecked('passkey');
    if (wrong.login === null) void signIn.signUpWithPasskey(link, tidy(login), tidy(name));
  };
  return (
    <form onSubmit={submit} noValidate>
      <LoginField
        hint={t(open ? 'sign-up.login.open' : 'sign-up.login.hint')}
        value={login}
        onChange={setLogin}
        error={checked === null ? null : wrong.login}
      />
      <Field
        label={t('sign-up.name.label')}
        hint={t('sign-up.name.hint')}
        name="name"
        value={name}
        onChange={setName}
        error={null}
        maxLength={64}
        autoComplete="name"
      />
      <PasswordField
        label={t('sign-up.password.label')}
        hint={t('sign-up.password.hint', { min: shortest })}
        name="password"
        value={password}
        onChange={setPassword}
        error={checked === 'password' ? wrong.password : null}
        autoComplete="new-password"
      />
      <Button type="submit" look="primary" wide busy={busy} disabled={busy}>
        {t('sign-up.submit')}
      </Button>
      {passkeysWork && <WithPasskey busy={busy} onClick={withPasskey} />}
    </form>
  );
}

interface WithPasskeyProps {
  readonly busy: boolean;
  readonly onClick: () => void;
}

function WithPasskey({ busy, onClick }: WithPasskeyProps) {
  return (
    <>
      <Or />
      <Button wide disabled={busy} onClick={onClick}>
        <KeyRound size={18} aria-hidden />
        {t('sign-up.passkey')}
      </Button>
      <p className={styles['soft']}>{t('sign-up.passkey.hint')}</p>
    </>
  );
}

/** By code points, as the server counts; everything else about a password only it can say. */
export function passwordError(password: string, shortest: number): string | null {
  return [...password.normalize('NFKC')].length < shortest
    ? t('sign-up.password.hint', { min: shortest })
    : null;
}

function Ready() {
  const desk = useDesk();
  const client = useClient();
  const account = useWho((state) => state.account);
  // Asked now: the page opened before there was an account.
  const [asked, setAsked] = useState(false);
  useEffect(() => void client.who.again().then(() => setAsked(true)), [client]);
  if (!asked || account === null) return <p role="status">{t('page.loading')}</p>;
  return (
    <section>
      <Title>{t('sign-up.done.title')}</Title>
      <p>{t('sign-up.done.login')}</p>
      <p className={styles['login']}>
        <bdi data-login>{account.login}</bdi>
      </p>
      <Soft>{t('sign-up.done.body')}</Soft>
      <Button look="primary" wide onClick={() => desk.go(desk.next)}>
        {t('sign-up.done.go')}
      </Button>
      <Button wide onClick={() => desk.go('/settings')}>
        {t('sign-up.done.security')}
      </Button>
    </section>
  );
}
