// Runs before the page is drawn, so that it is never drawn in the wrong colours first: those that people chose, or the system's.
const root = document.documentElement, dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => {
  root.dataset.theme = localStorage.getItem('lathe-theme') ?? (dark.matches ? 'dark' : 'light');
};
dark.addEventListener('change', follow);
follow();
