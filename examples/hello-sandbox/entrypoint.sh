#!/bin/sh
# Starts sandbox-api, waits until it answers, has it run the app, and stays with it.

/usr/local/bin/sandbox-api &

tries=0
until nc -z 127.0.0.1 8080; do
    tries=$((tries + 1))
    if [ "$tries" -gt 30 ]; then
        echo "sandbox-api does not listen on port 8080" >&2
        exit 1
    fi
    sleep 1
done

wget -q -O - http://127.0.0.1:8080/process \
    --header "Content-Type: application/json" \
    --post-data '{
        "name": "web",
        "command": "httpd -f -p 3000 -h /app/public",
        "workingDir": "/app",
        "waitForCompletion": false
    }'

wait
