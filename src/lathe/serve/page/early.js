// Runs before the page is drawn, so that it is never drawn in the wrong colours first.
const theme = localStorage.getItem('lathe-theme');
if (theme) document.documentElement.dataset.theme = theme;
