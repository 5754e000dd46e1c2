// @ts-check
// The last module of every page: those before it listen by now. Whoever acts for a person can wait for this sign.
document.documentElement.dataset.listening = "";
