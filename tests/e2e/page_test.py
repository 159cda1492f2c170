"""`inspect --html`: the page says what the JSON document says, takes no text of a wheel for markup and asks nothing of a network. `Browser`
shows it in Chromium.
"""

import html.parser
import shutil
import struct
import subprocess
import unittest
import zlib

import support
from inspect_test import World, command, inspect, make_wheel

HOSTILE = "<script>alert('x')</script>&\"><img src=\"http://127.0.0.1/a.png\">\u202e"


class Page(html.parser.HTMLParser):
    """Its texts by tag, the cells of its tables by row, and everything that would be loaded."""

    VOID = {"meta", "br", "link", "img"}

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.rows, self.loaded, self.titles = [], {}, [], [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        names = dict(attributes)
        self.loaded += [names[name] for name in ("src", "href", "srcset", "action", "data", "style") if name in names]
        self.titles += [names["title"]] if "title" in names else []
        self.loaded += [tag] if tag in ("script", "link", "img", "iframe", "object") else []
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        inside = next((tag for tag in reversed(self.open) if tag != "small"), "")
        self.texts.setdefault(inside, []).append(data)
        if inside in ("td", "th"):
            self.rows[-1][-1] += (" " if "small" in self.open else "") + data


class PageWorld(World):
    def page(self, wheel):
        command("inspect", wheel, "--html", self.folder / "page.html")
        return (self.folder / "page.html").read_text()

    def wheel(self, module="thing/_k.so", python=">=3.9"):
        return make_wheel(self.folder, "thing-1.0+cu130-py3-none-linux_x86_64.whl",
                          {module: self.library("none").read_bytes(), "thing/__init__.py": b""}, f"Requires-Python: {python}\n")


class Pages(PageWorld):
    def test_the_map_has_what_the_document_has(self):
        wheel = self.wheel()
        text = self.page(wheel)
        page, document = Page(text), inspect(wheel)
        words = [row["runs"] for row in document["runs_on"]]
        self.assertEqual(page.rows[0][:2], ["module", "7.5 RTX 20"])
        self.assertEqual(page.rows[1], ["all together", *words])
        self.assertEqual(page.rows[2], ["thing/_k.so", *words])
        self.assertEqual(page.rows[3:], [[row["name"], row["runs"], row["reason"]] for row in document["runs_on"]])
        self.assertEqual(page.texts["h1"], [wheel.name])
        self.assertIn("sm_90a", page.texts["dt"])
        self.assertIn("5 kernels in 2 images", " ".join(page.texts["dd"]).replace("\n", " "))
        self.assertEqual(page.loaded, [])
        self.assertNotIn("url(", text)
        self.assertNotIn("http", text.replace("http-equiv", ""))

    def test_texts_of_a_wheel_are_no_markup(self):
        page = Page(self.page(self.wheel(f"thing/{HOSTILE.replace('/', '')}.so", HOSTILE)))
        self.assertEqual(page.loaded, [])
        self.assertIn(HOSTILE.replace("\u202e", "?"), "".join(page.texts["dd"]))
        self.assertNotIn("script", page.texts)

    def test_a_wheel_without_gpu_code(self):
        wheel = make_wheel(self.folder, "plain-1.0-py3-none-any.whl", {"plain/__init__.py": b""})
        self.assertIn("There is no GPU code in it.", Page(self.page(wheel)).texts["p"])


def pixels(png):
    """The colours in an image of Chromium's: 8 bits a channel, no interlace."""
    data, at, packed = png.read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, _, _, colour = struct.unpack_from(">IIBB", body)
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    size = {2: 3, 6: 4}[colour]
    rows, before, found = zlib.decompress(packed), bytearray(width * size), set()
    for start in range(0, len(rows), width * size + 1):
        kind, line = rows[start], bytearray(rows[start + 1:start + 1 + width * size])
        for i, value in enumerate(line):
            left, up, corner = line[i - size] if i >= size else 0, before[i], before[i - size] if i >= size else 0
            nearest = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
            line[i] = (value + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
        found.update(bytes(line[i:i + 3]) for i in range(0, len(line), size))
        before = line
    return found


@unittest.skipUnless(shutil.which("chromium"), "there is no chromium")
class Browser(PageWorld):
    def chromium(self, *arguments):
        return subprocess.run(["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *arguments,
                               (self.folder / "page.html").as_uri()], capture_output=True, text=True, timeout=support.LIMIT).stdout

    def test_what_is_seen(self):
        self.page(self.wheel())
        self.assertIn("<h1>thing-1.0+cu130-py3-none-linux_x86_64.whl</h1>", self.chromium("--dump-dom"))
        for scheme, (page, good, bad) in {"1": ("ffffff", "b7ebc6", "ffc9c4"), "0": ("0d1117", "1b5a2e", "7d2520")}.items():
            # On a phone the map is moved sideways; what it shows first is red.
            for size, shown in {"1200,900": (page, good, bad), "390,800": (page, bad)}.items():
                image = self.folder / "page.png"
                self.chromium(f"--window-size={size}", f"--blink-settings=preferredColorScheme={scheme}", f"--screenshot={image}")
                seen = pixels(image)
                self.assertEqual([colour for colour in shown if bytes.fromhex(colour) not in seen], [], (scheme, size))


if __name__ == "__main__":
    support.main()
