"""What tests of pages do in a browser: give files, read pixels, and serve a folder."""

import base64
import contextlib
import functools
import io
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from browser import Browser
from PIL import Image

FILES = """
const files = arguments[0].map(({name, type, data}) =>
  new File([Uint8Array.from(atob(data), letter => letter.charCodeAt(0))], name, {type}));
const transfer = new DataTransfer();
files.forEach(file => transfer.items.add(file));
"""
DROP = (
    f"{FILES} document.dispatchEvent(new DragEvent('drop', {{dataTransfer: transfer, bubbles: true}})); arguments[1]()"
)
DROP_MANY = f"""{FILES}
const many = new DataTransfer();
for (let i = 0; i < arguments[1]; i++) many.items.add(new File([files[i % files.length]], `${{i}}.png`));
document.dispatchEvent(new DragEvent('drop', {{dataTransfer: many, bubbles: true}}));
arguments[2]();
"""
PASTE = f"{FILES} document.dispatchEvent(new ClipboardEvent('paste', {{clipboardData: transfer}})); arguments[1]()"
PICK = f"""{FILES} const input = document.querySelector('#files');
input.files = transfer.files; input.dispatchEvent(new Event('change')); arguments[1]()"""
PIXELS = """
const [selector, done] = arguments;
const shown = document.querySelector(selector);
const canvas = document.createElement('canvas');
canvas.width = shown.naturalWidth ?? shown.width;
canvas.height = shown.naturalHeight ?? shown.height;
const context = canvas.getContext('2d');
context.drawImage(shown, 0, 0);
done([canvas.width, canvas.height, ...context.getImageData(0, 0, canvas.width, canvas.height).data]);
"""
SET = """
const [selector, value, done] = arguments;
const control = document.querySelector(selector);
control.value = value;
control.dispatchEvent(new Event(control.tagName === 'SELECT' ? 'change' : 'input', {bubbles: true}));
done();
"""
WATCH_URLS = """
const {createObjectURL: make, revokeObjectURL: free} = URL;
window.urls = new Set();
URL.createObjectURL = blob => {
  const url = make.call(URL, blob);
  window.urls.add(url);
  return url;
};
URL.revokeObjectURL = url => {
  window.urls.delete(url);
  free.call(URL, url);
};
arguments[0]();
"""
SAVED = """
const [selector, done] = arguments;
const make = URL.createObjectURL;
URL.createObjectURL = blob => {
  URL.createObjectURL = make;
  const reader = new FileReader();
  reader.onload = () => done(reader.result.split(',')[1]);
  reader.readAsDataURL(blob);
  return make.call(URL, blob);
};
document.querySelector(selector).click();
"""


def png(image: np.ndarray) -> bytes:
    """Return an image as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def give(window: Browser, files: dict[str, bytes], how: str = DROP, kind: str = "image/png") -> None:
    """Drop, paste or pick files on the page."""
    window.run(how, _sent(files, kind))


def give_many(window: Browser, images: list[bytes], count: int) -> None:
    """Drop PNG files on the page, so many at once, made of fewer."""
    window.run(DROP_MANY, _sent({f"{place}.png": data for place, data in enumerate(images)}, "image/png"), count)


def _sent(files: dict[str, bytes], kind: str) -> list[dict[str, str]]:
    return [{"name": name, "type": kind, "data": base64.b64encode(data).decode()} for name, data in files.items()]


def pixels(window: Browser, selector: str) -> np.ndarray:
    """Return the RGB pixels of an image or a canvas of the page."""
    width, height, *values = window.run(PIXELS, selector)
    return np.array(values, np.uint8).reshape(height, width, 4)[:, :, :3]


def saved(window: Browser, selector: str) -> bytes:
    """Click, and return the file that the page offers then."""
    return base64.b64decode(window.run(SAVED, selector))


def value(window: Browser, expression: str) -> Any:
    """Return the value of an expression in the page."""
    return window.run(f"arguments[0]({expression})")


@contextlib.contextmanager
def static_host(folder: Path, kind: type[SimpleHTTPRequestHandler] | None = None) -> Iterator[str]:
    """Serve a folder as any static host does, or as a handler does, and yield its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    handler = functools.partial(kind or Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
