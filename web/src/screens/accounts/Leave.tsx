// Deleting one's account for good: the name is typed, and the proof asked for, before anything happens.
import { useState } from 'react';
import type { FormEvent } from 'react';
import type { OwnAccount } from '../../client/accounts/answers';
import { Button } from '../../components/Button';
import { Dialog } from '../../components/Dialog';
import { Field } from '../../components/Field';
import { isolate, t } from '../../i18n';
import { useAccount, useDesk } from './desk';
import { Actions, Section, Small } from './Section';

export function Leave({ account }: { readonly account: OwnAccount }) {
  const desk = useDesk();
  const busy = useAccount((state) => state.busy === 'leave');
  const [open, setOpen] = useState(false);
  const [gone, setGone] = useState(false);
  const [login, setLogin] = useState('');
  const [checked, setChecked] = useState(false);
  const error = login.trim() === account.login ? null : t('settings.leave.wrong');
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (error === null && (await desk.account.leave())) setGone(true);
  };
  if (gone) {
    return (
      <Dialog
        title={t('settings.leave.done.title')}
        onClose={() => desk.go('/')}
        actions={<Button onClick={() => desk.go('/')}>{t('page.home')}</Button>}
      >
        <p>{t('settings.leave.done.body')}</p>
      </Dialog>
    );
  }
  return (
    <Section part="leave" title={t('settings.leave.title')}>
      <Small>{t('settings.leave.body')}</Small>
      {open ? (
        <form onSubmit={(event) => void submit(event)} noValidate>
          <Field
            label={t('settings.leave.label')}
            hint={t('settings.leave.hint', { login: isolate(account.login) })}
            name="leave"
            value={login}
            onChange={setLogin}
            error={checked ? error : null}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
          <Actions>
            <Button type="submit" look="danger" busy={busy} disabled={busy}>
              {t('settings.leave.submit')}
            </Button>
            <Button onClick={() => setOpen(false)}>{t('settings.cancel')}</Button>
          </Actions>
        </form>
      ) : (
        <Actions>
          <Button onClick={() => setOpen(true)}>{t('settings.leave.title')}</Button>
        </Actions>
      )}
    </Section>
  );
}
