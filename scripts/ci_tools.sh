#!/usr/bin/env bash
# What a step of Cloud Build needs beside the Google Cloud SDK: make, and Python's venv. Each step starts from the bare image.
set -euo pipefail

packages=()
command -v make >/dev/null || packages+=(make)
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || packages+=(python3-venv)

if [ "${#packages[@]}" -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
fi
