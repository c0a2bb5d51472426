"""Run by hand: python3 -m unittest"""

import unittest

from handler import handle


class HandlerTest(unittest.TestCase):
    def test_answers_what_was_sent(self):
        self.assertIn("hello", handle("hello"))


if __name__ == "__main__":
    unittest.main()
