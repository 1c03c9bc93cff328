// Asks once more who somebody is, before something sensitive is done.
import { KeyRound } from 'lucide-react';
import { useState } from 'react';
import { Button } from '../../components/Button';
import type { CodeKind } from '../../components/CodeField';
import { Dialog } from '../../components/Dialog';
import { useForm } from '../../components/form';
import { Or } from '../../components/Page';
import { PasswordField } from '../../components/PasswordField';
import { t } from '../../i18n';
import { useAccount, useDesk, useProof } from './desk';
import styles from './ProofDialog.module.css';
import { CodeForm, Trouble } from './Steps';

export function ProofDialog() {
  const { proof } = useDesk();
  const step = useProof((state) => state.step);
  const failure = useProof((state) => state.failure);
  if (step === 'none') return null;
  return (
    <Dialog title={t('proof.title')} onClose={() => proof.giveUp()}>
      <div className={styles['proof']}>
        <p className={styles['soft']}>{t('proof.body')}</p>
        <Trouble failure={failure} />
        {step === 'first' ? <First /> : <Second />}
        <Button look="quiet" wide onClick={() => proof.giveUp()}>
          {t('proof.cancel')}
        </Button>
      </div>
    </Dialog>
  );
}

function First() {
  const { passkeysWork } = useDesk();
  const password = useAccount((state) => state.account?.password === true);
  const passkeys = useAccount((state) => (state.account?.passkeys.length ?? 0) > 0);
  const passkey = passkeys && passkeysWork;
  if (!password && !passkey) return <p>{t('proof.impossible')}</p>;
  return (
    <>
      {passkey && <PasskeyButton />}
      {passkey && password && <Or />}
      {password && <PasswordForm />}
    </>
  );
}

function Second() {
  const { proof, passkeysWork } = useDesk();
  const busy = useProof((state) => state.busy);
  const factors = useProof((state) => state.factors);
  const codes = factors.filter((factor): factor is CodeKind => factor !== 'passkey');
  const passkey = factors.includes('passkey') && passkeysWork;
  return (
    <>
      {passkey && <PasskeyButton />}
      {passkey && codes.length > 0 && <Or />}
      {codes.length > 0 && (
        <CodeForm kinds={codes} busy={busy} onCode={(code) => void proof.code(code)} />
      )}
    </>
  );
}

function PasskeyButton() {
  const { proof } = useDesk();
  const busy = useProof((state) => state.busy);
  return (
    <Button wide disabled={busy} onClick={() => void proof.passkey()}>
      <KeyRound size={18} aria-hidden />
      {t('proof.passkey')}
    </Button>
  );
}

function PasswordForm() {
  const { proof } = useDesk();
  const busy = useProof((state) => state.busy);
  const [password, setPassword] = useState('');
  const missing = password === '' ? t('sign-in.password.missing') : null;
  const { shown, onSubmit } = useForm({ password: missing }, () => void proof.password(password));
  return (
    <form onSubmit={onSubmit} noValidate>
      <PasswordField
        label={t('sign-in.password.label')}
        name="proof"
        value={password}
        onChange={setPassword}
        error={shown('password')}
        autoComplete="current-password"
      />
      <Button type="submit" look="primary" wide busy={busy} disabled={busy}>
        {t('proof.submit')}
      </Button>
    </form>
  );
}
