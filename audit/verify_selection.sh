#!/bin/sh
# Checks a selection of events against a signed checkpoint: sh verify.sh [the log's key that you trust]
# Needs sha256sum, openssl 1.1.1 or newer, xxd and jq. It prints what fails and ends with 1.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
wrong() { echo "WRONG: $1"; failed=1; }
sum() { sha256sum | cut -c1-64; }

for file in events.jsonl proofs.json checkpoint key; do
  [ -f "$file" ] || { echo "WRONG: $file is missing: there is no proof in this file"; exit 1; }
done

# 1. The key, and its signature under the checkpoint (C2SP signed note, Ed25519)
key=$(head -n 1 key)
if [ $# -gt 0 ]; then
  [ "$1" = "$key" ] || wrong "the key in this file is not the one that you trust"
else
  echo "Compare this key with one that you have from somewhere else:"
  echo "  $key"
fi
name=${key%%+*}
printf '%s' "$key" | cut -d+ -f3- | base64 -d | tail -c 32 > "$work/raw"
{ printf '302a300506032b6570032100' | xxd -r -p; cat "$work/raw"; } > "$work/key.der"
head -n 3 checkpoint > "$work/text"
grep -F -- "— $name " checkpoint | head -n 1 | cut -d' ' -f3 | base64 -d | tail -c 64 > "$work/signature"
if openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin -in "$work/text" \
  -sigfile "$work/signature" > "$work/said" 2>&1; then
  echo "The checkpoint of $(sed -n 2p checkpoint) leaves is signed by $name."
else
  wrong "the checkpoint is not signed by $name"
fi
size=$(sed -n 2p checkpoint)
root=$(sed -n 3p checkpoint | base64 -d | xxd -p -c 64)

# 2. Each event: content to commitment, commitment to leaf, leaf to root
count=0 proved=0 open=0
while IFS= read -r line; do
  count=$((count + 1))
  printf '%s' "$line" > "$work/line"
  event=$(jq -r .event "$work/line")
  leaf=$(jq -r .leaf "$work/line")
  commitment=$(jq -r .commitment "$work/line")
  made=$({ jq -r .salt "$work/line" | xxd -r -p; jq -j .content "$work/line"; } | sum)
  [ "$made" = "$commitment" ] || wrong "event $event: the content is not what its commitment was made of"
  said=$(jq -r '(.content | fromjson) as $c | [.kind == $c.kind, .actor_kind == $c.actor.kind,
    .actor_id == $c.actor.id, .object_type == $c.object.type] | all' "$work/line")
  [ "$said" = true ] || wrong "event $event: the line says something else than its content"
  if [ "$leaf" = null ] || [ "$leaf" -ge "$size" ]; then
    open=$((open + 1))
    continue
  fi
  jq -j '"{\"commitment\":\"\(.commitment)\",\"event\":\(.event),\"kind\":\"\(.kind)\",\"time\":\"\(.recorded_at)\"," +
    "\"transaction\":\"\(.transaction)\",\"v\":1}"' "$work/line" > "$work/entry"
  found=$({ printf '\000'; cat "$work/entry"; } | sum)
  jq -r --argjson event "$event" '.proofs[] | select(.event == $event) | .path[] | "\(.side) \(.hash)"' proofs.json > "$work/path"
  # The sides follow from the leaf's number and the size alone (RFC 9162, 2.1.3.2); a file that says others is refused.
  low=0 high=$size sides=""
  while [ $((high - low)) -gt 1 ]; do
    half=1
    while [ $((half * 2)) -lt $((high - low)) ]; do half=$((half * 2)); done
    if [ "$leaf" -lt $((low + half)) ]; then sides="right $sides"; high=$((low + half)); else sides="left $sides"; low=$((low + half)); fi
  done
  [ "$(cut -d' ' -f1 "$work/path" | tr '\n' ' ')" = "$sides" ] || wrong "event $event: the proof is not of leaf $leaf"
  while read -r side other; do
    if [ "$side" = left ]; then both="$other$found"; else both="$found$other"; fi
    found=$(printf '01%s' "$both" | xxd -r -p | sum)
  done < "$work/path"
  if [ "$found" = "$root" ]; then
    proved=$((proved + 1))
  else
    wrong "event $event: leaf $leaf is not in the log of this checkpoint"
  fi
done < events.jsonl

echo "$count events, $proved proved to be in the log, $open without a proof because they were not sealed yet."
[ "$failed" = 0 ] && echo "Everything that can be checked holds." || echo "Something does not hold."
exit "$failed"
