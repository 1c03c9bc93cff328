// A form whose fields say what is wrong once it was sent, and that is sent when nothing is.
import { useState } from 'react';
import type { FormEvent } from 'react';

/** `wrong`: what is wrong with each field now. `shown` is that, from the first try on. */
export function useForm<Wrong extends Readonly<Record<string, string | null>>>(
  wrong: Wrong,
  send: () => void,
) {
  const [tried, setTried] = useState(false);
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    setTried(true);
    if (Object.values(wrong).every((error) => error === null)) send();
  };
  const shown = (field: keyof Wrong): string | null => (tried ? (wrong[field] ?? null) : null);
  return { shown, onSubmit };
}
