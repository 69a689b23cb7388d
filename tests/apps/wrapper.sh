#!/bin/sh
# Starts its program without `exec`, as many a start script does, and has something to do afterwards.
echo "starting"
python3 ./server.py "$@"
status=$?
echo "ended with $status"
exit "$status"
