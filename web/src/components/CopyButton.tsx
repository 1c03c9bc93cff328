import { useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import { t } from '../i18n';

interface CopyButtonProps {
  readonly text: () => string;
  readonly label: string;
  readonly done: string;
  readonly className?: string | undefined;
  readonly icon?: ReactNode;
}

const SHOWN_MS = 3_000;

export function CopyButton({ text, label, done, className, icon }: CopyButtonProps) {
  const [result, setResult] = useState<'copied' | 'failed' | null>(null);
  useEffect(() => {
    if (result === null) return undefined;
    const timer = setTimeout(() => setResult(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [result]);
  const copy = () => {
    // Absent on plain http addresses other than this machine's own.
    const written =
      navigator.clipboard?.writeText(text()) ?? Promise.reject(new Error('no clipboard'));
    written.then(
      () => setResult('copied'),
      () => setResult('failed'),
    );
  };
  const said = result === 'failed' ? t('call.copy.failed') : done;
  return (
    <button type="button" className={className} onClick={copy}>
      {icon}
      <span aria-live="polite">{result === null ? label : said}</span>
    </button>
  );
}
