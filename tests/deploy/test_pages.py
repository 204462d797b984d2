"""Pages that people follow when something fails: each example is typed, and prints what the page says."""

import re
import unittest

from common import DEPLOY, GATE, ROOT, run, tool
from pages import differs, follow, steps

TROUBLE = DEPLOY / "trouble"


class Trouble(unittest.TestCase):
    def check(self, name):
        self.assertEqual("\n".join(follow(TROUBLE / name)), "")

    def test_signed_another_digest(self):
        self.check("signed-another-digest.md")

    def test_index_and_platforms(self):
        self.check("index-and-platforms.md")

    def test_rekor_limits(self):
        self.check("rekor-limits.md")

    def test_clock_skew(self):
        # Its second example lies between the program's release and the day on which the demo's images were signed.
        tool("faketime")
        self.check("clock-skew.md")

    def test_each_page_says_what_a_user_sees_and_the_cure(self):
        pages = sorted(path for path in TROUBLE.glob("*.md") if path.name != "README.md")
        index = (TROUBLE / "README.md").read_text(encoding="utf-8")
        for page in pages:
            text = page.read_text(encoding="utf-8")
            self.assertIn(f"]({page.name})", index)
            self.assertIn("## The cure\n", text)
            self.assertIn("hat a user sees", text)
            self.assertTrue(any(expected for _, expected in steps(text)), f"{page.name}: no example")

    def test_codes_and_metrics_that_pages_name_exist(self):
        codes = set(re.findall(r"^\| `([a-z-]+)`", (ROOT / "policy" / "CODES.md").read_text(encoding="utf-8"), re.MULTILINE))
        for code in re.findall(r"`([a-z]+(?:-[a-z]+)+)`", (TROUBLE / "README.md").read_text(encoding="utf-8")):
            self.assertIn(code, codes)
            self.assertIn("cure", run(GATE, "verify", "--explain", code))

    def test_a_page_that_says_something_else_is_found(self):
        self.assertIsNone(differs("a\n…\nb … d\n", "a\nx\ny\nb c d\n"))
        self.assertIsNone(differs("a\n…\nb\n", "a\nb\n"))
        for printed in ("a\nb c d\n", "a\nx\nb c e\n", "a\nx\nb c d\nz\n"):
            self.assertIsNotNone(differs("a\n…\nx\nb … d\n", printed))


if __name__ == "__main__":
    unittest.main()
