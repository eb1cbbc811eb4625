#!/bin/sh
# Creates the namespace, and the search attributes that our workflows start with. It may run again at any time.
# TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE say where.
set -eu
temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" > /dev/null 2>&1 ||
  temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 90d
# The server itself learns of a new namespace some seconds later.
tries=60
until there=$(temporal operator search-attribute list 2> /dev/null); do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { temporal operator search-attribute list; exit 1; }
  sleep 1
done
add() {
  case "$there" in
    *"$1"*) ;;
    *) temporal operator search-attribute create --name "$1" --type "$2" ;;
  esac
}
add ReferralStatus Keyword
add ReferralProgram Keyword
add ReferralRoute KeywordList
add ReferralFlags KeywordList
add ReferralDeadline Datetime
add RewardMinor Int
