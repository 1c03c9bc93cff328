import { LoaderCircle } from 'lucide-react';
import type { ButtonHTMLAttributes, ReactNode } from 'react';
import styles from './Button.module.css';

interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly look?: 'primary' | 'plain' | 'quiet' | 'danger';
  readonly wide?: boolean;
  readonly busy?: boolean;
  readonly children: ReactNode;
}

export function Button({
  look = 'plain',
  wide,
  busy,
  children,
  type = 'button',
  ...rest
}: ButtonProps) {
  const names = [styles['button'], styles[look], wide === true ? styles['wide'] : ''];
  return (
    <button {...rest} type={type} className={names.join(' ')} aria-busy={busy}>
      {busy === true && <LoaderCircle className={styles['spinner']} size={18} aria-hidden />}
      {children}
    </button>
  );
}
