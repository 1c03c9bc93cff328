// Everybody as equal tiles. layout/ decides sizes and places; this keeps the order between renders
// and turns pages.
import { ChevronLeft, ChevronRight } from 'lucide-react';
import { useState } from 'react';
import type { CSSProperties } from 'react';
import type { Person } from '../client/call/people';
import { t } from '../i18n';
import { TILES_PER_PAGE, fitGrid } from '../layout/grid';
import { placeTiles } from '../layout/order';
import { Button } from './Button';
import { useSize } from './hooks';
import { Tile } from './Tile';
import styles from './TileGrid.module.css';

export function TileGrid({ people }: { readonly people: readonly Person[] }) {
  const [ref, size] = useSize<HTMLDivElement>();
  const [wanted, setWanted] = useState(0);
  const ordered = useStableOrder(people);
  const pages = Math.max(1, Math.ceil(ordered.length / TILES_PER_PAGE));
  const page = Math.min(wanted, pages - 1);
  const shown = ordered.slice(page * TILES_PER_PAGE, (page + 1) * TILES_PER_PAGE);
  const { columns, tile } = fitGrid(shown.length, size);
  const style = {
    '--columns': columns,
    '--width': `${tile.width}px`,
    '--height': `${tile.height}px`,
  } as CSSProperties;
  return (
    <div className={styles['space']}>
      <div ref={ref} className={styles['fit']}>
        {size.width > 0 && (
          <ul className={styles['grid']} style={style} aria-label={t('call.grid')}>
            {shown.map((person) => (
              <Tile key={person.id} person={person} />
            ))}
          </ul>
        )}
      </div>
      {pages > 1 && <Pages page={page} pages={pages} onTurn={setWanted} />}
    </div>
  );
}

/** Tiles do not jump about: the last order is an input of the next one. */
export function useStableOrder(people: readonly Person[]): readonly Person[] {
  const [last, setLast] = useState<readonly string[]>([]);
  const placed = people.map((person) => ({ ...person, hasCamera: person.camera !== null }));
  const order = placeTiles(last, placed, TILES_PER_PAGE);
  // placeTiles returns the same array when nothing moved, so this settles at once.
  if (order !== last) setLast(order);
  const byId = new Map(people.map((person) => [person.id, person]));
  return order.flatMap((id) => byId.get(id) ?? []);
}

interface PagesProps {
  readonly page: number;
  readonly pages: number;
  readonly onTurn: (page: number) => void;
}

function Pages({ page, pages, onTurn }: PagesProps) {
  return (
    <div className={styles['pages']}>
      <Button
        look="quiet"
        aria-label={t('call.page.previous')}
        disabled={page === 0}
        onClick={() => onTurn(page - 1)}
      >
        <ChevronLeft size={20} aria-hidden />
      </Button>
      <span>{t('call.page.position', { page: page + 1, pages })}</span>
      <Button
        look="quiet"
        aria-label={t('call.page.next')}
        disabled={page === pages - 1}
        onClick={() => onTurn(page + 1)}
      >
        <ChevronRight size={20} aria-hidden />
      </Button>
    </div>
  );
}
