/** @file Keeps the whole site, so that it works offline. The site's builder writes VERSION and FILES above. */

const CACHE = `ui2i-${VERSION}`;

self.addEventListener("install", event => {
  event.waitUntil(caches.open(CACHE).then(cache => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", event => {
  const old = caches.keys().then(names =>
    Promise.all(names.filter(name => name.startsWith("ui2i-") && name !== CACHE).map(name => caches.delete(name))));
  event.waitUntil(old.then(() => self.clients.claim()));
});

self.addEventListener("fetch", event => {
  if (event.request.method !== "GET") return;
  const kept = caches.open(CACHE).then(cache => cache.match(event.request, {ignoreSearch: true}));
  event.respondWith(kept.then(found => found ?? fetch(event.request)));
});
