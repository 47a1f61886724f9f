#!/usr/bin/env bash
# Copy files to a bucket under names that nothing has yet; a name that is taken is left as it is, because it is the hash of
# its content.
#
#   cd dist && ../scripts/put_once.sh gs://acme-tron-source functions/*.zip
set -euo pipefail

bucket=$1
shift
for file in "$@"; do
  if said=$(gcloud storage cp --if-generation-match=0 "$file" "$bucket/$file" 2>&1); then
    echo "$bucket/$file is new"
  elif [[ $said == *412* || $said == *[Pp]recondition* ]]; then
    echo "$bucket/$file is there already"
  else
    echo "$said" >&2
    exit 1
  fi
done
