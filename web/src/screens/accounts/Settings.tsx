// One's own account: profile, ways in, where one is signed in, and the way out for good.
import { useEffect } from 'react';
import { isSignedOut } from '../../client/accounts/who';
import { Button } from '../../components/Button';
import { CodesPanel } from '../../components/CodesPanel';
import { Dialog } from '../../components/Dialog';
import { FailurePanel } from '../../components/FailurePanel';
import { Page, Soft, Title } from '../../components/Page';
import { WhoBar } from '../../components/WhoBar';
import { t } from '../../i18n';
import { useAccount, useDesk } from './desk';
import { Leave } from './Leave';
import { ConsentList, DeviceList, SessionList } from './Lists';
import { Passkeys } from './Passkeys';
import { Mail, Password, Profile } from './Profile';
import { ProofDialog } from './ProofDialog';
import { Providers, Totp } from './Factors';

export function Settings() {
  const desk = useDesk();
  const account = useAccount((state) => state.account);
  const failure = useAccount((state) => state.failure);
  useEffect(() => void desk.account.load(), [desk]);
  const broken = failure !== null && (failure.part === 'all' || isSignedOut(failure.failure));
  return (
    <Page wide aside={<WhoBar next="/settings" />}>
      <div>
        <Title>{t('settings.page.title')}</Title>
        {broken && <Broken />}
        {account === null && !broken && <p role="status">{t('page.loading')}</p>}
        {account?.kind === 'guest' && <Soft>{t('settings.page.guest')}</Soft>}
        {account !== null && account.kind !== 'guest' && (
          <>
            <Profile account={account} />
            <Password account={account} />
            <Totp account={account} />
            <Passkeys passkeys={account.passkeys} />
            <Providers account={account} />
            <SessionList />
            <DeviceList />
            <ConsentList />
            <Mail account={account} />
            <Leave account={account} />
          </>
        )}
      </div>
      <NewCodes />
      <ProofDialog />
    </Page>
  );
}

function Broken() {
  const desk = useDesk();
  const failure = useAccount((state) => state.failure?.failure ?? null);
  if (failure === null) return null;
  return (
    <FailurePanel failure={failure}>
      {isSignedOut(failure) ? (
        <Button onClick={() => desk.go('/sign-in?next=/settings')}>
          {t('settings.page.sign-in')}
        </Button>
      ) : (
        <Button onClick={() => void desk.account.load()}>{t('ended.retry')}</Button>
      )}
    </FailurePanel>
  );
}

/** Codes are lost with the dialog, so only the button closes it. */
function NewCodes() {
  const desk = useDesk();
  const codes = useAccount((state) => state.codes);
  if (codes.length === 0) return null;
  return (
    <Dialog title={t('codes.title')} stays>
      <CodesPanel codes={codes} onKept={() => desk.account.codesKept()} />
    </Dialog>
  );
}
