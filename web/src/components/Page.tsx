// The frame of every page but the call: the way home, who is signed in, and one thing in the middle.
import type { ReactNode } from 'react';
import { t } from '../i18n';
import { useFocusOnMount } from './hooks';
import { Logo } from './Logo';
import styles from './Page.module.css';

interface PageProps {
  readonly aside?: ReactNode;
  /** For lists, not for a single form. */
  readonly wide?: boolean;
  readonly children: ReactNode;
}

export function Page({ aside, wide = false, children }: PageProps) {
  return (
    <div className={styles['page']}>
      <header className={styles['header']}>
        <a className={styles['home']} href="/" title={t('page.home')}>
          <Logo />
        </a>
        {aside}
      </header>
      <main className={styles['main']} data-wide={wide}>
        {children}
      </main>
    </div>
  );
}

interface TitleProps {
  readonly children: ReactNode;
}

/** Takes the focus when its step appears, so that readers start there. */
export function Title({ children }: TitleProps) {
  const ref = useFocusOnMount<HTMLHeadingElement>();
  return (
    <h1 ref={ref} tabIndex={-1} className={styles['title']}>
      {children}
    </h1>
  );
}

export function Soft({ children }: TitleProps) {
  return <p className={styles['soft']}>{children}</p>;
}

export function Or() {
  return (
    <p className={styles['or']}>
      <span>{t('page.or')}</span>
    </p>
  );
}
