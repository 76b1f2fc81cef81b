// What plain pages can't do. Everything here works on pages that the server
// made: nothing is shown that a link or form of the page would not show too.
'use strict';

(() => {
  // The one place where text becomes markup. It is a page of this gateway's own,
  // in which the server has escaped what others said, and scripts in a parsed
  // document never run.
  const policy = window.trustedTypes
    ? window.trustedTypes.createPolicy('pages', { createHTML: (page) => page })
    : { createHTML: (page) => page };
  const parse = (page) => new DOMParser().parseFromString(policy.createHTML(page), 'text/html');

  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const byId = (id) => document.getElementById(id);

  // focusOn gives the focus to an element, or to the one that has come in its place.
  function focusOn(element) {
    (element.isConnected ? element : byId(element.id) || byId('main'))?.focus();
  }

  class Refused extends Error {}

  // load reads a page. When the sign-in is over the browser goes to sign in,
  // unless that would lose a token that is shown only once.
  async function load(address, options = {}) {
    const answer = await fetch(address, { ...options, headers: { 'VCS-Gateway-Live': '1' }, credentials: 'same-origin', cache: 'no-store' });
    if (answer.status === 401) {
      if (!document.querySelector('.secret')) location.reload();
      throw new Refused('signed out');
    }
    if (answer.status >= 500) throw new Refused(`status ${answer.status}`);
    return parse(await answer.text());
  }

  // --- times -----------------------------------------------------------------

  function span(seconds) {
    if (seconds < 60) return `${Math.floor(seconds)} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
    const days = Math.floor(seconds / 86400);
    return days === 1 ? '1 day' : `${days} days`;
  }

  function refreshTimes() {
    for (const t of all('time[data-ago]')) {
      const seconds = (Date.now() - Date.parse(t.dateTime)) / 1000;
      const text = seconds < 0 ? `in ${span(-seconds)}` : seconds < 5 ? 'just now' : `${span(seconds)} ago`;
      if (t.textContent !== text) t.textContent = text;
    }
  }
  setInterval(refreshTimes, 5000);

  // --- copying and saving ------------------------------------------------------

  const textOf = (id) => { const e = byId(id); return 'value' in e ? e.value : e.textContent; };

  async function copy(button) {
    const target = byId(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(textOf(target.id));
    } catch { // without the right to, or without a secure context
      if (target.select) target.select(); else getSelection().selectAllChildren(target);
      document.execCommand('copy');
    }
    const label = button.textContent;
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = label; }, 1500);
  }

  // The file is made of the page's own text: a request for it could be logged.
  function download(button) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([`${textOf(button.dataset.from)}\n`], { type: 'application/octet-stream' }));
    link.download = button.dataset.download;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // --- dialogs -------------------------------------------------------------------

  // openDialog shows the form of the page that a link leads to.
  async function openDialog(link) {
    let form;
    try {
      form = (await load(link.href)).querySelector('.confirm');
    } catch { /* the page itself says what is wrong */ }
    if (!form) {
      location.assign(link.href);
      return;
    }
    const dialog = document.createElement('dialog');
    dialog.id = 'dialog';
    const title = form.querySelector('h1');
    if (title) {
      title.id = 'dialog-title';
      dialog.setAttribute('aria-labelledby', title.id);
    }
    dialog.append(form);
    dialog.addEventListener('close', () => { dialog.remove(); focusOn(link); });
    dialog.addEventListener('click', (e) => {
      if (e.target === dialog || e.target.closest('[data-cancel]')) {
        e.preventDefault();
        dialog.close();
      }
    });
    document.body.append(dialog);
    prepare(dialog);
    dialog.showModal();
  }

  // --- parts that keep themselves up to date -----------------------------------------

  // swap puts a part of a newer page in the place of the same part of this one.
  // What has the focus keeps it, and text that is selected stays.
  function swap(id, page) {
    const old = byId(id);
    const fresh = page.getElementById(id);
    if (!old || !fresh || old.innerHTML === fresh.innerHTML) return;
    const selection = getSelection();
    if (!selection.isCollapsed && old.contains(selection.anchorNode)) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.id : '';
    const open = all('details[open][id]', old).map((d) => d.id);
    old.replaceChildren(...fresh.childNodes);
    for (const d of open) byId(d)?.setAttribute('open', '');
    if (focused) byId(focused)?.focus({ preventScroll: true });
    prepare(old);
    refreshTimes();
  }

  const lost = new Set();
  function tell(what, ok) {
    if (ok) lost.delete(what); else lost.add(what);
    const state = byId('live-state');
    const text = lost.size ? "The gateway doesn't answer; trying again…" : '';
    if (state && state.textContent !== text) state.textContent = text;
  }

  // repeat calls work again and again while the page can be seen: one call at a
  // time, and less often while the gateway doesn't answer.
  function repeat(name, seconds, work) {
    let failures = 0;
    const wait = () => setTimeout(run, Math.min(seconds * 2 ** failures, 30) * 1000);
    async function run() {
      if (document.hidden) {
        document.addEventListener('visibilitychange', run, { once: true });
        return;
      }
      try {
        await work();
        failures = 0;
        tell(name, true);
      } catch {
        failures = Math.min(failures + 1, 6);
        tell(name, false);
      }
      wait();
    }
    wait();
  }

  // Parts with one address come from one page.
  function follow() {
    const pages = new Map();
    for (const part of all('[data-live]')) {
      const seconds = Number(part.dataset.every) || 5;
      const ids = part.id ? [part.id] : all('[id]', part).filter((e) => e.parentElement === part).map((e) => e.id);
      const page = pages.get(part.dataset.live) || { seconds, ids: [] };
      page.seconds = Math.min(page.seconds, seconds);
      page.ids.push(...ids);
      pages.set(part.dataset.live, page);
    }
    for (const [address, { seconds, ids }] of pages) {
      repeat(address, seconds, async () => {
        const page = await load(address);
        for (const id of ids) swap(id, page);
      });
    }
  }

  // --- requests ---------------------------------------------------------------------

  const mostRows = 200;

  function followRequests() {
    const list = byId('requests');
    const body = byId('request-rows');
    const toggle = byId('live-toggle');
    const show = byId('show-new');
    if (!list || !toggle || !body) return;
    let paused = false;
    let after = list.dataset.after;
    let waiting = []; // oldest first
    let skipped = false; // more came than are sent at a time

    const busy = () => paused || list.getBoundingClientRect().top < -80 || body.querySelector(':focus-visible') !== null || byId('split').classList.contains('open');
    function insert() {
      for (const row of waiting) {
        if (byId(row.id)) continue;
        row.classList.add('fresh');
        body.prepend(row);
      }
      waiting = [];
      while (body.rows.length > mostRows) body.lastElementChild.remove();
      const none = byId('no-requests');
      if (none && body.rows.length) none.remove();
      show.hidden = true;
    }
    function say() {
      const text = (paused ? 'On hold' : 'Live, newest on top') + (skipped ? '; they come too fast to show all: reload the page, or filter' : '');
      if (byId('live-words').textContent !== text) byId('live-words').textContent = text;
    }
    toggle.hidden = false;
    toggle.addEventListener('click', () => {
      paused = !paused;
      toggle.setAttribute('aria-pressed', String(paused));
      say();
      if (!paused) insert();
    });
    show.addEventListener('click', () => {
      toggle.focus({ preventScroll: true }); // the button goes
      insert();
      window.scrollTo({ top: 0 });
    });
    repeat('requests', 1, async () => {
      const address = new URL(list.dataset.rows, location.href);
      address.searchParams.set('after', after);
      const page = await load(address);
      const part = page.getElementById('requests');
      if (!part) return;
      after = part.dataset.after;
      if (part.dataset.skipped !== undefined) skipped = true;
      say();
      const rows = all('#request-rows > tr', part);
      waiting.push(...rows.reverse().filter((row) => !byId(row.id)));
      waiting = waiting.slice(-mostRows);
      if (!waiting.length) return;
      if (busy()) {
        show.textContent = waiting.length === 1 ? 'Show 1 new request' : `Show ${waiting.length} new requests`;
        show.hidden = false;
      } else {
        insert();
      }
    });
  }

  // openDetail shows a request beside the list.
  async function openDetail(link) {
    let detail;
    try {
      detail = (await load(link.href)).getElementById('request-detail');
    } catch { /* the page itself says what is wrong */ }
    if (!detail) {
      location.assign(link.href);
      return;
    }
    closeDetail();
    const row = link.closest('tr');
    row.setAttribute('aria-current', 'true');
    detail.classList.add('pane');
    const close = detail.querySelector('#close-detail');
    close.hidden = false;
    close.addEventListener('click', () => { closeDetail(); focusOn(link); });
    byId('split').append(detail);
    byId('split').classList.add('open');
    prepare(detail);
    detail.focus({ preventScroll: true });
  }

  function closeDetail() {
    byId('request-detail')?.remove();
    byId('split').classList.remove('open');
    for (const row of all('#request-rows > tr[aria-current]')) row.removeAttribute('aria-current');
  }

  // --- forms answered in place ---------------------------------------------------------

  async function sendInPlace(form) {
    const button = form.querySelector('button');
    const label = button.textContent;
    const into = byId(form.dataset.into);
    button.disabled = true;
    button.textContent = form.dataset.busy || label;
    into.setAttribute('aria-busy', 'true');
    try {
      swap(into.id, await load(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) }));
    } catch (e) {
      if (!(e instanceof Refused)) tell(form.action, false);
    }
    into.removeAttribute('aria-busy');
    button.disabled = false;
    button.textContent = label;
    focusOn(button);
  }

  // --- events, for parts that come and go ------------------------------------------------

  // prepare shows what only works with this script.
  function prepare(root) {
    for (const button of all('[data-copy], [data-download]', root)) button.hidden = false;
  }

  const plain = (e) => e.button === 0 && !e.metaKey && !e.ctrlKey && !e.shiftKey && !e.altKey;

  document.addEventListener('click', (e) => {
    if (!(e.target instanceof Element)) return;
    const button = e.target.closest('button');
    if (button?.dataset.copy) { copy(button); return; }
    if (button?.dataset.download) { download(button); return; }
    if (!plain(e)) return;
    const link = e.target.closest('a');
    if (link?.dataset.dialog !== undefined) {
      e.preventDefault();
      openDialog(link);
      return;
    }
    const row = e.target.closest('#request-rows > tr');
    if (!row || !byId('split')) return;
    if (link && !link.closest('.target')) return;
    if (!link && !getSelection().isCollapsed) return;
    e.preventDefault();
    openDetail(row.querySelector('.target a'));
  });

  document.addEventListener('submit', (e) => {
    if (e.target.dataset.into) {
      e.preventDefault();
      sendInPlace(e.target);
    }
  });

  // Where the details lie over the list they give way to what has the focus.
  const beside = matchMedia('(min-width: 1100px)');
  document.addEventListener('focusin', (e) => {
    const detail = document.querySelector('#split > .pane');
    if (detail && !beside.matches && !detail.contains(e.target)) closeDetail();
  });

  document.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape' || document.querySelector('dialog[open]')) return;
    const link = document.querySelector('#request-rows > tr[aria-current] .target a');
    if (link) {
      closeDetail();
      link.focus();
    }
  });

  // The address shouldn't say again what was done when the page is reloaded.
  const here = new URL(location.href);
  if (here.searchParams.has('done')) {
    here.searchParams.delete('done');
    history.replaceState(null, '', here);
  }

  prepare(document);
  refreshTimes();
  follow();
  followRequests();
})();
