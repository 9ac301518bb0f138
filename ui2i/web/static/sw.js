/** @file Keeps the whole site, so that it works offline. The site's builder writes VERSION and FILES above. */

const OWN = `ui2i-${registration.scope}-`; // a host may have several sites, whose caches are all in one place
const CACHE = `${OWN}${VERSION}`;

self.addEventListener("install", event => {
  const kept = caches.open(CACHE).then(cache => Promise.all(FILES.map(file => keep(cache, file))));
  event.waitUntil(kept.then(() => self.skipWaiting()));
});

/** Keep a file as the host has it now: what the browser remembers may be of an earlier version. */
async function keep(cache, file) {
  const answer = await fetch(file, {cache: "no-cache"});
  if (!answer.ok) throw new Error(`${file} could not be fetched (${answer.status})`);
  // Some hosts lead explore.html to another address. Browsers take no such answer for a page, so its content is kept.
  await cache.put(file, new Response(answer.body, {headers: answer.headers}));
}

self.addEventListener("activate", event => {
  const old = caches.keys().then(names =>
    Promise.all(names.filter(name => name.startsWith(OWN) && name !== CACHE).map(name => caches.delete(name))));
  event.waitUntil(old.then(() => self.clients.claim()));
});

self.addEventListener("fetch", event => {
  if (event.request.method !== "GET") return;
  const kept = caches.open(CACHE).then(cache => cache.match(event.request, {ignoreSearch: true}));
  event.respondWith(kept.then(found => found ?? fetch(event.request)));
});
