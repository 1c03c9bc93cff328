// What went wrong and what to do, in words; the code and the details are for whoever is asked for help.
import { TriangleAlert } from 'lucide-react';
import type { ReactNode } from 'react';
import type { Failure } from '../client/errors';
import { t } from '../i18n';
import { CopyButton } from './CopyButton';
import styles from './FailurePanel.module.css';
import { failureBody, failureDetails, failureTitle } from './failure-text';

interface FailurePanelProps {
  readonly failure: Failure;
  readonly children?: ReactNode;
}

export function FailurePanel({ failure, children }: FailurePanelProps) {
  return (
    <div className={styles['panel']} role="alert" data-code={failure.code}>
      <TriangleAlert className={styles['icon']} size={20} aria-hidden />
      <p className={styles['title']}>{failureTitle(failure)}</p>
      <p className={styles['body']}>{failureBody(failure)}</p>
      {children !== undefined && <div className={styles['actions']}>{children}</div>}
      <FailureFoot failure={failure} />
    </div>
  );
}

export function FailureFoot({ failure }: { readonly failure: Failure }) {
  return (
    <p className={styles['foot']}>
      <span>{t('error.code', { code: failure.code })}</span>
      <CopyButton
        className={styles['copy']}
        text={() => failureDetails(failure)}
        label={t('error.copy')}
        done={t('error.copied')}
      />
    </p>
  );
}
