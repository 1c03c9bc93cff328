// The first screen: see and hear yourself, say who you are and where to, join.
import { useEffect, useState } from 'react';
import type { FormEvent } from 'react';
import { MAX_NAME, MAX_ROOM, tidy } from '../client/address';
import { signInPath } from '../client/accounts/pages';
import { shownName } from '../client/accounts/who';
import type { Failure } from '../client/errors';
import { Button } from '../components/Button';
import { FailurePanel } from '../components/FailurePanel';
import { Field } from '../components/Field';
import { useCall, useClient, usePreview, useWho } from '../components/hooks';
import { Logo } from '../components/Logo';
import { PreviewPanel } from '../components/PreviewPanel';
import { ThemeSelect } from '../components/ThemeSelect';
import { WhoBar } from '../components/WhoBar';
import { t } from '../i18n';
import page from '../components/Page.module.css';
import styles from './Lobby.module.css';

export function Lobby() {
  const client = useClient();
  useEffect(() => {
    void client.preview.arrive();
    client.warm();
    void client.who.ask();
  }, [client]);
  return (
    <div className={page['page']}>
      <header className={page['header']}>
        <Logo />
        {client.invitation.token === null && <WhoBar next={location.pathname + location.search} />}
      </header>
      <main className={styles['main']}>
        <PreviewPanel />
        <Entry />
      </main>
      <footer className={styles['footer']}>
        <ThemeSelect />
      </footer>
    </div>
  );
}

/** Strangers sign in first where the operator wants that; a call token is an invitation. */
function Entry() {
  const client = useClient();
  const closed = useWho((state) => state.status === 'nobody' && !state.guests);
  if (!closed || client.invitation.token !== null) return <JoinForm />;
  return (
    <section className={styles['form']}>
      <h1 className={styles['title']}>{t('who.needed.title')}</h1>
      <p className={styles['note']}>{t('who.needed.body')}</p>
      <Button
        look="primary"
        wide
        onClick={() => location.assign(signInPath(location.pathname + location.search))}
      >
        {t('who.sign-in')}
      </Button>
    </section>
  );
}

function JoinForm() {
  const client = useClient();
  const { invitation } = client;
  const account = useWho((state) => state.account);
  const [typed, setName] = useState<string | null>(null);
  const [room, setRoom] = useState(invitation.room);
  const known = account === null ? client.preferences.get().name : shownName(account);
  const name = typed ?? (invitation.name || known);
  const [checked, setChecked] = useState(false);
  const invited = invitation.token !== null;
  const wrong = { name: nameError(name), room: roomError(room) };

  const join = (bare: boolean) => {
    setChecked(true);
    if (!invited && (wrong.name ?? wrong.room) !== null) {
      focus(wrong.name === null ? 'room' : 'name');
      return;
    }
    void client.join(tidy(room), tidy(name), bare);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    join(false);
  };

  return (
    <form className={styles['form']} onSubmit={submit} noValidate>
      <h1 className={styles['title']}>{t('lobby.title')}</h1>
      <Trouble onRetry={() => join(false)} />
      {invited ? (
        <Invitation room={invitation.room} />
      ) : (
        <>
          <Field
            label={t('lobby.name.label')}
            hint={t('lobby.name.hint')}
            error={checked ? wrong.name : null}
            name="name"
            value={name}
            onChange={setName}
            autoComplete="nickname"
          />
          <Field
            label={t('lobby.room.label')}
            hint={t('lobby.room.hint')}
            error={checked ? wrong.room : null}
            name="room"
            value={room}
            onChange={setRoom}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        </>
      )}
      <Actions onBare={() => join(true)} />
    </form>
  );
}

/** A call token says which room. */
function Invitation({ room }: { readonly room: string }) {
  return (
    <>
      <p className={styles['room']}>
        <bdi>{room}</bdi>
      </p>
      <p className={styles['note']}>{t('lobby.token.note')}</p>
    </>
  );
}

function Actions({ onBare }: { readonly onBare: () => void }) {
  const client = useClient();
  const joining = useCall((state) => state.phase === 'joining');
  return (
    <div className={styles['actions']}>
      <Button type="submit" look="primary" wide busy={joining} disabled={joining}>
        {t(joining ? 'lobby.joining' : 'lobby.join')}
      </Button>
      {joining ? (
        <Button look="quiet" wide onClick={() => void client.leave()}>
          {t('lobby.cancel')}
        </Button>
      ) : (
        <Button look="quiet" wide onClick={onBare}>
          {t('lobby.join.bare')}
        </Button>
      )}
    </div>
  );
}

/** The most recent reason: why joining failed, or what keeps the devices from opening. */
function Trouble({ onRetry }: { readonly onRetry: () => void }) {
  const client = useClient();
  const failed = useCall((state) => state.failure);
  const devices = usePreview((state) => state.failures);
  const obstacle = client.preview.devices.obstacle();
  const deviceTrouble: Failure | null = obstacle ?? devices[0] ?? null;
  const aboutDevice = failed?.code.startsWith('device_') === true;
  if (failed !== null && !aboutDevice) {
    return (
      <FailurePanel failure={failed}>
        <Button onClick={onRetry}>{t('ended.retry')}</Button>
      </FailurePanel>
    );
  }
  if (deviceTrouble === null) return null;
  return (
    <FailurePanel failure={deviceTrouble}>
      {obstacle === null && (
        <Button onClick={() => void client.preview.start()}>{t('ended.retry')}</Button>
      )}
    </FailurePanel>
  );
}

function focus(field: 'name' | 'room'): void {
  document.querySelector<HTMLInputElement>(`[name=${field}]`)?.focus();
}

function nameError(name: string): string | null {
  const length = tidy(name).length;
  if (length === 0) return t('lobby.name.missing');
  return length > MAX_NAME ? t('lobby.name.long', { max: MAX_NAME }) : null;
}

function roomError(room: string): string | null {
  const length = tidy(room).length;
  if (length === 0) return t('lobby.room.missing');
  return length > MAX_ROOM ? t('lobby.room.long', { max: MAX_ROOM }) : null;
}
