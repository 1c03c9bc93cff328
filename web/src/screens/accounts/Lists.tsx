// Where one is signed in, the devices that were seen, and the programs that were let in: three cards of the
// settings page.
import type { Consent, Device, Session } from '../../client/accounts/answers';
import { Button } from '../../components/Button';
import { day, isolate, moment, t } from '../../i18n';
import { useAccount, useDesk } from './desk';
import { Actions, Row, Rows, Section, Small } from './Section';

export function SessionList() {
  const { account } = useDesk();
  const sessions = useAccount((state) => state.sessions);
  const busy = useAccount((state) => state.busy === 'sessions');
  return (
    <Section part="sessions" title={t('settings.sessions.title')}>
      <Rows>
        {sessions.map((one) => (
          <OneSession key={one.id} session={one} />
        ))}
      </Rows>
      {sessions.length > 1 && (
        <Actions>
          <Button disabled={busy} onClick={() => void account.endOthers()}>
            {t('settings.sessions.others')}
          </Button>
        </Actions>
      )}
    </Section>
  );
}

function OneSession({ session }: { readonly session: Session }) {
  const { account } = useDesk();
  const busy = useAccount((state) => state.busy === 'sessions');
  const device = useAccount((state) => state.devices.find((one) => one.id === session.device));
  const name = session.label || device?.name || t('settings.sessions.unnamed');
  const facts = t('settings.sessions.facts', {
    created: moment(session.created_at),
    used: moment(session.last_used_at),
  });
  return (
    <Row
      name={name}
      mark={session.current ? t('settings.sessions.current') : undefined}
      facts={session.mfa ? `${facts} · ${t('settings.sessions.mfa')}` : facts}
    >
      {!session.current && (
        <Button
          disabled={busy}
          aria-label={t('settings.sessions.end.one', { name: isolate(name) })}
          onClick={() => void account.endSession(session.id)}
        >
          {t('settings.sessions.end')}
        </Button>
      )}
    </Row>
  );
}

export function DeviceList() {
  const devices = useAccount((state) => state.devices);
  return (
    <Section part="devices" title={t('settings.devices.title')}>
      <Small>{t('settings.devices.body')}</Small>
      <Rows>
        {devices.map((one) => (
          <OneDevice key={one.id} device={one} />
        ))}
      </Rows>
    </Section>
  );
}

function OneDevice({ device }: { readonly device: Device }) {
  const { account } = useDesk();
  const busy = useAccount((state) => state.busy === 'devices');
  const name = device.name || t('settings.sessions.unnamed');
  return (
    <Row
      name={name}
      mark={device.current ? t('settings.sessions.current') : undefined}
      facts={t('settings.devices.facts', { seen: moment(device.seen_at), network: device.network })}
    >
      {!device.current && (
        <Button
          disabled={busy}
          aria-label={t('settings.devices.forget.one', { name: isolate(name) })}
          onClick={() => void account.forgetDevice(device.id)}
        >
          {t('settings.devices.forget')}
        </Button>
      )}
    </Row>
  );
}

/** Nothing to show for most people, so no card then. */
export function ConsentList() {
  const consents = useAccount((state) => state.consents);
  const said = useAccount((state) => state.said?.part === 'consents');
  if (consents.length === 0 && !said) return null;
  return (
    <Section part="consents" title={t('settings.consents.title')}>
      <Rows>
        {consents.map((one) => (
          <OneConsent key={one.client} consent={one} />
        ))}
      </Rows>
    </Section>
  );
}

function OneConsent({ consent }: { readonly consent: Consent }) {
  const { account } = useDesk();
  const busy = useAccount((state) => state.busy === 'consents');
  return (
    <Row
      name={consent.name}
      facts={t('settings.consents.facts', { created: day(consent.granted_at) })}
    >
      <Button
        disabled={busy}
        aria-label={t('settings.consents.withdraw.one', { name: isolate(consent.name) })}
        onClick={() => void account.withdraw(consent.client)}
      >
        {t('settings.consents.withdraw')}
      </Button>
    </Row>
  );
}
