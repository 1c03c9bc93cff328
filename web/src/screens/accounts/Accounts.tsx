// The pages of accounts, one for each address that the server hands out or sends people to.
import { useEffect, useState } from 'react';
import type { ComponentType } from 'react';
import { Desk } from '../../client/accounts/desk';
import type { PageName } from '../../client/accounts/pages';
import { useClient } from '../../components/hooks';
import { ConfirmMail } from './ConfirmMail';
import { DeskContext } from './desk';
import { Guest } from './Guest';
import { Provider } from './Provider';
import { Reset } from './Reset';
import { Settings } from './Settings';
import { SignIn } from './SignIn';
import { SignUp } from './SignUp';

const SCREENS: Readonly<Record<Exclude<PageName, 'call'>, ComponentType>> = {
  'sign-in': SignIn,
  provider: Provider,
  setup: SignUp,
  join: SignUp,
  reset: Reset,
  guest: Guest,
  'confirm-mail': ConfirmMail,
  settings: Settings,
};

export function Accounts() {
  const client = useClient();
  const [desk] = useState(() => new Desk(window, client.api, client.who));
  useEffect(() => void client.who.ask(), [client]);
  // Another link pasted into this tab: the browser changes the fragment and loads nothing.
  useEffect(() => {
    const again = () => location.reload();
    window.addEventListener('hashchange', again);
    return () => window.removeEventListener('hashchange', again);
  }, []);
  if (desk.name === 'call') return null;
  const Screen = SCREENS[desk.name];
  return (
    <DeskContext value={desk}>
      <Screen />
    </DeskContext>
  );
}
