// The link of a letter that confirms a mail address; it counts where its owner is signed in.
import { useState } from 'react';
import { Button } from '../../components/Button';
import { useWho } from '../../components/hooks';
import { Page, Soft, Title } from '../../components/Page';
import { t } from '../../i18n';
import { useDesk, useWork } from './desk';
import { Trouble } from './Steps';

export function ConfirmMail() {
  const [done, setDone] = useState(false);
  return <Page>{done ? <Done /> : <Confirm onDone={() => setDone(true)} />}</Page>;
}

function Confirm({ onDone }: { readonly onDone: () => void }) {
  const desk = useDesk();
  const { busy, failure, run } = useWork();
  const status = useWho((state) => state.status);
  const toSignIn = () => {
    desk.keepMailLink();
    desk.go('/sign-in?next=/confirm-mail');
  };
  const confirm = async () => {
    if (await run(() => desk.confirmMail())) onDone();
  };
  return (
    <section>
      <Title>{t('mail.title')}</Title>
      <Soft>{t(status === 'nobody' ? 'mail.sign-in' : 'mail.body')}</Soft>
      <Trouble failure={failure} />
      {status === 'nobody' ? (
        <Button look="primary" wide onClick={toSignIn}>
          {t('sign-in.title')}
        </Button>
      ) : (
        <Button look="primary" wide busy={busy} disabled={busy} onClick={() => void confirm()}>
          {t('mail.submit')}
        </Button>
      )}
    </section>
  );
}

function Done() {
  const desk = useDesk();
  return (
    <section>
      <Title>{t('mail.done.title')}</Title>
      <Soft>{t('mail.done.body')}</Soft>
      <Button wide onClick={() => desk.go('/settings')}>
        {t('settings.page.title')}
      </Button>
    </section>
  );
}
