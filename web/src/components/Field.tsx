import { CircleAlert } from 'lucide-react';
import { useId } from 'react';
import type { InputHTMLAttributes, ReactNode } from 'react';
import styles from './Field.module.css';

export interface FieldProps extends Omit<
  InputHTMLAttributes<HTMLInputElement>,
  'onChange' | 'value'
> {
  readonly label: string;
  readonly hint?: string;
  readonly error: string | null;
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** A button inside the field, at its end. */
  readonly beside?: ReactNode;
}

export function Field({ label, hint, error, value, onChange, beside, ...rest }: FieldProps) {
  const id = useId();
  const note = `${id}-note`;
  const noted = error !== null || hint !== undefined;
  return (
    <div className={styles['field']}>
      <label className={styles['label']} htmlFor={id}>
        {label}
      </label>
      <div className={styles['box']}>
        <input
          {...rest}
          id={id}
          className={styles['input']}
          data-beside={beside !== undefined}
          value={value}
          onChange={(event) => onChange(event.target.value)}
          aria-invalid={error !== null}
          aria-describedby={noted ? note : undefined}
        />
        {beside !== undefined && <span className={styles['beside']}>{beside}</span>}
      </div>
      {error === null && hint !== undefined && (
        <p id={note} className={styles['hint']}>
          {hint}
        </p>
      )}
      {error !== null && (
        <p id={note} className={styles['error']}>
          <CircleAlert size={16} aria-hidden />
          {error}
        </p>
      )}
    </div>
  );
}
