import { expect, it } from 'vitest';
import { PreferenceStore } from './preferences';

function storage(content: string | null) {
  let kept = content;
  return {
    getItem: () => kept,
    setItem: (_key: string, value: string) => {
      kept = value;
    },
  };
}

it('remembers between visits', () => {
  const place = storage(null);
  new PreferenceStore(place).set({ name: 'Ada', camera: false, videoinput: 'cam-2' });
  expect(new PreferenceStore(place).get()).toMatchObject({
    name: 'Ada',
    camera: false,
    microphone: true,
    videoinput: 'cam-2',
  });
});

it.each([null, '', 'not json', '[]', '"text"', '{"name":7,"camera":"yes"}'])(
  'takes broken content for nothing chosen: %s',
  (content) => {
    expect(new PreferenceStore(storage(content)).get()).toMatchObject({ name: '', camera: true });
  },
);

it('lasts as long as the page where storage is forbidden', () => {
  const forbidden = {
    getItem: () => null,
    setItem: () => {
      throw new Error('forbidden');
    },
  };
  for (const place of [forbidden, null]) {
    const store = new PreferenceStore(place);
    store.set({ name: 'Ada' });
    expect(store.get().name).toBe('Ada');
  }
});
