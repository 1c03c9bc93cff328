// What follows the first proof, wherever it was given: a second factor, one to be made, codes to be kept.
import { KeyRound, Smartphone } from 'lucide-react';
import { useEffect, useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import type { Step } from '../../client/accounts/sign-in';
import type { Failure } from '../../client/errors';
import { Button } from '../../components/Button';
import { CodeField, codeError } from '../../components/CodeField';
import type { CodeKind } from '../../components/CodeField';
import { CodesPanel } from '../../components/CodesPanel';
import { FailurePanel } from '../../components/FailurePanel';
import { Or, Soft, Title } from '../../components/Page';
import { TotpPanel } from '../../components/TotpPanel';
import { t } from '../../i18n';
import { useDesk, useSignIn } from './desk';

interface StepsProps {
  /** The first step; the others are the same everywhere. */
  readonly children: ReactNode;
  /** Signed in. `room`: the only one that a guest may enter. */
  readonly onDone: (room: string | null) => void;
}

export function Steps({ children, onDone }: StepsProps) {
  const step = useSignIn((state) => state.step);
  useEffect(() => {
    if (step.kind === 'done') onDone(step.room);
    // Once, when the step is reached: the caller's function is a new one at each rendering.
    // oxlint-disable-next-line react-hooks/exhaustive-deps
  }, [step]);
  switch (step.kind) {
    case 'start':
      return children;
    case 'second':
      return <Second step={step} />;
    case 'enrol':
      return <Enrol step={step} />;
    case 'codes':
      return <NewCodes codes={step.codes} />;
    default:
      return <p role="status">{t('page.loading')}</p>;
  }
}

export function Trouble({ failure }: { readonly failure: Failure | null }) {
  return failure === null ? null : <FailurePanel failure={failure} />;
}

function Second({ step }: { readonly step: Extract<Step, { kind: 'second' }> }) {
  const { signIn, passkeysWork } = useDesk();
  const busy = useSignIn((state) => state.busy);
  const failure = useSignIn((state) => state.failure);
  const passkey = step.factors.includes('passkey') && passkeysWork;
  const codes = step.factors.filter((factor): factor is CodeKind => factor !== 'passkey');
  return (
    <section>
      <Title>{t('sign-in.second.title')}</Title>
      <Soft>{t('sign-in.second.body')}</Soft>
      <Trouble failure={failure} />
      {passkey && (
        <Button
          look={codes.length > 0 ? 'plain' : 'primary'}
          wide
          disabled={busy}
          onClick={() => void signIn.passkey()}
        >
          <KeyRound size={18} aria-hidden />
          {t('sign-in.second.passkey')}
        </Button>
      )}
      {passkey && codes.length > 0 && <Or />}
      {codes.length > 0 && (
        <CodeForm kinds={codes} busy={busy} onCode={(code) => void signIn.code(code)} />
      )}
      <Button look="quiet" wide onClick={() => signIn.restart()}>
        {t('page.start-again')}
      </Button>
    </section>
  );
}

interface CodeFormProps {
  readonly kinds: readonly CodeKind[];
  readonly busy: boolean;
  readonly onCode: (code: string) => void;
}

export function CodeForm({ kinds, busy, onCode }: CodeFormProps) {
  const [kind, setKind] = useState<CodeKind>(kinds.includes('totp') ? 'totp' : 'recovery_code');
  const [code, setCode] = useState('');
  const [checked, setChecked] = useState(false);
  const error = codeError(kind, code);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setChecked(true);
    if (error === null) onCode(code);
  };
  const swap = () => {
    setKind(kind === 'totp' ? 'recovery_code' : 'totp');
    setCode('');
    setChecked(false);
  };
  return (
    <form onSubmit={submit} noValidate>
      <CodeField kind={kind} value={code} onChange={setCode} error={checked ? error : null} />
      <Button type="submit" look="primary" wide busy={busy} disabled={busy}>
        {t('sign-in.code.submit')}
      </Button>
      {kinds.length > 1 && (
        <Button look="quiet" wide onClick={swap}>
          {t(kind === 'totp' ? 'sign-in.recovery.instead' : 'sign-in.code.instead')}
        </Button>
      )}
    </form>
  );
}

function Enrol({ step }: { readonly step: Extract<Step, { kind: 'enrol' }> }) {
  const { signIn, passkeysWork } = useDesk();
  const busy = useSignIn((state) => state.busy);
  const failure = useSignIn((state) => state.failure);
  return (
    <section>
      <Title>{t('sign-in.enrol.title')}</Title>
      <Soft>{t('sign-in.enrol.body')}</Soft>
      <Trouble failure={failure} />
      {step.offer === null ? (
        <>
          <Button look="primary" wide disabled={busy} onClick={() => void signIn.offerTotp()}>
            <Smartphone size={18} aria-hidden />
            {t('sign-in.enrol.totp')}
          </Button>
          {passkeysWork && (
            <Button wide disabled={busy} onClick={() => void signIn.enrolPasskey()}>
              <KeyRound size={18} aria-hidden />
              {t('sign-in.enrol.passkey')}
            </Button>
          )}
        </>
      ) : (
        <TotpPanel
          offer={step.offer}
          busy={busy}
          onCode={(code) => void signIn.confirmTotp(code)}
        />
      )}
      <Button look="quiet" wide onClick={() => signIn.restart()}>
        {t('page.start-again')}
      </Button>
    </section>
  );
}

function NewCodes({ codes }: { readonly codes: readonly string[] }) {
  const { signIn } = useDesk();
  return (
    <section>
      <Title>{t('codes.title')}</Title>
      <CodesPanel codes={codes} onKept={() => signIn.codesKept()} />
    </section>
  );
}
