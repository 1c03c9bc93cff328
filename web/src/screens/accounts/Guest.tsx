// Coming in by a guest link: a name, and then the lobby of the one room that the link is for.
import { useState } from 'react';
import { MAX_NAME, roomPath, tidy } from '../../client/address';
import { shownName } from '../../client/accounts/who';
import { Failure } from '../../client/errors';
import { Button } from '../../components/Button';
import { Field } from '../../components/Field';
import { useForm } from '../../components/form';
import { useClient, useWho } from '../../components/hooks';
import { Page, Soft, Title } from '../../components/Page';
import { isolate, t } from '../../i18n';
import { useDesk, useSignIn } from './desk';
import { Steps, Trouble } from './Steps';

export function Guest() {
  const desk = useDesk();
  return (
    <Page>
      <Steps onDone={(room) => desk.go(room === null ? '/' : roomPath(room))}>
        <Start />
      </Steps>
    </Page>
  );
}

function Start() {
  const client = useClient();
  const { signIn, secret } = useDesk();
  const busy = useSignIn((state) => state.busy);
  const failure = useSignIn((state) => state.failure);
  const account = useWho((state) => state.account);
  const [name, setName] = useState(client.preferences.get().name);
  const { shown, onSubmit } = useForm({ name: nameError(name) }, () => {
    client.preferences.set({ name: tidy(name) });
    void signIn.guest(secret, tidy(name));
  });
  if (secret === '') {
    return (
      <section>
        <Title>{t('guest.title')}</Title>
        <Trouble failure={new Failure('link_invalid')} />
      </section>
    );
  }
  return (
    <section>
      <Title>{t('guest.title')}</Title>
      {account !== null && account.kind !== 'guest' && (
        <Soft>{t('guest.already', { name: isolate(shownName(account)) })}</Soft>
      )}
      <Trouble failure={failure} />
      <form onSubmit={onSubmit} noValidate>
        <Field
          label={t('lobby.name.label')}
          hint={t('guest.name.hint')}
          name="name"
          value={name}
          onChange={setName}
          error={shown('name')}
          autoComplete="nickname"
        />
        <Button type="submit" look="primary" wide busy={busy} disabled={busy}>
          {t('guest.submit')}
        </Button>
      </form>
    </section>
  );
}

function nameError(name: string): string | null {
  const { length } = tidy(name);
  if (length === 0) return t('lobby.name.missing');
  return length > MAX_NAME ? t('lobby.name.long', { max: MAX_NAME }) : null;
}
