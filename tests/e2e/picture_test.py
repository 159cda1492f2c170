"""examples/picture.py draws what a terminal shows; docs/session.svg is a drawing of that kind. A real run of it takes minutes."""

import importlib.util
import unittest
import xml.etree.ElementTree

import support

spec = importlib.util.spec_from_file_location("picture", support.SOURCE / "examples" / "picture.py")
picture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(picture)


class Picture(unittest.TestCase):
    def test_a_line_that_overwrote_itself_is_there_once(self):
        lines = list(picture.screen("\r[1/2] a\x1b[K\r\x1b[Kdone <1>\n  \x1b[32myes\x1b[0m sm_89"))
        self.assertEqual(lines, [[("", "done <1>")], [("", "  "), ("g", "yes"), ("", " sm_89")]])
        drawing = xml.etree.ElementTree.fromstring(picture.drawn(lines))
        self.assertEqual(["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")], ["done <1>", "  yes sm_89"])

    def test_the_picture_of_the_readme_shows_the_commands_of_today(self):
        drawing = xml.etree.ElementTree.parse(support.SOURCE / "docs" / "session.svg")
        lines = ["".join(text.itertext()) for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
        self.assertEqual([line[2:] for line in lines if line.startswith("$ ")], picture.COMMANDS)
        self.assertFalse([line for line in lines if "/work" in line or "/root" in line or "/home" in line])


if __name__ == "__main__":
    support.main()
