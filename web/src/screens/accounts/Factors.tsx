// The authenticator app with its recovery codes, and outside providers: cards of the settings page.
import type { OwnAccount } from '../../client/accounts/answers';
import { Button } from '../../components/Button';
import { TotpPanel } from '../../components/TotpPanel';
import { isolate, t } from '../../i18n';
import { useAccount, useDesk } from './desk';
import { Actions, Row, Rows, Section, Small } from './Section';

interface AccountProps {
  readonly account: OwnAccount;
}

export function Totp({ account }: AccountProps) {
  const { account: model } = useDesk();
  const offer = useAccount((state) => state.offer);
  const busy = useAccount((state) => state.busy === 'totp');
  const second = account.totp || account.passkeys.length > 0;
  return (
    <Section part="totp" title={t('settings.totp.title')}>
      <p>{t(account.totp ? 'settings.totp.on' : 'settings.totp.off')}</p>
      {second && <Small>{t('settings.codes.left', { count: account.recovery_codes_left })}</Small>}
      {offer !== null ? (
        <TotpPanel offer={offer} busy={busy} onCode={(code) => void model.confirmTotp(code)}>
          <Button onClick={() => model.dropOffer()}>{t('settings.cancel')}</Button>
        </TotpPanel>
      ) : (
        <Actions>
          {!account.totp && (
            <Button disabled={busy} onClick={() => void model.offerTotp()}>
              {t('settings.totp.set')}
            </Button>
          )}
          {second && (
            <Button disabled={busy} onClick={() => void model.renewCodes()}>
              {t('settings.codes.renew')}
            </Button>
          )}
          {account.totp && (
            <Button disabled={busy} onClick={() => void model.removeTotp()}>
              {t('settings.totp.remove')}
            </Button>
          )}
        </Actions>
      )}
    </Section>
  );
}

export function Providers({ account }: AccountProps) {
  const desk = useDesk();
  const busy = useAccount((state) => state.busy === 'providers');
  const choices = useAccount((state) => state.page?.providers ?? NONE);
  if (choices.length === 0) return null;
  return (
    <Section part="providers" title={t('settings.providers.title')}>
      <Rows>
        {choices.map(({ id, name }) => {
          const connected = account.providers.includes(id);
          const who = isolate(name);
          return (
            <Row
              key={id}
              name={name}
              facts={connected ? t('settings.providers.on', { name: who }) : ''}
            >
              {connected ? (
                <Button disabled={busy} onClick={() => void desk.account.unlinkProvider(id)}>
                  {t('settings.providers.disconnect', { name: who })}
                </Button>
              ) : (
                <Button disabled={busy} onClick={() => void desk.linkProvider(id)}>
                  {t('settings.providers.connect', { name: who })}
                </Button>
              )}
            </Row>
          );
        })}
      </Rows>
    </Section>
  );
}

const NONE: readonly { id: string; name: string }[] = [];
