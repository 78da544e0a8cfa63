// Shows a text that comes in bursts evenly: each picture of the screen takes a share of what is still to be shown, so that
// the end is never further behind than a fraction of a second.

const kShare = 0.12, kLeast = 2;  // of what is behind; characters
const calm = matchMedia('(prefers-reduced-motion: reduce)');

// The next picture. A page that nobody sees has none, but its answers go on.
const nextPicture = () => new Promise((resolve) => {
  const late = setTimeout(resolve, 250);
  requestAnimationFrame(() => {
    clearTimeout(late);
    resolve();
  });
});

// draw(count) is called at most once per picture, with so many characters of text(), when that or version() has changed.
// Ends when isOver() and all is shown; `signal` ends it at once.
export async function reveal({text, version, isOver, signal, draw}) {
  let shown = text().length, drawn = version();
  for (;;) {
    await nextPicture();
    if (signal.aborted) return;
    const behind = text().length - shown, all = calm.matches || document.hidden;
    shown += all ? behind : Math.min(behind, Math.max(kLeast, Math.ceil(behind * kShare)));
    if (behind > 0 || version() !== drawn) draw(shown);
    drawn = version();
    if (isOver() && shown === text().length) return;
  }
}
