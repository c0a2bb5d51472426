#!/bin/bash
# The body is stdin, what is printed is the answer, and $Http_Method, $Http_Path, $Http_Query and the like are the call.
set -eu

echo "Body: $(cat)"
