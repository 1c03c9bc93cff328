import { CircleAlert } from 'lucide-react';
import { useId } from 'react';
import type { InputHTMLAttributes } from 'react';
import styles from './Field.module.css';

interface FieldProps extends Omit<InputHTMLAttributes<HTMLInputElement>, 'onChange' | 'value'> {
  readonly label: string;
  readonly hint: string;
  readonly error: string | null;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export function Field({ label, hint, error, value, onChange, ...rest }: FieldProps) {
  const id = useId();
  const note = `${id}-note`;
  return (
    <div className={styles['field']}>
      <label className={styles['label']} htmlFor={id}>
        {label}
      </label>
      <input
        {...rest}
        id={id}
        className={styles['input']}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        aria-invalid={error !== null}
        aria-describedby={note}
      />
      {error === null ? (
        <p id={note} className={styles['hint']}>
          {hint}
        </p>
      ) : (
        <p id={note} className={styles['error']}>
          <CircleAlert size={16} aria-hidden />
          {error}
        </p>
      )}
    </div>
  );
}
