// The platform's modal dialog: it keeps the focus inside, Escape closes it, and focus goes back.
import { X } from 'lucide-react';
import { useEffect, useId, useRef } from 'react';
import type { ReactNode } from 'react';
import { t } from '../i18n';
import styles from './Dialog.module.css';

interface DialogProps {
  readonly title: string;
  readonly onClose?: () => void;
  readonly children: ReactNode;
  readonly actions?: ReactNode;
  /** Neither Escape nor a cross closes it: only what is inside does. */
  readonly stays?: boolean;
}

export function Dialog({ title, onClose, children, actions, stays = false }: DialogProps) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    dialog?.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog
      ref={ref}
      className={styles['dialog']}
      aria-labelledby={id}
      onClose={onClose}
      onCancel={(event) => stays && event.preventDefault()}
    >
      <div className={styles['inner']}>
        <div className={styles['head']}>
          <h2 id={id} className={styles['title']}>
            {title}
          </h2>
          {actions === undefined && !stays && (
            <button
              type="button"
              className={styles['close']}
              aria-label={t('settings.close')}
              onClick={() => ref.current?.close()}
            >
              <X size={22} aria-hidden />
            </button>
          )}
        </div>
        {children}
        {actions !== undefined && <div className={styles['actions']}>{actions}</div>}
      </div>
    </dialog>
  );
}
