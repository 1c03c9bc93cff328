// What is left when a component throws or its code does not arrive: a sentence and a way on, instead
// of an empty page. React has no hook for this, hence the class.
import { Component } from 'react';
import type { ReactNode } from 'react';
import { asFailure } from '../client/errors';
import type { Failure } from '../client/errors';
import { Button } from '../components/Button';
import { FailurePanel } from '../components/FailurePanel';
import { t } from '../i18n';
import styles from './Boundary.module.css';

interface BoundaryState {
  readonly failure: Failure | null;
}

export class Boundary extends Component<{ readonly children: ReactNode }, BoundaryState> {
  override state: BoundaryState = { failure: null };

  static getDerivedStateFromError(error: unknown): BoundaryState {
    return { failure: asFailure(error) };
  }

  override render(): ReactNode {
    const { failure } = this.state;
    if (failure === null) return this.props.children;
    return (
      <main className={styles['page']}>
        <FailurePanel failure={failure}>
          <Button look="primary" onClick={() => location.reload()}>
            {t('ended.reload')}
          </Button>
        </FailurePanel>
      </main>
    );
  }
}
