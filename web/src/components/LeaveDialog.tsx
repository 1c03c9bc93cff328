// Asks once after the leave key, which is pressed by mistake more easily than the button.
import { t } from '../i18n';
import { Button } from './Button';
import { Dialog } from './Dialog';

interface LeaveDialogProps {
  readonly onLeave: () => void;
  readonly onClose: () => void;
}

export function LeaveDialog({ onLeave, onClose }: LeaveDialogProps) {
  return (
    <Dialog
      title={t('leave.title')}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t('leave.cancel')}</Button>
          <Button look="danger" onClick={onLeave}>
            {t('leave.confirm')}
          </Button>
        </>
      }
    >
      <p>{t('leave.body')}</p>
    </Dialog>
  );
}
