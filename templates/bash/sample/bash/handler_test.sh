#!/bin/bash
# Runs when the image is built, and by hand: bash handler_test.sh
set -eu
cd "$(dirname "$0")"

answer=$(echo hello | Http_Method=POST Http_Path=/ bash handler.sh)
case $answer in
*hello*) echo "ok: the answer has what was sent" ;;
*)
  echo "failed: the answer does not have what was sent: $answer"
  exit 1
  ;;
esac
