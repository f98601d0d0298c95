#!/usr/bin/env bash
# The product documentation's way without a CLI: zip, POST, PUT, poll (PROTOCOL 2.10).
#   BASE_URL, API_KEY, WORKSPACE, NAME; run in the project's folder.
set -euo pipefail

ZIP=$(mktemp -d)/source.zip
HEADERS=$(mktemp)
trap 'rm -rf "$(dirname "$ZIP")" "$HEADERS"' EXIT

zip -q -r "$ZIP" .

HTTP_CODE=$(curl -sS -o /dev/stderr -D "$HEADERS" -w '%{http_code}' \
    -X POST "$BASE_URL/sandboxes?upload=true" \
    -H "Authorization: Bearer $API_KEY" \
    -H "X-Blaxel-Workspace: $WORKSPACE" \
    -H "Content-Type: application/json" \
    -d "{
      \"apiVersion\": \"blaxel.ai/v1alpha1\",
      \"kind\": \"Sandbox\",
      \"metadata\": {\"name\": \"$NAME\"},
      \"spec\": {\"runtime\": {\"memory\": 2048}, \"region\": \"us-pdx-1\"}
    }")
[[ $HTTP_CODE == 200 || $HTTP_CODE == 201 ]] || { echo "create: HTTP $HTTP_CODE" >&2; exit 1; }

UPLOAD_URL=$(grep -i '^x-blaxel-upload-url:' "$HEADERS" | sed 's/^[^:]*: *//' | tr -d '\r')
[[ -n $UPLOAD_URL ]] || { echo "no upload URL" >&2; exit 1; }

UPLOAD_CODE=$(curl -sS -o /dev/stderr -w '%{http_code}' -X PUT "$UPLOAD_URL" \
    -H "Content-Type: application/zip" --data-binary "@$ZIP")
[[ $UPLOAD_CODE == 200 ]] || { echo "upload: HTTP $UPLOAD_CODE" >&2; exit 1; }

START=$SECONDS
while ((SECONDS - START < 900)); do
    SANDBOX=$(curl -sS "$BASE_URL/sandboxes/$NAME" \
        -H "Authorization: Bearer $API_KEY" -H "X-Blaxel-Workspace: $WORKSPACE")
    STATUS=$(jq -r .status <<<"$SANDBOX")
    echo "status $STATUS"
    case "$STATUS" in
        DEPLOYED)
            echo "image $(jq -r .spec.runtime.image <<<"$SANDBOX")"
            exit 0
            ;;
        FAILED | DEACTIVATED | DEACTIVATING | DELETING) exit 1 ;;
    esac
    sleep 3
done
echo "timed out" >&2
exit 1
