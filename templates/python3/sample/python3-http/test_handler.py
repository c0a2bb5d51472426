"""Run by hand: python3 -m unittest"""

import unittest
from types import SimpleNamespace

from handler import handle


class HandlerTest(unittest.TestCase):
    def test_answers_what_was_sent(self):
        event = SimpleNamespace(body=b"hello", headers={}, method="POST", query={}, path="/")
        answer = handle(event, SimpleNamespace(hostname="test"))
        self.assertEqual(answer["statusCode"], 200)
        self.assertIn("hello", answer["body"])


if __name__ == "__main__":
    unittest.main()
