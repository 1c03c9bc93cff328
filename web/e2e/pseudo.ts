// A language that nobody speaks: longer, accented, and written from right to left. It runs in the page and
// changes what stands there, so that the page itself needs to know nothing of it.

/** To be run before the page's own scripts. */
export function speakPseudo(): void {
  const accents: Record<string, string> = {
    a: 'á',
    e: 'ê',
    i: 'ï',
    o: 'ö',
    u: 'ü',
    n: 'ñ',
    c: 'ç',
  };
  const done = new WeakMap<Text, string>();
  const change = (text: Text): void => {
    const { data } = text;
    if (data.trim() === '' || done.get(text) === data) return;
    // Code is no language, and a label of its own must go on with the words that it names.
    if (text.parentElement?.closest('script, style, code, [aria-label]') !== null) return;
    const accented = data.replaceAll(/[aeiounc]/g, (letter) => accents[letter] ?? letter);
    // English is short: a third more is what German and Finnish want.
    const words = Math.ceil(data.trim().length / 3);
    const longer = `\u202b${accented}${' ñö'.repeat(Math.ceil(words / 3))}\u202c`;
    done.set(text, longer);
    text.data = longer;
  };
  const all = (node: Node): void => {
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
    if (node instanceof Text) change(node);
    while (walker.nextNode() !== null) change(walker.currentNode as Text);
  };
  document.addEventListener('DOMContentLoaded', () => {
    document.documentElement.dir = 'rtl';
    all(document.body);
    const observer = new MutationObserver((changes) => {
      for (const { target, addedNodes } of changes) {
        if (target instanceof Text) change(target);
        for (const node of addedNodes) all(node);
      }
    });
    observer.observe(document.body, { childList: true, characterData: true, subtree: true });
  });
}
