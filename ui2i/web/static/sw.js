/** @file Keeps the whole site, so that it works offline. The site's builder writes VERSION and FILES above. */

const OWN = `ui2i-${registration.scope}-`; // a host may have several sites, whose caches are all in one place
const CACHE = `${OWN}${VERSION}`;

self.addEventListener("install", event => {
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

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
