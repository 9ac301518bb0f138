/** @file Files of the site, for the page and for its worker. */

/**
 * @param {string} path In the site.
 * @returns {Promise<Response>}
 */
export async function download(path) {
  const answer = await fetch(new URL(`../${path}`, import.meta.url)).catch(() => undefined);
  if (answer?.ok) return answer;
  throw new Error(`${path} could not be fetched (${answer?.status ?? "no answer"}); reload the page to try again`);
}
