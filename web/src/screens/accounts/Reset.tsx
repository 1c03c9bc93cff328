// A new password: by the link of a letter or of an administrator, or asking for such a letter.
import { useState } from 'react';
import { Button } from '../../components/Button';
import { useForm } from '../../components/form';
import { LoginField } from '../../components/LoginField';
import { Page, Soft, Title } from '../../components/Page';
import { PasswordField } from '../../components/PasswordField';
import { t } from '../../i18n';
import { useAbout, useDesk, useWork } from './desk';
import { passwordError } from './SignUp';
import { Trouble } from './Steps';

export function Reset() {
  const { secret } = useDesk();
  return <Page>{secret === '' ? <Ask /> : <Set />}</Page>;
}

function Set() {
  const desk = useDesk();
  const about = useAbout();
  const { busy, failure, run } = useWork();
  const [password, setPassword] = useState('');
  const [done, setDone] = useState(false);
  const shortest = about.page?.password_shortest ?? 1;
  const error = passwordError(password, shortest);
  const send = async () => {
    if (await run(() => desk.reset(password))) setDone(true);
  };
  const { shown, onSubmit } = useForm({ password: error }, () => void send());
  if (done) {
    return (
      <section key="done">
        <Title>{t('reset.done.title')}</Title>
        <Soft>{t('reset.done.body')}</Soft>
        <Button look="primary" wide onClick={() => desk.go('/sign-in')}>
          {t('sign-in.title')}
        </Button>
      </section>
    );
  }
  return (
    <section key="form">
      <Title>{t('reset.title')}</Title>
      <Soft>{t('reset.body')}</Soft>
      <Trouble failure={failure ?? about.failure} />
      <form onSubmit={onSubmit} noValidate>
        <PasswordField
          label={t('reset.password.label')}
          hint={t('sign-up.password.hint', { min: shortest })}
          name="password"
          value={password}
          onChange={setPassword}
          error={shown('password')}
          autoComplete="new-password"
        />
        <Button type="submit" look="primary" wide busy={busy} disabled={busy}>
          {t('reset.submit')}
        </Button>
      </form>
    </section>
  );
}

function Ask() {
  const desk = useDesk();
  const about = useAbout();
  const [asked, setAsked] = useState(false);
  if (about.failure !== null) return <Trouble failure={about.failure} />;
  if (about.page === null) return <p role="status">{t('page.loading')}</p>;
  return (
    <section key={String(asked)}>
      <Title>{t(asked ? 'reset.asked.title' : 'reset.ask.title')}</Title>
      <Soft>{t(bodyOf(about.page.password_reset, asked))}</Soft>
      {about.page.password_reset && !asked && <AskForm onDone={() => setAsked(true)} />}
      <Button look="quiet" wide onClick={() => desk.go('/sign-in')}>
        {t('page.back')}
      </Button>
    </section>
  );
}

function bodyOf(works: boolean, asked: boolean) {
  if (!works) return 'reset.none.body';
  return asked ? 'reset.asked.body' : 'reset.ask.body';
}

function AskForm({ onDone }: { readonly onDone: () => void }) {
  const desk = useDesk();
  const { busy, failure, run } = useWork();
  const [login, setLogin] = useState('');
  const error = login.trim() === '' ? t('sign-in.login.missing') : null;
  const send = async () => {
    if (await run(() => desk.askReset(login))) onDone();
  };
  const { shown, onSubmit } = useForm({ login: error }, () => void send());
  return (
    <form onSubmit={onSubmit} noValidate>
      <Trouble failure={failure} />
      <LoginField value={login} onChange={setLogin} error={shown('login')} />
      <Button type="submit" look="primary" wide busy={busy} disabled={busy}>
        {t('reset.ask.submit')}
      </Button>
    </form>
  );
}
