// The passkeys of the account: a card of the settings page.
import { useState } from 'react';
import type { FormEvent } from 'react';
import { tidy } from '../../client/address';
import type { Passkey } from '../../client/accounts/answers';
import { deviceName } from '../../client/accounts/device-name';
import { Button } from '../../components/Button';
import { Field } from '../../components/Field';
import { day, isolate, t } from '../../i18n';
import { useAccount, useDesk } from './desk';
import { Actions, Row, Rows, Section, Small } from './Section';

export function Passkeys({ passkeys }: { readonly passkeys: readonly Passkey[] }) {
  const desk = useDesk();
  const busy = useAccount((state) => state.busy === 'passkeys');
  const [renaming, setRenaming] = useState<string | null>(null);
  return (
    <Section part="passkeys" title={t('settings.passkeys.title')}>
      {passkeys.length === 0 && <p>{t('settings.passkeys.none')}</p>}
      {!desk.passkeysWork && <Small>{t('settings.passkeys.unsupported')}</Small>}
      {passkeys.length > 0 && (
        <Rows>
          {passkeys.map((one) => (
            <OnePasskey
              key={one.id}
              passkey={one}
              renaming={renaming === one.id}
              onRename={(yes) => setRenaming(yes ? one.id : null)}
            />
          ))}
        </Rows>
      )}
      {desk.passkeysWork && (
        <Actions>
          <Button
            busy={busy}
            disabled={busy}
            onClick={() => void desk.account.addPasskey(deviceName(navigator.userAgent))}
          >
            {t('settings.passkeys.add')}
          </Button>
        </Actions>
      )}
    </Section>
  );
}

interface OneProps {
  readonly passkey: Passkey;
  readonly renaming: boolean;
  readonly onRename: (yes: boolean) => void;
}

function OnePasskey({ passkey, renaming, onRename }: OneProps) {
  const { account } = useDesk();
  const busy = useAccount((state) => state.busy === 'passkeys');
  const shown = passkey.name || t('settings.passkeys.unnamed');
  const name = isolate(shown);
  if (renaming) return <NameForm passkey={passkey} onClose={() => onRename(false)} />;
  return (
    <Row name={shown} facts={factsOf(passkey)}>
      <Button
        aria-label={t('settings.passkeys.rename.one', { name })}
        onClick={() => onRename(true)}
      >
        {t('settings.passkeys.rename')}
      </Button>
      <Button
        disabled={busy}
        aria-label={t('settings.passkeys.remove.one', { name })}
        onClick={() => void account.removePasskey(passkey.id)}
      >
        {t('settings.remove')}
      </Button>
    </Row>
  );
}

function factsOf({ synced, created_at, used_at }: Passkey): string {
  const facts = { synced: synced ? 'yes' : 'no', created: day(created_at) };
  if (used_at === null) return t('settings.passkeys.facts', facts);
  return t('settings.passkeys.facts.used', { ...facts, used: day(used_at) });
}

interface NameFormProps {
  readonly passkey: Passkey;
  readonly onClose: () => void;
}

function NameForm({ passkey, onClose }: NameFormProps) {
  const { account } = useDesk();
  const [name, setName] = useState(passkey.name);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (await account.renamePasskey(passkey.id, tidy(name))) onClose();
  };
  return (
    <li>
      <form onSubmit={(event) => void submit(event)} noValidate>
        <Field
          label={t('settings.passkeys.name')}
          name="passkey"
          value={name}
          onChange={setName}
          error={null}
          maxLength={64}
          autoComplete="off"
        />
        <Actions>
          <Button type="submit">{t('settings.save')}</Button>
          <Button onClick={onClose}>{t('settings.cancel')}</Button>
        </Actions>
      </form>
    </li>
  );
}
