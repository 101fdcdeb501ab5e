# Runs fetch.py with the variables of the role: TOOLS (a Python), FETCHER (this directory), SOURCE,
# ENDPOINT, PATTERNS (options), PARALLEL, CARD, FLAGS, and TOKEN where there is a secret one.
[ -x "$TOOLS" ] || {
  echo "error: there is no environment of the tools: $TOOLS does not exist"
  echo "  next: ./inv deploy makes everything in order, ./inv python the environment alone"
  exit 1
}
eval "set -- $PATTERNS $FLAGS"
"$TOOLS" -B "$FETCHER/fetch.py" --source "$SOURCE" --endpoint "$ENDPOINT" --card "$CARD" \
  --parallel "$PARALLEL" ${TOKEN:+--token-file "$TOKEN"} "$@"
