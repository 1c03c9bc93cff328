// One card of the settings page: what it is about, what it can do, and what just happened to it.
import { Check } from 'lucide-react';
import { useId } from 'react';
import type { ReactNode } from 'react';
import type { Part } from '../../client/accounts/account';
import { isSignedOut } from '../../client/accounts/who';
import { FailurePanel } from '../../components/FailurePanel';
import { t } from '../../i18n';
import { useAccount } from './desk';
import styles from './Section.module.css';

interface SectionProps {
  readonly part: Part;
  readonly title: string;
  readonly children: ReactNode;
}

export function Section({ part, title, children }: SectionProps) {
  const id = useId();
  const said = useAccount((state) => (state.said?.part === part ? state.said.text : null));
  const failure = useAccount((state) =>
    state.failure?.part === part && !isSignedOut(state.failure.failure)
      ? state.failure.failure
      : null,
  );
  return (
    <section className={styles['section']} aria-labelledby={id} data-part={part}>
      <h2 id={id} className={styles['heading']}>
        {title}
      </h2>
      {failure !== null && <FailurePanel failure={failure} />}
      {children}
      <p className={styles['said']} role="status">
        {said !== null && (
          <>
            <Check size={18} aria-hidden />
            {t(said)}
          </>
        )}
      </p>
    </section>
  );
}

interface RowProps {
  readonly name: string;
  readonly mark?: string | undefined;
  readonly facts: string;
  readonly children?: ReactNode;
}

/** One thing of a list: a passkey, a session, a device. */
export function Row({ name, mark, facts, children }: RowProps) {
  return (
    <li className={styles['row']}>
      <div className={styles['words']}>
        <p className={styles['name']}>
          <bdi>{name}</bdi>
          {mark !== undefined && <span className={styles['mark']}>{mark}</span>}
        </p>
        <p className={styles['facts']}>{facts}</p>
      </div>
      {children !== undefined && <div className={styles['actions']}>{children}</div>}
    </li>
  );
}

export function Rows({ children }: { readonly children: ReactNode }) {
  return <ul className={styles['rows']}>{children}</ul>;
}

export function Actions({ children }: { readonly children: ReactNode }) {
  return <div className={styles['actions']}>{children}</div>;
}

export function Small({ children }: { readonly children: ReactNode }) {
  return <p className={styles['small']}>{children}</p>;
}
