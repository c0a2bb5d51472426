import unittest

from handler import handle


class HandlerTest(unittest.TestCase):
    def test_answers_with_what_it_was_sent(self):
        self.assertEqual(handle("hello"), "hello")


if __name__ == "__main__":
    unittest.main()
